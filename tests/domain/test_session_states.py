"""Every pair of the session's table, drawn here a second time by hand, and what must hold over all of it."""

from __future__ import annotations

from itertools import product

import pytest

from interlock.domain.errors import IllegalTransition
from interlock.domain.session_states import (
    SESSION_TABLE,
    STATUS_OF,
    TERMINAL_STATES,
    SessionEvent,
    SessionState,
    SessionStatus,
)
from tests.domain_builders import drawn

S, E = SessionState, SessionEvent

SHORT = {"ERROR": "ERROR_REQUIRES_OPERATOR"}
# "." stays where it is, "-" is refused.
EXPECTED = drawn(
    """
                      INIT              PREFLIGHT_OK   DRYRUN_ACTIVE  STOPPING  STOPPED  PREFLIGHT_FAILED  ERROR
PREFLIGHT_PASSED      PREFLIGHT_OK      -              -              -         -        -                 -
PREFLIGHT_REJECTED    PREFLIGHT_FAILED  -              -              -         -        -                 -
ACTIVATE              -                 DRYRUN_ACTIVE  -              -         -        -                 -
STOP                  STOPPING          STOPPING       STOPPING       .         .        .                 .
TRIP                  STOPPING          STOPPING       STOPPING       .         ERROR    .                 .
DRAINED               -                 -              -              STOPPED   -        -                 -
OPERATOR_NEEDED       -                 -              -              ERROR     -        -                 -
""",
    SHORT,
)


def test_the_drawing_has_every_state_and_every_event() -> None:
    assert list(EXPECTED) == [(state, event) for event, state in product(E, S)]


@pytest.mark.spec("ORC-1")
@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_pair_does_what_the_drawing_says(state: SessionState, event: SessionEvent) -> None:
    """An illegal one is an error, not a no-op, and leaves the table as it was."""
    expected = EXPECTED[state, event]
    assert SESSION_TABLE.allows(state, event) == (expected != "-")
    if expected != "-":
        assert SESSION_TABLE.next(state, event) == expected
        return
    before = dict(SESSION_TABLE.rows)
    with pytest.raises(IllegalTransition, match=f"^session: event {event} is not allowed in state {state}$"):
        SESSION_TABLE.next(state, event)
    assert SESSION_TABLE.rows == before


@pytest.mark.spec("ORC-1")
def test_a_clean_session_walks_from_init_to_stopped() -> None:
    state, seen = S.INIT, [S.INIT]
    for event in (E.PREFLIGHT_PASSED, E.ACTIVATE, E.STOP, E.DRAINED):
        state = SESSION_TABLE.next(state, event)
        seen.append(state)
    assert seen == [S.INIT, S.PREFLIGHT_OK, S.DRYRUN_ACTIVE, S.STOPPING, S.STOPPED]


@pytest.mark.spec("SAF-2", "ORC-6")
@pytest.mark.parametrize("state", [state for state in S if state not in TERMINAL_STATES])
def test_a_trip_leads_every_running_session_into_stopping(state: SessionState) -> None:
    assert SESSION_TABLE.next(state, E.TRIP) is S.STOPPING


@pytest.mark.spec("ORC-6")
@pytest.mark.parametrize("event", [E.STOP, E.TRIP])
@pytest.mark.parametrize("state", S)
def test_stopping_twice_is_stopping_once(state: SessionState, event: SessionEvent) -> None:
    """Both ways of stopping are allowed everywhere; the second time changes nothing any more."""
    once = SESSION_TABLE.next(state, event)
    assert SESSION_TABLE.next(once, event) is once


@pytest.mark.spec("SAF-2")
@pytest.mark.parametrize("event", E)
def test_no_event_leads_out_of_an_ended_session_back_to_work(event: SessionEvent) -> None:
    """A trip may still turn STOPPED into ERROR_REQUIRES_OPERATOR; nothing turns an error into anything."""
    for state in TERMINAL_STATES:
        if SESSION_TABLE.allows(state, event):
            after = SESSION_TABLE.next(state, event)
            assert after is state or (state, after) == (S.STOPPED, S.ERROR_REQUIRES_OPERATOR)


def test_intents_can_only_flow_after_preflight_passed() -> None:
    """The one way into DRYRUN_ACTIVE is ACTIVATE in PREFLIGHT_OK, and the one way there is passing."""
    into = [(pair, after) for pair, after in SESSION_TABLE.rows.items() if after in (S.PREFLIGHT_OK, S.DRYRUN_ACTIVE)]
    assert into == [
        ((S.INIT, E.PREFLIGHT_PASSED), S.PREFLIGHT_OK),
        ((S.PREFLIGHT_OK, E.ACTIVATE), S.DRYRUN_ACTIVE),
    ]


@pytest.mark.spec("ORC-2")
@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("INIT", "INIT"),
        ("PREFLIGHT_OK", "RUNNING"),
        ("DRYRUN_ACTIVE", "RUNNING"),
        ("STOPPING", "RUNNING"),
        ("STOPPED", "COMPLETED"),
        ("PREFLIGHT_FAILED", "REJECTED"),
        ("ERROR_REQUIRES_OPERATOR", "FAILED"),
    ],
)
def test_each_state_has_its_status_for_the_outside(state: str, status: str) -> None:
    assert STATUS_OF[SessionState(state)] is SessionStatus(status)
    assert len(STATUS_OF) == len(SessionState)
