"""One proof from its inputs to its four artifacts: the loop is off, one reconcile is forced, nothing reads a clock.

Both logs are read side by side, once, in the order of their times; what agrees on both sides is written to
``trades.csv`` and forgotten. So memory grows with what is open, with what differs and with the digests that tell a
repeat from something new, not with the logs. What was written is read back before it is kept, and judged like all else.
"""

from __future__ import annotations

from decimal import localcontext
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.errors import BadInput
from interlock.domain.findings import FindingKind
from interlock.domain.money import ARITHMETIC
from interlock.prove.cache import Cache, read_cache
from interlock.prove.figures import Figures, drifts_of, other_kinds, summary_line
from interlock.prove.folder import ProofFolder
from interlock.prove.forced import Forced
from interlock.prove.metrics import metrics_text
from interlock.prove.model import ProofConfig, load_proof
from interlock.prove.replay import Replay
from interlock.prove.report import InputSeen, Report, report_bytes
from interlock.prove.trades import Trades
from interlock.prove.verdict import differences, missing_texts

__all__ = ["PROOFS", "Outcome", "ProofFiles", "prove", "prove_config"]

PROOFS: Final = Path("out/proofs")
"""Where proofs go unless somebody says otherwise, each under its name."""


class ProofFiles(msgspec.Struct, frozen=True):
    """Where the three logs of a proof are."""

    events: Path
    journal: Path
    cache: Path


class Outcome(msgspec.Struct, frozen=True):
    """How a proof ended: its summary line, and a line for each thing that is not as expected."""

    name: str
    shows: str
    folder: Path
    summary: str
    figures: Figures
    reasons: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Return whether everything was as expected."""
        return not self.reasons


def prove_config(path: Path, out: Path | None = None, files: ProofFiles | None = None) -> Outcome:
    """Run the proof that a config describes; ``files`` stand in for the inputs that it names.

    Without ``out`` the artifacts go to ``out/proofs/NAME``.

    Raises:
        BadInput: config or inputs are not as they must be; nothing was written.
        StorageError: the disk refused the artifacts.
    """
    config = load_proof(path)
    if files is None:
        named = config.inputs
        if named is None:
            raise BadInput(f"{path}: inputs", "are missing", "events, journal and cache, here or as options")
        files = ProofFiles(*(path.parent / name for name in (named.events, named.journal, named.cache)))
    return prove(config, files, PROOFS / str(config.name) if out is None else out)


def prove(config: ProofConfig, files: ProofFiles, out: Path) -> Outcome:
    """Run one proof and leave its four artifacts in ``out``; raises BadInput and StorageError as ``prove_config``."""
    with ProofFolder(out) as folder, localcontext(ARITHMETIC):
        cache = read_cache(files.cache)
        replay = Replay(config, files.events, files.journal, Trades(folder.stream("trades.csv")))
        forced = replay.run()
        complaint = cache.complaint or replay.missing_in(cache)
        figures = _figures(forced, replay, cache_ok=not complaint)
        breaches = replay.slippage.breaches
        found = differences(figures, config.expect, forced.stays, breaches, complaint)
        report = Report(
            name=str(config.name),
            reconcile_id=replay.reconcile_id(config, cache),
            now_ns=replay.now_ns,
            inputs=_seen(files, replay, cache),
            figures=figures,
            stays=forced.stays,
            resolved=forced.resolved,
            findings_left_out=replay.notes.left_out,
            orders_compared=len(replay.pairs),
            executions_reconciled=replay.trades.count,
            noted=replay.notes.counts,
            slippage=tuple(breaches),
            cache_complaint=complaint,
            differences=found,
        )
        folder.write("reconcile-report.json", report_bytes(report))
        folder.write("summary.txt", f"{summary_line(figures)}\n".encode())
        worst = float(replay.slippage.worst)
        folder.write("metrics.txt", metrics_text(figures, len(cache), replay.slippage.hits, worst))
        summary = folder.read("summary.txt")
        reasons = (*found, *missing_texts(summary, folder.read("metrics.txt"), config.expect))
        kept = folder.keep()
    return Outcome(str(config.name), config.shows, kept, summary.rstrip("\n"), figures, reasons)


def _figures(forced: Forced, replay: Replay, *, cache_ok: bool) -> Figures:
    stays = forced.stays
    return Figures(
        stale=sum(finding.kind is FindingKind.STALE_LOCAL_ORDER for finding in stays),
        orphan=sum(finding.kind is FindingKind.ORPHAN_BROKER_ORDER for finding in stays),
        drifts=drifts_of(stays),
        duplicates=replay.notes.counts.get("duplicates", 0),
        caught=len(forced.caught),
        slippage=replay.slippage.breached,
        cache_ok=cache_ok,
        others=other_kinds(stays),
    )


def _seen(files: ProofFiles, replay: Replay, cache: Cache) -> dict[str, InputSeen]:
    return {
        "events": InputSeen(files.events.name, replay.events.digest, replay.events.count),
        "journal": InputSeen(files.journal.name, replay.journal.digest, replay.journal.count),
        "cache": InputSeen(files.cache.name, cache.sha256, len(cache)),
    }
