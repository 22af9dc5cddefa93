"""Orders of both sides: settled when they end alike, opened again when somebody speaks of them, forgotten otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.proof import write_logs
from interlock.domain.intents import Side
from interlock.prove import load_proof
from interlock.prove.pairs import Pairs
from interlock.prove.records import BrokerCancelled, BrokerFill
from interlock.prove.replay import Replay
from interlock.prove.trades import Trades
from tests.proof_builders import proved, report_of
from tools.stories import Story, key_of


def a_late_fill(name: str, quantity: str) -> Callable[[Story], None]:
    """Let the broker alone tell a fill of an order that ended alike on both sides."""

    def tell(story: Story) -> None:
        story.tell(
            BrokerFill,
            execution_id="x-late",
            client_order_id=key_of(name),
            broker_order_id="b-late",
            symbol="EURUSD",
            side=Side.BUY,
            quantity=quantity,
            price="1.09",
            fee="0",
        )

    return tell


@pytest.mark.parametrize(
    ("tell", "reasons"),
    [
        (a_late_fill("buy", "1"), ["fill_conflicting=1"]),
        (a_late_fill("sell", "1"), ["fill_conflicting=1"]),
        (
            a_late_fill("dropped", "5000"),
            ["drift of EURUSD: 5000.0 units", "fill_missing_locally=1", "partial_fill_mismatch=1"],
        ),
        (
            a_late_fill("dropped", "100000"),
            ["drift of EURUSD: 100000.0 units", "cancel_race=1", "fill_missing_locally=1"],
        ),
        (lambda story: story.fill("dropped", "x-late", "100000", "1.09"), []),
        (lambda story: story.fill("dropped", "x-late", "5000", "1.09"), []),
        (
            lambda story: story.fill("dropped", "x-late", "5000", "1.09", there=False),
            ["drift of EURUSD: 5000.0 units", "fill_orphaned=1", "partial_fill_mismatch=1"],
        ),
    ],
)
def test_what_comes_after_both_sides_ended_alike_still_counts(
    tell: Callable[[Story], None], reasons: list[str], tmp_path: Path
) -> None:
    outcome = proved(tmp_path / "p", tell)
    assert [reason.partition(",")[0] for reason in outcome.reasons] == reasons


def test_an_end_told_again_settles_the_order_again(tmp_path: Path) -> None:
    outcome = proved(tmp_path / "p", lambda story: story.end("dropped", BrokerCancelled, "0", here=False))
    assert outcome.reasons == ()
    assert report_of(outcome)["counts"]["orders_compared"] == 4


def test_only_open_orders_and_digests_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the logs, no more pairs and executions are held than are open at a time."""
    write_logs(tmp_path, 5000)
    most = 0
    settle = Pairs.settle

    def watched(pairs: Pairs, *arguments: object) -> None:
        nonlocal most
        settle(pairs, *arguments)  # type: ignore[arg-type]  # passed on
        most = max(most, len(pairs.open))

    monkeypatch.setattr(Pairs, "settle", watched)
    written: list[bytes] = []
    trades = Trades(written.append)
    replay = Replay(load_proof(tmp_path / "proof.yaml"), tmp_path / "events.jsonl", tmp_path / "journal.jsonl", trades)
    forced = replay.run()
    assert forced.stays == ()
    # The logs are merged by second, and a second holds some hundred orders here.
    assert 50 <= most <= 600
    assert (len(replay.pairs.open), len(replay.pairs)) == (0, 2000)
    assert trades.count == 3000
    assert max(len(piece) for piece in written) < 200_000, "trades are written on the way"
    assert len(written) == 4
