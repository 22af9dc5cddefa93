"""Every pair of the order's table, drawn here a second time by hand, and what must hold over all of it."""

from __future__ import annotations

from itertools import product

import pytest

from interlock.domain.errors import IllegalTransition
from interlock.domain.order_states import (
    LIVE_STATES,
    ORDER_TABLE,
    TERMINAL_ORDER_STATES,
    OrderEvent,
    OrderState,
)
from interlock.domain.orders import advance
from tests.domain_builders import an_order, drawn

S, E = OrderState, OrderEvent

SHORT = {
    "PART": "PARTIAL",
    "PEND": "CANCEL_PENDING",
    "UNKN": "UNKNOWN",
    "FILL": "FILLED",
    "CANC": "CANCELLED",
    "REJ": "REJECTED",
    "EXP": "EXPIRED",
    "QUAR": "QUARANTINED",
}
# "." stays where it is, "-" is refused.
EXPECTED = drawn(
    """
                         NEW   SENT  ACK   PART  PEND  UNKN  FILL  CANC  REJ   EXP   VOID  QUAR
SEND                     SENT  -     -     -     -     -     -     -     -     -     -     -
ACCEPT                   -     ACK   .     .     .     ACK   .     .     -     .     QUAR  -
REJECT                   -     REJ   .     .     .     REJ   .     .     .     .     .     -
PARTIAL_FILL             -     PART  PART  .     .     PART  -     .     -     .     QUAR  -
FULL_FILL                -     FILL  FILL  FILL  FILL  FILL  -     FILL  -     FILL  QUAR  -
CANCEL_REQUEST           -     -     PEND  PEND  -     -     -     -     -     -     -     -
CANCEL_ACK               -     CANC  CANC  CANC  CANC  CANC  .     .     -     .     -     -
CANCEL_REFUSED           -     -     .     -     ACK   -     -     .     -     .     -     -
CANCEL_REFUSED_PARTIAL   -     -     -     .     PART  -     .     .     -     .     -     -
EXPIRE                   -     EXP   EXP   EXP   EXP   EXP   .     .     -     .     -     -
PLACE_UNKNOWN            -     UNKN  .     .     .     .     .     .     .     .     .     .
CANCEL_UNKNOWN           -     -     .     .     .     -     .     .     -     .     -     .
NOT_FOUND                -     -     -     -     -     VOID  -     -     -     -     .     .
QUARANTINE               -     -     QUAR  QUAR  QUAR  QUAR  -     -     -     -     -     .
""",
    SHORT,
)


def test_the_drawing_has_every_state_and_every_event() -> None:
    assert list(EXPECTED) == [(state, event) for event, state in product(E, S)]


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_pair_does_what_the_drawing_says(state: OrderState, event: OrderEvent) -> None:
    """A refused fact changes nothing: not the order, not the table."""
    order, untouched, rows = an_order(state=state), an_order(state=state), dict(ORDER_TABLE.rows)
    expected = EXPECTED[state, event]
    assert ORDER_TABLE.allows(state, event) == (expected != "-")
    if expected == "-":
        with pytest.raises(IllegalTransition, match=f"^order: event {event} is not allowed in state {state}$"):
            advance(order, event, 5)
    else:
        assert ORDER_TABLE.next(state, event) == expected
        assert advance(order, event, 5).state == expected
    assert order == untouched
    assert ORDER_TABLE.rows == rows


def test_every_state_but_new_is_either_live_or_at_its_end() -> None:
    assert sorted((*LIVE_STATES, *TERMINAL_ORDER_STATES, S.NEW)) == sorted(S)


@pytest.mark.spec("SAF-1")
def test_an_ended_order_never_lives_again() -> None:
    """Three ends can still turn into another end, each because the broker proved us wrong."""
    exits = {
        (before, after)
        for (before, _), after in ORDER_TABLE.rows.items()
        if before in TERMINAL_ORDER_STATES and after is not before
    }
    assert exits == {(S.CANCELLED, S.FILLED), (S.EXPIRED, S.FILLED), (S.VOID, S.QUARANTINED)}


