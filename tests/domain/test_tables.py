"""A table decides alone: what it holds happens, what it does not hold raises and changes nothing."""

from __future__ import annotations

from enum import StrEnum

import pytest

from interlock.domain.errors import Broken, IllegalTransition
from interlock.domain.tables import Table


class Lamp(StrEnum):
    """Two states."""

    OFF = "OFF"
    ON = "ON"


class Press(StrEnum):
    """Three events."""

    UP = "UP"
    PULL = "PULL"
    DOWN = "DOWN"


def a_lamp() -> Table[Lamp, Press]:
    """Return a small machine: two ways on, one way off."""
    rows = {(Lamp.OFF, Press.UP): Lamp.ON, (Lamp.OFF, Press.PULL): Lamp.ON, (Lamp.ON, Press.DOWN): Lamp.OFF}
    return Table("lamp", Lamp, Press, rows)


def test_a_pair_in_the_table_gives_its_state() -> None:
    assert a_lamp().next(Lamp.OFF, Press.UP) is Lamp.ON
    assert a_lamp().allows(Lamp.OFF, Press.UP)


def test_a_pair_that_is_missing_raises_and_names_machine_state_and_event() -> None:
    table = a_lamp()
    assert not table.allows(Lamp.OFF, Press.DOWN)
    with pytest.raises(IllegalTransition) as refusal:
        table.next(Lamp.OFF, Press.DOWN)
    error = refusal.value
    assert (error.machine, error.state, error.event) == ("lamp", "OFF", "DOWN")
    assert str(error) == "lamp: event DOWN is not allowed in state OFF"
    assert isinstance(error, Broken)
    assert table.rows == a_lamp().rows


def test_a_table_does_not_follow_the_mapping_that_it_was_made_of() -> None:
    """Otherwise a host could open a transition at run time."""
    rows = {(Lamp.OFF, Press.UP): Lamp.ON}
    table = Table("lamp", Lamp, Press, rows)
    rows[Lamp.ON, Press.UP] = Lamp.OFF
    assert not table.allows(Lamp.ON, Press.UP)


def test_the_diagram_begins_at_the_first_state_and_draws_one_arrow_between_two_states() -> None:
    assert a_lamp().mermaid().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> OFF",
        "    OFF --> ON: UP, PULL",
        "    ON --> OFF: DOWN",
    ]
