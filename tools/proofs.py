"""Writes the proofs in configs/proofs: `python -m tools.proofs`.

Each is a story on top of one healthy day, and the expectation that says what has to be found in it. The logs are
generated, so that checksums and keys hold; a test keeps the files equal to what stands here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from interlock.domain.intents import Side
from interlock.prove.records import BrokerCancelled, BrokerExpired, BrokerFill
from tools.stories import Story, key_of

__all__ = ["FOLDER", "PROOFS", "Proof", "files_of", "main", "written"]

FOLDER: Final = Path(__file__).resolve().parent.parent / "configs" / "proofs"

_CONFIG: Final = """# {title}
#
#   interlock prove configs/proofs/{name}.yaml
#
# Written by `python -m tools.proofs`; docs/proofs.md has the formats.
schema: ProofConfig/1
shows: {shows}
inputs:
  events: {name}/events.jsonl
  journal: {name}/journal.jsonl
  cache: {name}/cache.jsonl
instruments:
  - {{symbol: EURUSD, pip_size: "0.0001"}}
opening:
  cash: "1000000"
slippage_presets:
  - {{symbol: EURUSD, session: eu, max_slippage_pips: "1"}}
expect:
{expect}
"""


class Proof(NamedTuple):
    """One proof: what it shows, what is expected of it, and the story behind its logs."""

    title: str
    shows: str
    expect: tuple[str, ...]
    tell: Callable[[Story], None]


def healthy_day() -> Story:
    """Return a day on which both sides know the same: two orders filled, one in pieces; one cancelled; one open."""
    story = Story()
    story.send("buy")
    story.accept("buy")
    story.fill("buy", "x-1", "40000", "1.1", "2")
    story.fill("buy", "x-2", "60000", "1.1", "3")
    story.send("sell", Side.SELL, "50000", "1.1")
    story.accept("sell")
    story.fill("sell", "x-3", "50000", "1.1002")
    story.send("dropped", limit_price="1.09", reference_price="1.09")
    story.accept("dropped")
    story.end("dropped", BrokerCancelled, "0")
    story.send("resting", limit_price="1.095", reference_price="1.095")
    story.accept("resting")
    return story


def _nothing(story: Story) -> None:
    story.state_position("50000", "1.1")
    story.state_cash("945005")


def _stale(story: Story) -> None:
    story.end("resting", BrokerExpired, "0", here=False)


def _orphan(story: Story) -> None:
    story.state_order("somebody-else-1")


def _drift_pips(story: Story) -> None:
    story.state_position("50000", "1.10007")


def _drift_within(story: Story) -> None:
    story.state_position("50000", "1.10001")


def _drift_units(story: Story) -> None:
    story.state_position("49000")


def _partial(story: Story) -> None:
    story.fill("resting", "x-4", "30000", "1.095", here=False)
    story.state_position("80000")


def _duplicates(story: Story) -> None:
    for event in [event for event in story.events if isinstance(event, BrokerFill)][:2]:
        story.repeat(event)


def _cancel_race(story: Story) -> None:
    story.end("resting", BrokerCancelled, "0", there=False)


def _late_fill(story: Story) -> None:
    story.end("resting", BrokerCancelled, "0")
    story.fill("resting", "x-4", "30000", "1.095")


def _conflicting(story: Story) -> None:
    story.tell(
        BrokerFill,
        execution_id="x-3",
        client_order_id=key_of("sell"),
        broker_order_id="b-sell",
        symbol="EURUSD",
        side=Side.SELL,
        quantity="40000",
        price="1.1002",
        fee="0",
    )


def _overfill(story: Story) -> None:
    story.fill("resting", "x-4", "100001", "1.095", here=False)


def _slipped(story: Story) -> None:
    story.fill("resting", "x-4", "100000", "1.09512")


PROOFS: Final = {
    "healthy": Proof(
        "Both sides know the same. The summary is the line that a healthy restart prints.",
        "two sides that agree on orders, fills, position, average price and cash",
        ("  stale: 0",),
        _nothing,
    ),
    "stale_order": Proof(
        "An order expired at the broker and nobody told us: it is still open in our journal.",
        "an order that is open here and not there",
        ("  stale: 1",),
        _stale,
    ),
    "orphan_order": Proof(
        "The broker states an open order under a key that was never ours.",
        "an order that is open there and unknown here",
        ("  orphan: 1",),
        _orphan,
    ),
    "drift_pips": Proof(
        "The broker has an average price that is 0.7 pips from ours; half a pip is tolerated.",
        "an average price that drifted by more than half a pip",
        ("  drift:", '    - {symbol: EURUSD, drift: "0.7"}'),
        _drift_pips,
    ),
    "drift_within_tolerance": Proof(
        "The broker has an average price that is 0.1 pips from ours: it is shown, and is no failure.",
        "an average price that drifted by less than half a pip",
        ("  stale: 0", "  summary_tokens: [drift=0.1]"),
        _drift_within,
    ),
    "drift_units": Proof(
        "The broker says it holds 1,000 units less than our fills sum to, and no fill explains it.",
        "a position that drifted by units",
        ("  drift:", '    - {symbol: EURUSD, drift: "1000"}'),
        _drift_units,
    ),
    "partial_fill_caught": Proof(
        "The broker tells a part of an order to be filled, our journal does not know it: the reconcile takes it in.",
        "a partial fill that only the broker told, caught by the reconcile",
        ("  caught: 1",),
        _partial,
    ),
    "cache_damaged": Proof(
        "One byte of the idempotency cache is not the one that was written.",
        "an idempotency cache with one byte flipped",
        ("  cache_ok: false",),
        _nothing,
    ),
    "duplicate_fills": Proof(
        "The broker tells two executions a second time, word for word: they change nothing and are counted.",
        "executions that were told twice",
        ("  duplicates: 2",),
        _duplicates,
    ),
    "cancel_race": Proof(
        "Our journal says cancelled, the broker's log never does: the order is still open there.",
        "an order that is cancelled here and open there",
        ("  findings:", "    cancel_race: 1"),
        _cancel_race,
    ),
    "fill_after_cancel": Proof(
        "An execution crossed the cancel, and both sides booked it: applied, noted in the report, no difference.",
        "an execution after the cancel that both sides know",
        ("  stale: 0",),
        _late_fill,
    ),
    "conflicting_fill": Proof(
        "The broker tells a known execution id with another quantity: it is booked nowhere.",
        "one execution id with two contents",
        ("  findings:", "    fill_conflicting: 1"),
        _conflicting,
    ),
    "fill_larger_than_order": Proof(
        "The broker tells an execution that is larger than its order: it is booked nowhere.",
        "an execution larger than its order",
        ("  findings:", "    fill_conflicting: 1"),
        _overfill,
    ),
    "slippage": Proof(
        "A fill is 1.2 pips worse than the price that was decided on; the preset of the session allows 1.",
        "a fill that slipped more than its preset allows",
        ("  slippage: 1",),
        _slipped,
    ),
}


def files_of(name: str) -> dict[str, bytes]:
    """Return the files of one proof by their paths below the folder of proofs."""
    proof = PROOFS[name]
    story = healthy_day()
    proof.tell(story)
    files = {f"{name}/{file}": content for file, content in story.files().items()}
    if name == "cache_damaged":
        cache = bytearray(files[f"{name}/cache.jsonl"])
        cache[len(cache) // 2] ^= 1
        files[f"{name}/cache.jsonl"] = bytes(cache)
    config = _CONFIG.format(name=name, title=proof.title, shows=proof.shows, expect="\n".join(proof.expect))
    return {f"{name}.yaml": config.encode(), **files}


def written(folder: Path = FOLDER) -> list[Path]:
    """Write all proofs and return the files."""
    paths: list[Path] = []
    for name in PROOFS:
        for file, content in files_of(name).items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths.append(path)
    return paths


def main() -> int:
    """Write the proofs of the project."""
    print(f"{len(written())} files in configs/proofs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
