"""The pytest plugin: tests of tests, each in a folder of its own."""

from __future__ import annotations

import pytest

from tests.run_builders import ROOT, a_process

pytest_plugins = ("pytester",)

QUIET = ("-p", "pytest_interlock", "-p", "no:cacheprovider", "-p", "no:asyncio", "-q")


def told(pytester: pytest.Pytester, source: str, *arguments: str, **outcomes: int) -> str:
    """Run a test file; return what pytest said, once its outcomes are as they should be."""
    pytester.makepyfile(source)
    result = pytester.runpytest_inprocess(*QUIET, *arguments)
    result.assert_outcomes(**outcomes)
    return result.stdout.str()


def test_a_session_is_driven_by_its_test(pytester: pytest.Pytester) -> None:
    source = """
        from decimal import Decimal

        def test_it(interlock_session, chaos_broker):
            session = interlock_session()
            session.submit("fills", limit_price=100)
            session.submit("rests", limit_price=90)
            session.run(seconds=3)
            assert (session.orders["fills"].state, session.orders["rests"].state) == ("FILLED", "ACK")
            assert session.outcome("fills").status == "ACCEPTED"
            assert [fill.quantity for fill in chaos_broker.executions] == [1]
            assert chaos_broker.positions == {"BTC/EUR": 21}
            session.cancel("rests")
            session.run(seconds=1)
            assert session.cancel_outcome("rests").code == ""
            assert session.orders["rests"].state == "CANCELLED"
            assert chaos_broker.open_orders == ()
            assert chaos_broker.order("rests").status == "CANCELLED"
            session.stop()
            assert session.run() == "STOPPED"
            assert (session.trips, session.kill_switch) == ((), "")
            assert 4 < session.elapsed_s < 30
    """
    told(pytester, source, passed=1)


def test_what_a_session_leaves_wrong_fails_the_test_that_made_it(pytester: pytest.Pytester) -> None:
    source = """
        from interlock.domain.broker import BrokerStatus

        def test_it(interlock_session, chaos_broker):
            session = interlock_session()
            session.submit("fills", limit_price=100)
            session.run(seconds=3)
            [order] = chaos_broker._book().orders.values()
            order.status = BrokerStatus.EXPIRED

        def test_after_it(interlock_session):
            assert interlock_session().state == "DRYRUN_ACTIVE"
    """
    assert "is FILLED 1 here, EXPIRED 1 there" in told(pytester, source, failed=1, passed=1)