@pytest.mark.parametrize("state", S)
def test_a_lost_answer_is_never_taken_for_a_refusal(state: OrderState) -> None:
    """A time-out leads to UNKNOWN or changes nothing; it ends no order and revives none."""
    if ORDER_TABLE.allows(state, E.PLACE_UNKNOWN):
        assert ORDER_TABLE.next(state, E.PLACE_UNKNOWN) in (state, S.UNKNOWN)
    if ORDER_TABLE.allows(state, E.CANCEL_UNKNOWN):
        assert ORDER_TABLE.next(state, E.CANCEL_UNKNOWN) is state


def test_only_an_answer_or_its_absence_after_the_settle_time_leads_out_of_unknown() -> None:
    """VOID is for an order in doubt and for no other: "not found" proves nothing about one that was seen."""
    assert [
        before for (before, event), after in ORDER_TABLE.rows.items() if after is S.VOID and before is not S.VOID
    ] == [S.UNKNOWN]
    for event in (E.SEND, E.CANCEL_REQUEST, E.CANCEL_UNKNOWN):
        assert not ORDER_TABLE.allows(S.UNKNOWN, event)


def test_an_order_is_sent_once() -> None:
    assert [pair for pair in ORDER_TABLE.rows if pair[1] is E.SEND] == [(S.NEW, E.SEND)]
    assert S.NEW not in ORDER_TABLE.rows.values()


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELLED, S.PARTIAL, S.ACK, S.EXPIRED, S.CANCEL_PENDING])
def test_a_late_reject_is_not_believed_over_what_was_seen(state: OrderState) -> None:
    assert ORDER_TABLE.next(state, E.REJECT) is state


@pytest.mark.parametrize("event", [E.ACCEPT, E.PARTIAL_FILL, E.FULL_FILL])
def test_sign_of_life_of_a_rejected_order_is_a_contradiction(event: OrderEvent) -> None:
    """It raises, and the session trips."""
    with pytest.raises(IllegalTransition):
        ORDER_TABLE.next(S.REJECTED, event)


@pytest.mark.parametrize(
    ("told", "ends"),
    [
        pytest.param((E.SEND, E.FULL_FILL, E.ACCEPT), S.FILLED, id="filled before the ack"),
        pytest.param((E.SEND, E.PARTIAL_FILL, E.ACCEPT, E.FULL_FILL), S.FILLED, id="a piece before the ack"),
        pytest.param(
            (E.SEND, E.ACCEPT, E.CANCEL_REQUEST, E.CANCEL_ACK, E.FULL_FILL), S.FILLED, id="filled after the cancel"
        ),
        pytest.param(
            (E.SEND, E.ACCEPT, E.CANCEL_REQUEST, E.CANCEL_ACK, E.PARTIAL_FILL), S.CANCELLED, id="a late piece"
        ),
        pytest.param(
            (E.SEND, E.ACCEPT, E.CANCEL_REQUEST, E.FULL_FILL, E.CANCEL_REFUSED_PARTIAL), S.FILLED, id="cancel too late"
        ),
        pytest.param((E.SEND, E.PLACE_UNKNOWN, E.FULL_FILL, E.ACCEPT), S.FILLED, id="lost answer, filled there"),
        pytest.param((E.SEND, E.PLACE_UNKNOWN, E.NOT_FOUND, E.REJECT), S.VOID, id="never arrived"),
        pytest.param((E.SEND, E.PLACE_UNKNOWN, E.NOT_FOUND, E.ACCEPT), S.QUARANTINED, id="it arrived after all"),
        pytest.param((E.SEND, E.REJECT, E.REJECT, E.PLACE_UNKNOWN), S.REJECTED, id="rejected twice, then a time-out"),
    ],
)
def test_what_the_real_world_does_is_in_the_table(told: tuple[OrderEvent, ...], ends: OrderState) -> None:
    order = an_order()
    for event in told:
        order = advance(order, event, 1)
    assert order.state is ends
    assert order.version == len(told)
