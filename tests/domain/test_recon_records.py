"""A reconcile as audit records: nothing is lost on the way there and back, however much was found."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from interlock.domain.errors import BadInput
from interlock.domain.findings import Finding, Tolerances
from interlock.domain.ids import canonical_json
from interlock.domain.ledgers import Position
from interlock.domain.recon_records import ReconRecord, ToldSummary, read_summaries, records_of
from interlock.domain.recon_report import ReconSummary, diffs_of, summarize
from interlock.domain.reconcile import LocalView, compare, position_finding
from tests.domain_builders import a_broker_order, a_fill, a_snapshot

pytestmark = pytest.mark.spec("DIF-6", "DIF-11")


def a_finding(number: int) -> Finding:
    """Return one position that is off by 1."""
    found = position_finding(f"S{number:05}", Decimal(number + 1), Decimal(number))
    assert found is not None
    return found


def a_summary(count: int, run_id: str = "rc-1") -> ReconSummary:
    """Return the summary of a reconcile that found so many positions off."""
    diffs = diffs_of((a_finding(number) for number in range(count)), run_id, 0)
    return summarize(diffs, run_id=run_id, now_ns=0, session_id="s", strategy_id="t", top_n=10)


def read(records: list[ReconRecord]) -> list[ToldSummary]:
    """Read records back, through JSON as a log does."""
    return read_summaries(
        (f"log:{at}", record.code, msgspec.json.decode(canonical_json(record.meta)))
        for at, record in enumerate(records, start=1)
    )


@pytest.mark.parametrize(("count", "more", "top"), [(0, 0, 0), (1, 0, 1), (500, 0, 10), (501, 1, 10), (1234, 2, 10)])
def test_every_diff_comes_back_however_many_there_are(count: int, more: int, top: int) -> None:
    summary = a_summary(count)
    records = list(records_of(summary, "reconcile", reason="cadence"))
    assert [record.code for record in records] == ["RECON_SUMMARY"] + more * ["RECON_DIFFS_MORE"] + top * ["RECON_DIFF"]
    assert max(len(canonical_json(record.meta)) for record in records) < 1 << 19
    [told] = read(records)
    assert (told.total_diffs, told.reason) == (count, "cadence")
    assert [diff.diff_id for diff in told.diffs] == [diff.diff_id for diff in summary.diffs]
    assert [diff.diff_id for diff in told.top_diffs] == [diff.diff_id for diff in summary.top_diffs]


def test_diffs_of_every_type_come_back_as_they_were() -> None:
    held = (Position("A", Decimal(1)),)
    view = LocalView(as_of_ns=0, orders=(), fills=(), fills_known=0, cursor=0, positions=held, cash=Decimal(5))
    told = a_snapshot({}, "4", (a_broker_order(),), (a_fill(),))
    diffs = diffs_of(compare(view, told, Tolerances(), 0), "rc-1", 0)
    summary = summarize(diffs, run_id="rc-1", now_ns=0, session_id="s", strategy_id="t")
    [back] = read(list(records_of(summary, "reconcile")))
    plain = msgspec.to_builtins(summary)
    assert {name: value for name, value in msgspec.to_builtins(back).items() if name in plain} == plain
    assert [diff.diff_type for diff in back.diffs] == ["POSITION", "CASH", "ORDER", "FILL"]


def test_two_reconciles_of_one_id_stay_apart() -> None:
    records = [*records_of(a_summary(501), "one"), *records_of(a_summary(2), "two")]
    assert [summary.total_diffs for summary in read(records)] == [501, 2]


def test_a_summary_that_lost_diffs_is_named() -> None:
    records = [record for record in records_of(a_summary(501), "one") if record.code != "RECON_DIFFS_MORE"]
    with pytest.raises(BadInput, match=r"^log:1: says 501 diffs and holds 500 "):
        read(records)
    with pytest.raises(BadInput, match=r"^log:1: RECON_DIFFS_MORE does not follow"):
        read(list(records_of(a_summary(501), "one"))[1:])
    alien = [*records_of(a_summary(1, "rc-2"), "one"), list(records_of(a_summary(501), "one"))[1]]
    with pytest.raises(BadInput, match=r"^log:3: "):
        read(alien)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("wrong", [{}, {"meta_left_out_bytes": 9}, {"schema": "ReconSummary/9"}, {"total_diffs": "x"}])
def test_a_record_that_is_no_summary_is_named(wrong: dict[str, object]) -> None:
    [good] = records_of(a_summary(0), "one")
    meta = {**good.meta, **wrong} if len(wrong) and "meta_left_out_bytes" not in wrong else wrong
    with pytest.raises(BadInput, match=r"^log:1: not what a reconcile writes: "):
        read([good._replace(meta=meta)])


def test_records_of_others_are_passed_over() -> None:
    assert read([ReconRecord("RECON_PLAN", "ask", {}, "WARN"), *records_of(a_summary(1), "one")])[0].total_diffs == 1
