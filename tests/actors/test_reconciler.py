"""The reconciler: two looks before it speaks, nothing concluded from silence, and one break is one finding."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain, repeat

import pytest

from interlock.domain.broker import BrokerSnapshot, CancelOrder, GetSnapshot, PositionClaim, Throttled, Unavailable
from interlock.domain.messages import RequestReconcile
from interlock.domain.session_states import SessionState
from interlock.mocks.exchange import Exchange
from tests.actors.stage import Move, Stage, behaves, does_silently, key_of, says, stays_silent
from tests.session_builders import BTC, ETH, Ran, a_day, run


def demand(stage: Stage, wait_s: float = 20) -> dict[str, object]:
    """Ask for a reconcile and return what it told."""
    before = len(stage.kept.payloads("RECONCILE"))
    stage.session.system.post("orchestrator", RequestReconcile())
    stage.wait(wait_s)
    told = stage.kept.payloads("RECONCILE")[before:]
    assert told[0]["reason"] == "demand"
    return told[0]


@pytest.mark.spec("REC-1", "REC-5")
def test_two_sides_that_agree_are_healthy_and_the_report_is_told() -> None:
    with Stage() as stage:
        stage.submit("d1")
        stage.submit("d2")
        stage.fill("d2", "1")
        told = demand(stage)
        assert (told["result"], told["reason"], told["fills"]) == ("healthy", "demand", 1)
        [*_, record] = stage.kept.audited("RECON_SUMMARY")
        assert told["reconcile_id"] in record["meta"].values()
        assert stage.counters["engine_reconcile_runs_total"] == 2


@pytest.mark.spec("REC-1")
def test_every_reconcile_has_an_id_of_its_own() -> None:
    ran = run(session={"duration_s": 1000})
    ids = [payload["reconcile_id"] for payload in ran.kept.payloads("RECONCILE")]
    assert len({*ids}) == len(ids) == 5


@pytest.mark.spec("REC-1")
def test_everything_that_differs_is_told() -> None:
    with Stage(reconcile={"observe": "true"}) as stage:
        stage.submit("d1")
        stage.submit("d2")
        stage.execute("d2", "0.5")
        stage.exchange.cancel(key_of("d1"))
        stage.exchange.positions[ETH] = Decimal(3)
        assert demand(stage)["findings"] == 6
        diffs = [diff["details"] for diff in stage.kept.payloads("RECON_DIFF")]
        assert {(diff["kind"], diff["subject"]) for diff in diffs} == {
            ("position_drift", BTC),
            ("position_drift", ETH),
            ("cash_mismatch", "cash"),
            ("stale_local_order", key_of("d1")),
            ("partial_fill_mismatch", key_of("d2")),
            ("fill_missing_locally", "f-0000001"),
        }
        assert len(stage.kept.audited("RECON_DIFF")) == 6
        assert stage.counters["reconcile_mismatches_total"] == 6


# -- the second look ----------------------------------------------------------------------------------------


@pytest.mark.spec("REC-7")
def test_a_fill_on_its_way_is_no_divergence() -> None:
    """It happened there, it has not been told yet: the first look differs, the second one agrees."""
    with Stage() as stage:
        stage.submit("d1")
        fill = stage.execute("d1", "0.5")
        stage.session.system.post("orchestrator", RequestReconcile())
        stage.wait(1)
        stage.tell(fill)
        stage.wait(10)
        told = stage.kept.payloads("RECONCILE")[-1]
        assert (told["result"], told["findings"]) == ("healthy", 0)
        assert told["dismissed"], "there was something to dismiss"
        assert not stage.trips


@pytest.mark.spec("REC-7")
def test_a_fill_that_was_never_told_is_one_after_the_second_look() -> None:
    with Stage() as stage:
        stage.submit("d1")
        stage.execute("d1", "0.5")
        assert demand(stage)["result"] == "findings"
        assert stage.trips[0] == "reconcile_divergence"
        kinds = [diff["details"]["kind"] for diff in stage.kept.payloads("RECON_DIFF")]
        assert "fill_missing_locally" in kinds


@pytest.mark.spec("REC-7")
def test_the_second_look_comes_after_the_grace_and_with_a_fresh_snapshot() -> None:
    with Stage(reconcile={"grace_s": 30}) as stage:
        stage.exchange.positions[BTC] += 1
        stage.session.system.post("orchestrator", RequestReconcile())
        stage.wait(29)
        assert (stage.asked(GetSnapshot), stage.state) == (2, SessionState.DRYRUN_ACTIVE)
        stage.wait(2)
        assert (stage.asked(GetSnapshot), stage.state) == (3, SessionState.STOPPING)


@pytest.mark.spec("REC-7")
def test_a_difference_that_the_broker_takes_back_is_dismissed() -> None:
    with Stage() as stage:
        stage.exchange.positions[BTC] += 1
        stage.session.system.post("orchestrator", RequestReconcile())
        stage.wait(1)
        stage.exchange.positions[BTC] -= 1
        stage.wait(10)
        assert stage.kept.payloads("RECONCILE")[-1]["dismissed"] == 1
        assert not stage.trips


@pytest.mark.spec("REC-7")
def test_two_fills_of_one_size_each_on_its_way_during_one_look_are_no_divergence() -> None:
    """Both looks differ by the same amount, but for two reasons, and neither lasted."""
    with Stage() as stage:
        stage.submit("d1")
        first = stage.execute("d1", "0.5")
        stage.session.system.post("orchestrator", RequestReconcile())
        stage.wait(1)
        stage.tell(first)
        second = stage.execute("d1", "0.5")
        stage.wait(4.5)
        stage.tell(second)
        assert not stage.trips


@pytest.mark.spec("REC-7", "FLT-2")
def test_a_cancel_in_doubt_is_no_divergence() -> None:
    """The cancel took effect there and its answer was lost; while we still ask, its absence proves nothing."""
    with Stage(cancel=[does_silently], broker={"timeout_s": 30}) as stage:
        stage.submit("d1")
        stage.cancel("d1")
        stage.until(lambda: stage.asked(CancelOrder) == 1)
        demand(stage)
        assert not stage.trips


@pytest.mark.spec("REC-7")
@pytest.mark.parametrize("seed", range(3))
def test_a_busy_day_that_is_compared_all_the_time_trips_over_nothing(seed: int) -> None:
    ran: Ran = run(
        session={"seed": seed},
        strategy=a_day(orders=150, every_s=0.7, market_permille=700),
        reconcile={"every_s": 3, "grace_s": 1},
        broker={"request_latency_s": 0.2, "report_latency_s": 0.4},
    )
    assert (ran.result.status, ran.result.view.trips) == ("COMPLETED", ())
    reports = ran.kept.payloads("RECONCILE")
    assert len(reports) > 20
    assert any(report["dismissed"] for report in reports), "there was something in flight"


# -- silence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (stays_silent, "waits for an answer of broker"),
        (says(Unavailable(reason="closed for the night")), "closed for the night"),
        (says(Throttled(retry_after_s=1)), "RATE_LIMITED"),
    ],
    ids=["silence", "transient error", "rate limit"],
)
@pytest.mark.spec("REC-6", "FLT-1", "FLT-2")
def test_a_broker_that_cannot_be_asked_is_a_result_of_its_own(answer: Move, detail: str) -> None:
    with Stage(snapshot=chain([behaves], repeat(answer, 4))) as stage:
        stage.submit("d1")
        stage.execute("d1", "0.5")
        told = demand(stage, wait_s=60)
        assert (told["result"], told["findings"]) == ("unavailable", 0)
        assert detail in str(told["detail"])
        assert (stage.trips, stage.kept.payloads("RECON_DIFF")) == ((), [])
        assert stage.kept.audited("ALERT_RECONCILE_FAILED")


@pytest.mark.spec("REC-6")
def test_a_second_look_that_gets_no_answer_concludes_nothing_either() -> None:
    with Stage(snapshot=chain([behaves, behaves], repeat(stays_silent, 4))) as stage:
        stage.exchange.positions[BTC] += 1
        assert demand(stage, wait_s=60)["result"] == "unavailable"
        assert not stage.trips


@pytest.mark.spec("REC-6")
def test_an_empty_account_is_not_what_silence_looks_like() -> None:
    """An honest snapshot of nothing does differ; only then is something concluded."""

    def nothing(exchange: Exchange, request: object, now_ns: int) -> BrokerSnapshot:
        return BrokerSnapshot(as_of_ns=now_ns, cursor=0, open_orders=(), fills=(), positions=(), cash=None)

    with Stage(snapshot=chain([behaves], repeat(Move(nothing)))) as stage:
        assert demand(stage)["result"] == "findings"
        assert stage.trips[0] == "reconcile_divergence"


# -- positions of a recording -------------------------------------------------------------------------------


@pytest.mark.spec("REC-10")
def test_after_a_finding_positions_go_on_from_what_the_broker_said() -> None:
    """Three claims in a row with one break: one finding, told with both sides."""
    with Stage(reconcile={"observe": "true"}) as stage:

        def claim(quantity: str, transaction: str) -> None:
            stage.tell(PositionClaim(symbol=BTC, quantity=Decimal(quantity), transaction_id=transaction, ts_ns=1))

        claim("20", "t1")
        claim("21.5", "t2")
        claim("21.5", "t3")
        stage.submit("d1")
        stage.fill("d1", "1")
        claim("22.5", "t4")
        [finding] = stage.session.reconciler.observed
        assert (finding.subject, finding.internal, finding.external, finding.delta) == (
            BTC,
            "20",
            "21.5",
            Decimal("-1.5"),
        )
        assert "t2" in stage.kept.payloads("RECON_DIFF")[0].values()
        stage.exchange.positions[BTC] = Decimal("22.5")
        assert demand(stage)["result"] == "healthy", "the re-base holds for whole reconciles as well"
        assert stage.stop().status == "COMPLETED"


def test_snapshots_ask_only_for_fills_that_were_not_compared_before() -> None:
    with Stage() as stage:
        stage.submit("d1")
        stage.fill("d1", "0.5")
        demand(stage)
        stage.fill("d1", "0.25")
        assert demand(stage)["fills"] == 1
        requests = stage.broker.requests
        asked = [request.fills_after for request in requests if isinstance(request, GetSnapshot)]
        assert asked == [0, 0, 1]
