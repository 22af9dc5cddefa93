"""Equal content is equal bytes and equal ids, in every process and on every machine."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.ids import canonical_json, client_order_id, fingerprint, sha256_hex, stable_id
from interlock.domain.intents import Side

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Thing(msgspec.Struct):
    """Fields that are not in alphabetical order."""

    zeta: int
    alpha: Decimal


def test_canonical_json_sorts_keys_has_no_blanks_and_writes_decimals_as_text() -> None:
    value = {"b": Decimal("1.50"), "a": [1, True, None, Side.BUY], "c": {"z": "\u00e9", "y": ()}}
    assert canonical_json(value) == '{"a":[1,true,null,"BUY"],"b":"1.50","c":{"y":[],"z":"\u00e9"}}'.encode()
    assert canonical_json(Thing(1, Decimal(2))) == b'{"alpha":"2","zeta":1}'


@given(st.dictionaries(st.text(max_size=5), values, max_size=6))
def test_the_order_in_which_a_dict_was_filled_does_not_show(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    assert canonical_json(turned) == canonical_json(value)
    assert stable_id(turned) == stable_id(value)


def test_ids_are_the_same_in_every_process() -> None:
    """Written down once; a change of any of these would make known orders look new."""
    assert stable_id("a", 1) == hashlib.sha256(b'["a",1]').hexdigest()[:32]
    assert (
        client_order_id("strat_demo", "d1") == "il-" + hashlib.sha256(b'["order","strat_demo","d1"]').hexdigest()[:24]
    )
    assert fingerprint("a") == hashlib.sha256(b'["a"]').hexdigest()
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("one", "other"), [(("a", "bc"), ("ab", "c")), (("a",), ("a", "")), (("1",), (1,)), ((None,), ("null",))]
)
def test_parts_that_read_alike_when_joined_have_different_ids(
    one: tuple[object, ...], other: tuple[object, ...]
) -> None:
    assert stable_id(*one) != stable_id(*other)
    assert fingerprint(*one) != fingerprint(*other)


@pytest.mark.spec("IDM-2")
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_client_order_id_depends_on_strategy_and_decision_alone(a: str, b: str, c: str, d: str) -> None:
    assert (client_order_id(a, b) == client_order_id(c, d)) == ((a, b) == (c, d))
    assert len(client_order_id(a, b)) == 27
