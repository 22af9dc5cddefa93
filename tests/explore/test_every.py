"""Every schedule without a bound: how many there are, that none breaks, and that none passes for seen that is not."""

from __future__ import annotations

import msgspec
import pytest

from interlock.domain.broker import Accepted
from interlock.domain.errors import Broken, NotSent
from interlock.domain.ledgers import FillBook
from interlock.explore import every
from interlock.explore import fingerprint as fingerprint_module
from interlock.explore import run as run_module
from interlock.explore.cases import case_config
from interlock.explore.every import Every, explore_every
from interlock.explore.exhaustive import explore_all
from interlock.explore.fingerprint import fingerprint
from interlock.explore.plan import RunPlan
from interlock.explore.run import Run, RunOutcome, run_once
from interlock.mocks.faults import FaultPlan
from interlock.runtime.actor import Actor
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.retry import RetryPolicy, retrying
from interlock.runtime.schedule import TapeSchedule
from interlock.runtime.stepped import SteppedSystem


def plan_of(name: str, crashes: int = 0, *, faults: bool = True) -> RunPlan:
    """Return the plan of a case, killed at most so often."""
    config = case_config(name)
    if not faults:
        config = config.under(FaultPlan())
    return RunPlan(config, must_settle=False, crash_permille=500 if crashes else 0, crashes_max=crashes, steps_max=2000)


@pytest.fixture(scope="module")
def race() -> tuple[Every, dict[str, None]]:
    """Search the cancel race once for all tests of this file; return what was seen, and all that it can end in."""
    found: dict[str, None] = {}

    def note(run: Run, outcome: RunOutcome | None) -> None:
        if outcome is not None:
            found[run.left()] = None

    return explore_every(plan_of("cancel-race"), seen=note), found


@pytest.mark.spec("FLT-6", "RT-5")
def test_all_schedules_of_the_cancel_race_were_seen_and_none_breaks(race: tuple[Every, dict[str, None]]) -> None:
    seen, _ = race
    assert (seen.failure, seen.complete) == (None, True)
    assert seen.outcomes == {"settled": seen.schedules}
    assert seen.schedules == 113_185_256_583_672_000


@pytest.mark.spec("RT-2", "SAF-2")
def test_all_schedules_of_a_trip_in_a_backlog_were_seen_and_no_order_leaves_in_any() -> None:
    waited: dict[int, None] = {}
    sent: dict[str, None] = {}

    def note(run: Run, _: RunOutcome | None) -> None:
        waited[run.session.mailboxes()["orchestrator"]["data"].waits] = None
        sent.update(dict.fromkeys(run.exchange.orders))

    seen = explore_every(plan_of("trip-in-a-backlog"), seen=note)
    assert (seen.failure, seen.complete) == (None, True)
    assert seen.outcomes == {"stopped:storage_failed": seen.schedules}
    assert (seen.schedules, seen.states) == (64_801_947_240, 3_864)
    assert (sent, max(waited)) == ({}, 2), "two senders had to wait for room, and nothing reached the broker"


@pytest.mark.spec("IDM-4", "RST-2")
def test_killed_between_any_two_steps_with_no_other_fault_the_first_schedules_settle() -> None:
    """All of them in ``make explore-every``."""
    seen = explore_every(plan_of("restart-at-the-claim", 1, faults=False), runs_max=1500)
    assert (seen.failure, seen.complete) == (None, False)


@pytest.mark.parametrize(
    ("name", "crashes", "steps", "schedules"),
    [("cancel-race", 0, 16, 3_240), ("restart-at-the-claim", 1, 12, 1_924), ("trip-under-backlog", 0, 16, 3_240)],
)
def test_there_are_as_many_schedules_as_a_search_that_remembers_nothing_counts(
    monkeypatch: pytest.MonkeyPatch, name: str, crashes: int, steps: int, schedules: int
) -> None:
    """Runs are cut after a few steps, so that each schedule can be run; how far a run is belongs to its state then."""
    monkeypatch.setattr(run_module, "judged", lambda *_, **__: ("cut", None))
    monkeypatch.setattr(run_module, "looked_back", lambda *_: None)
    monkeypatch.setattr(every, "fingerprint", lambda system, *others: fingerprint(system, *others, system.steps))
    plan = msgspec.structs.replace(plan_of(name, crashes), steps_max=steps)
    plain, folded = explore_all(plan, 99, reduce=False), explore_every(plan)
    assert (plain.complete, folded.complete) == (True, True)
    assert plain.runs == folded.schedules == schedules
    assert folded.runs + folded.merged < schedules / 8


def test_a_state_that_tells_more_than_it_has_to_leads_to_the_same_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out of a state, or told as a set, would change the number if it could change a run."""
    plan = plan_of("cancel-race", faults=False)
    usual = explore_every(plan)
    for left_out in ("_MUTE", "_HEAPS"):
        monkeypatch.setattr(fingerprint_module, left_out, {})
    strict = explore_every(plan)
    assert (strict.complete, strict.schedules) == (True, usual.schedules)
    assert strict.states > usual.states


def test_what_a_message_says_belongs_to_the_state() -> None:
    one, other = (Accepted(client_order_id="il-1", broker_order_id=broker_id) for broker_id in ("b-1", "b-2"))
    assert fingerprint([one]) == fingerprint([one.model_copy()])
    assert fingerprint([one]) != fingerprint([other])


class Insistent(Actor):
    """Calls something that never gets through, again and again."""

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        async def call() -> None:
            raise NotSent("no")

        await retrying(self.ctx, RetryPolicy(attempts_max=9, duration_max_s=900, jitter_s=0), "call", call)


def test_pauses_of_equal_retries_are_one_state_and_later_ones_another() -> None:
    states: list[bytes] = []
    for steps in (2, 2, 3):
        with SteppedSystem() as system:
            system.add("insistent", Insistent)
            system.post("insistent", "go")
            assert system.run_n_steps(steps).steps == steps
            states.append(fingerprint(system))
    assert states[0] == states[1] != states[2]


def test_what_cannot_be_looked_into_is_no_state() -> None:
    with pytest.raises(Broken, match="nobody knows how to look into it"):
        fingerprint([memoryview(b"")])


def test_whatever_a_search_without_memory_ends_in_is_seen(race: tuple[Every, dict[str, None]]) -> None:
    _, finals = race
    plain: list[str] = []
    seen = explore_all(plan_of("cancel-race"), 2, reduce=False, seen=lambda run, _: plain.append(run.left()))
    assert seen.complete
    assert dict.fromkeys(plain).keys() <= finals.keys()


def test_a_fault_is_found_and_its_tape_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FillBook, "repeats", lambda *_: False)
    plan = plan_of("cancel-race")
    seen = explore_every(plan)
    assert seen.failure is not None
    assert not seen.complete
    assert run_once(plan, TapeSchedule(seen.tape, "random")).failure == seen.failure


def test_a_search_that_is_cut_off_says_so() -> None:
    seen = explore_every(plan_of("cancel-race"), runs_max=10)
    assert (seen.complete, seen.runs + seen.merged) == (False, 10)


def test_a_run_that_comes_back_to_where_it_was_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every, "fingerprint", lambda *_: b"always the same")
    with pytest.raises(Broken, match="came back to where it was"):
        explore_every(plan_of("cancel-race"))
