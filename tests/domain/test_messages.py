"""The messages of a session: frozen, and each told apart by its schema when written."""

from __future__ import annotations

import msgspec
import pytest

from interlock.domain import messages
from interlock.domain.ids import canonical_json
from interlock.domain.messages import CallOutcome, CheckIntent, PlaceDone, SetGate, SubmitOutcome, SubmitStatus, Trip
from tests.domain_builders import an_order

STRUCTS = [
    value
    for name in messages.__all__
    if isinstance(value := getattr(messages, name), type) and issubclass(value, msgspec.Struct)
]


@pytest.mark.parametrize("message", STRUCTS, ids=lambda message: message.__name__)
def test_a_message_is_frozen_and_carries_its_name_and_version(message: type[msgspec.Struct]) -> None:
    config = message.__struct_config__
    assert config.frozen
    assert (config.tag_field, config.tag) == ("schema", f"{message.__name__}/1")


def test_every_message_of_the_module_is_public() -> None:
    defined = [value for value in vars(messages).values() if isinstance(value, type)]
    here = [value.__name__ for value in defined if value.__module__ == messages.__name__]
    assert sorted(here) == sorted([*messages.__all__, "Message"])


def test_a_message_cannot_be_changed_on_its_way() -> None:
    gate = SetGate(open=True, reason="active")
    with pytest.raises(AttributeError):
        gate.open = False  # type: ignore[misc]


def test_a_written_message_names_its_schema_and_its_enums_by_value() -> None:
    assert canonical_json(SubmitOutcome("o1", SubmitStatus.UNKNOWN)) == (
        b'{"client_order_id":"o1","code":"","reason":"","schema":"SubmitOutcome/1","status":"UNKNOWN"}'
    )
    assert b'"schema":"Trip/1"' in canonical_json(Trip("overfill", "filled above ordered", {"filled": "11"}))
    assert b'"order":{' in canonical_json(CheckIntent(an_order()))


def test_no_answer_is_an_outcome_of_its_own() -> None:
    """Unknown, proven without effect, and answered are three things."""
    done = PlaceDone("o1", CallOutcome.UNKNOWN)
    assert done.answer is None
    assert len(CallOutcome) == 3
