"""The watcher looks wherever something has become more, and again after a crash, whatever the crash has lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from interlock.domain.messages import SubmitOutcome, SubmitStatus
from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import advance
from interlock.explore.cases import case_config
from interlock.explore.plan import RunPlan
from interlock.explore.run import Run
from interlock.explore.watcher import Watcher
from interlock.mocks.broker import MockBroker
from interlock.runtime.schedule import FifoSchedule
from tests.domain_builders import an_order

SENT = advance(an_order(), OrderEvent.SEND, 1)
KEY = SENT.client_order_id


@pytest.fixture
def run() -> Iterator[Run]:
    """Return a run of a small case that has not begun, in the order of arrival; it may be killed."""
    a_run = Run(RunPlan(case_config("cancel-race"), must_settle=True, crash_permille=500), FifoSchedule())
    yield a_run
    a_run.session.close()


def placed(run: Run) -> None:
    run.counters["orders_place_total"] = 1


def recorded(run: Run) -> None:
    run.store.claim(SENT)


def requested(run: Run) -> None:
    assert isinstance(run.session.broker, MockBroker)
    run.session.broker.requests.append(KEY)


def accepted(run: Run) -> None:
    run.exchange.accepted.append(KEY)


def told(run: Run) -> None:
    run.session.strategy.outcomes.append(SubmitOutcome(KEY, SubmitStatus.REFUSED))


@pytest.mark.parametrize("more", [placed, recorded, requested, accepted, told])
def test_whatever_becomes_more_is_looked_at_after_that_step(
    monkeypatch: pytest.MonkeyPatch, run: Run, more: Callable[[Run], None]
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(Watcher, "_look", lambda _: looks.append(1))
    run.watch.holds()
    looks.clear()
    more(run)
    run.watch.holds()
    run.watch.holds()
    assert looks == [1]


def test_an_order_that_left_unclaimed_is_seen_in_the_very_step(run: Run) -> None:
    requested(run)
    assert not run.watch.holds()
    assert run.watch.broken is not None
    assert run.watch.broken.invariant == "I8"


def test_a_crash_that_loses_as_much_as_has_come_since_hides_nothing(run: Run) -> None:
    recorded(run)
    assert run.watch.holds()
    run.store.crash()
    run.watch.crashed()
    requested(run)  # now there is as much of everything as before the crash
    assert not run.watch.holds()


def test_what_a_crash_has_lost_may_be_recorded_again(run: Run) -> None:
    known = advance(SENT, OrderEvent.ACCEPT, 2, broker_order_id="b-1")
    recorded(run)
    run.store.commit()
    for order in (known, advance(known, OrderEvent.CANCEL_REQUEST, 3)):
        run.store.journal(order)
        assert run.watch.holds()
    run.store.crash()
    run.watch.crashed()
    for order in (known, advance(known, OrderEvent.CANCEL_REQUEST, 4)):
        run.store.journal(order)
        assert run.watch.holds(), run.watch.broken


def test_what_a_crash_has_left_is_still_known(run: Run) -> None:
    recorded(run)
    run.store.commit()
    assert run.watch.holds()
    run.store.crash()
    run.watch.crashed()
    requested(run)
    assert run.watch.holds(), run.watch.broken
    requested(run)
    assert not run.watch.holds(), "sent a second time"


def test_a_session_that_is_over_is_not_killed(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(run.schedule, "_strike", lambda *_: int(run.session.system.halted))
    run.go()
    assert run.session.over
    assert run.crashes == 0