def test_a_broken_invariant_ends_the_run_at_that_step(pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        from interlock.domain.order_states import OrderState

        def test_it(interlock_session, chaos_broker):
            session = interlock_session()
            session.submit("rests", limit_price=90)
            session.run(seconds=1)
            chaos_broker._book().accepted.append(chaos_broker._book().accepted[0])
            session.run(seconds=30)
            pytest.fail("not reached")
    """
    said = told(pytester, source, failed=1)
    assert "I1:" in said
    assert "not reached" not in said.partition("E  ")[2]


def test_settings_go_over_the_small_default_and_wrong_ones_are_named(pytester: pytest.Pytester) -> None:
    source = """
        def test_one(interlock_session):
            session = interlock_session(opening={"cash": "5"}, rails={"in_flight_max": 20})
            session.submit("too_much", limit_price=100)
            session.run(seconds=1)
            assert session.outcome("too_much").code.startswith("RAIL_")

        def test_other(interlock_session):
            interlock_session(broker={"latency": 3})
    """
    said = told(pytester, source, passed=1, failed=1)
    assert "interlock_session: broker.latency: is not a known key" in said


def test_faults_are_named_by_the_test_and_wrong_ones_refused(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        def test_no_schedule_no_fault(interlock_session, chaos_broker):
            chaos_broker.strike("reject", permille=1000)
            session = interlock_session()
            session.submit("a", limit_price=100)
            session.run(seconds=2)
            assert session.orders["a"].state == "FILLED"

        def test_counted_ones_strike_always(interlock_session, chaos_broker):
            chaos_broker.strike("reject", nth=[1])
            session = interlock_session()
            session.submit("a", limit_price=100)
            session.run(seconds=2)
            assert session.orders["a"].state == "REJECTED"

        @pytest.mark.parametrize("wrong", [{"fault": "earthquake"}, {"fault": "reject", "chance": 1}])
        def test_wrong(chaos_broker, wrong):
            with pytest.raises(Exception, match="chaos_broker.strike: (fault|chance)"):
                chaos_broker.strike(**wrong)
            with pytest.raises(Exception, match="no session was made yet"):
                chaos_broker.executions
    """
    told(pytester, source, passed=4)


EXPLORED = """
    import pytest

    SEEN = []

    @pytest.mark.explore(runs=40)
    def test_settles(interlock_session):
        session = interlock_session()
        for number in range(3):
            session.submit(f"d{number}", limit_price=99 + number)
        session.run(seconds=10)
        session.cancel("d0")
        session.run(seconds=5)
        SEEN.append(session.now_ns)

    def test_was_run_often_and_differently():
        assert len(SEEN) == 40
        assert len({*SEEN}) > 3
"""


def test_a_marked_test_is_run_under_many_schedules(pytester: pytest.Pytester) -> None:
    told(pytester, EXPLORED, passed=2)


def test_kills_and_restarts_are_for_those_who_ask(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        KILLS = {False: 0, True: 0}

        @pytest.mark.explore(runs=60, faults=False, crashes=True)
        def test_killed(interlock_session):
            session = interlock_session()
            session.submit("a", limit_price=100)
            session.run(seconds=20)
            KILLS[True] += session._run.crashes
            # Killed before the claim, nothing was sent, and nobody was told that it was.
            told = session.outcome("a")
            assert session.orders["a"].state == "FILLED" if "a" in session.orders else told is None or told.code

        @pytest.mark.explore(runs=20, faults=False)
        def test_alive(interlock_session):
            session = interlock_session()
            session.submit("a", limit_price=100)
            session.run(seconds=20)
            KILLS[False] += session._run.crashes

        def test_counted():
            assert KILLS[True] > 2
            assert KILLS[False] == 0
    """
    told(pytester, source, passed=3)


FAILING = """
    import pytest

    @pytest.mark.explore(runs=200, faults=False)
    def test_wrong_about_time_outs(interlock_session, chaos_broker):
        chaos_broker.strike("timeout_after", permille=300)
        session = interlock_session()
        session.run(seconds=2)
        session.submit("a", limit_price=100)
        session.run(seconds=2)
        assert session.outcome("a") is not None, "a host that gives up after two seconds"
"""


def test_a_failure_comes_with_its_seed_its_tape_and_the_way_to_run_it_again(pytester: pytest.Pytester) -> None:
    said = told(pytester, FAILING, failed=1)
    assert "AssertionError: a host that gives up after two seconds" in said
    assert "tape, by label, 0 is the ordinary course:" in said
    [again] = {line.partition("again: ")[2] for line in said.splitlines() if "again: pytest" in line}
    seed = again.rpartition(" ")[2]
    assert again.startswith("pytest 'test_a_failure_comes")
    lines = said.partition("ordinary course:")[2].partition("again:")[0].splitlines()
    assert [line.strip(" E").partition(":")[0] for line in lines if line.strip(" E")] == ["fault.timeout_after"]
    once = pytester.runpytest_inprocess(*QUIET, "--explore-seed", seed)
    assert f"under schedule 1 of 1, seed {seed}" in once.stdout.str()
    other = pytester.runpytest_inprocess(*QUIET, "--explore-runs", "1", "--explore-seed", str(int(seed) + 100_000))
    assert "100" in other.stdout.str() or "passed" in other.stdout.str()


def test_wrong_options_of_the_marker_are_named(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        @pytest.mark.explore(500)
        def test_one(interlock_session): pass

        @pytest.mark.explore(times=500)
        def test_other(interlock_session): pass

        @pytest.mark.explore(runs=0)
        def test_third(interlock_session): pass
    """
    said = told(pytester, source, failed=3)
    assert said.count("explore takes runs, faults, crashes, by name") >= 2
    assert "explore: runs is 0 (allowed: a whole number from 1 on)" in said


def test_an_async_test_is_told_that_it_cannot_be_explored(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        @pytest.mark.explore(runs=3)
        async def test_it(interlock_session): pass
    """
    assert "an async one cannot be explored" in told(pytester, source, failed=1)


def test_skips_and_expected_failures_stay_what_they_are(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        @pytest.mark.explore(runs=3)
        def test_skipped(interlock_session):
            pytest.skip("not here")

        @pytest.mark.xfail(strict=True)
        @pytest.mark.explore(runs=3)
        def test_fails(interlock_session):
            pytest.fail("as expected")
    """
    told(pytester, source, skipped=1, xfailed=1)


HYPOTHESIS = """
    import pytest
    from hypothesis import HealthCheck, assume, given, settings, strategies as st

    SEEN = []
    PRICES = st.lists(st.integers(95, 105), min_size=1, max_size=4)

    @pytest.mark.explore(runs=5)
    @given(prices=PRICES)
    @settings(max_examples=8, deadline=None, database=None, derandomize=True)
    def test_workloads(interlock_session, prices):
        assume(prices != [95])
        session = interlock_session()
        for number, price in enumerate(prices):
            session.submit(f"d{number}", limit_price=price)
        session.run(seconds=5)
        SEEN.append(tuple(prices))

    def test_each_workload_met_each_schedule():
        assert all(SEEN.count(prices) % 5 == 0 for prices in SEEN)
        assert len({*SEEN}) > 3

    @pytest.mark.explore(runs=3, faults=False)
    @given(prices=PRICES)
    @settings(max_examples=30, deadline=None, database=None, derandomize=True)
    def test_three_orders_are_too_many(interlock_session, prices):
        session = interlock_session()
        for number, price in enumerate(prices):
            session.submit(f"d{number}", limit_price=price)
        session.run(seconds=1)
        assert len(session.orders) < 3
"""


def test_hypothesis_draws_the_workload_and_the_tape_the_schedule(pytester: pytest.Pytester) -> None:
    said = told(pytester, HYPOTHESIS, passed=2, failed=1)
    assert "prices = [95, 95, 95]" in said, "the workload is shrunk by hypothesis"
    assert "under schedule 1 of 3, seed 0: AssertionError" in said


def test_tests_that_ask_for_nothing_are_left_alone_and_nothing_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert [name for name in sys.modules if name.partition(".")[0] == "interlock"] == []
        """
    )
    done = a_process("-m", "pytest", *QUIET, "-p", "no:hypothesispytest", pytester.path, cwd=ROOT)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
