"""The kit: every rule on a fresh adapter, each in an event loop of its own and with a deadline.

Real time, but nothing sleeps to put events in order: the double says what has happened. An adapter that blocks the
thread of its loop cannot be bounded from within it.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from interlock.certify.bench import Target
from interlock.certify.case import Case, Skip, Wrong, trades
from interlock.certify.report import CertifyReport, Outcome, RuleResult, Verdict
from interlock.certify.rules import RULES, For, Rule
from interlock.domain.errors import BadInput, DeadlineExceeded
from interlock.runtime.clock import RealClock
from interlock.runtime.redaction import redact_exception, scrub

__all__ = ["TIMEOUT_S", "certify", "tried"]

TIMEOUT_S: Final = 5.0
"""How long one rule may take."""

_EVIDENCE_MAX: Final = 600

_Judged = tuple[Outcome, str]


def certify(
    target: Target, rules: tuple[Rule, ...] = RULES, *, name: str = "target", timeout_s: float = TIMEOUT_S
) -> CertifyReport:
    """Hold an adapter to every rule that is for its kind. Not to be called inside an event loop.

    Raises:
        BadInput: nothing can be made of the target; no rule was tried.
    """
    broker, trader = _looked_at(target, name, timeout_s)
    ours = tuple(rule for rule in rules if _is_for(rule, trader=trader))
    results = tuple(tried(target, rule, timeout_s=timeout_s) for rule in ours)
    counts = Counter(result.outcome for result in results)
    verdict = Verdict.INCOMPLETE if counts[Outcome.SKIPPED] or not results else Verdict.CERTIFIED
    return CertifyReport(
        target=name,
        broker=broker,
        kind="trader" if trader else "reader",
        results=results,
        verdict=Verdict.FAILED if counts[Outcome.FAILED] else verdict,
        passed=counts[Outcome.PASSED],
        failed=counts[Outcome.FAILED],
        skipped=counts[Outcome.SKIPPED],
    )


def tried(target: Target, rule: Rule, *, timeout_s: float = TIMEOUT_S) -> RuleResult:
    """Hold a fresh adapter to one rule."""
    try:
        outcome, evidence = asyncio.run(_on_fresh(target, rule, timeout_s))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code: the double, or a task of the adapter
        outcome, evidence = Outcome.FAILED, _seen(error)
    line = scrub(" ".join(evidence.split()))[:_EVIDENCE_MAX]
    return RuleResult(rule.id, rule.name, rule.holds, rule.port, outcome, line)


async def _on_fresh(target: Target, rule: Rule, timeout_s: float) -> _Judged:
    async with _fresh(target) as made:
        case = Case(made, timeout_s)
        if not _is_for(rule, trader=trades(case.reader)):
            return Outcome.SKIPPED, f"it is for {rule.whom}"
        lacking = [hook for hook in rule.needs if not hasattr(case.bench, hook)]
        if lacking:
            return Outcome.SKIPPED, f"the bench has no {', '.join(lacking)}"
        try:
            with RealClock().deadline(timeout_s):
                return await _judged(case, rule)
        except DeadlineExceeded:
            return Outcome.FAILED, f"it took longer than {timeout_s} s"
        finally:
            await case.end()


async def _judged(case: Case, rule: Rule) -> _Judged:
    """Return what a check says; inside the deadline, so that a time-out of the adapter is not taken for ours."""
    try:
        return Outcome.PASSED, await rule.check(case)
    except Wrong as error:
        return Outcome.FAILED, str(error)
    except Skip as error:
        return Outcome.SKIPPED, str(error)
    except Exception as error:  # noqa: BLE001 - foreign code: whatever it raises is what was found
        return Outcome.FAILED, _seen(error)


@asynccontextmanager
async def _fresh(target: Target) -> AsyncIterator[object]:
    """Make a bench, and end it where it can be ended."""
    made = target()
    if inspect.isawaitable(made):
        made = await made
    if hasattr(made, "__aenter__"):
        async with made as entered:
            yield entered
    else:
        yield made


def _looked_at(target: Target, name: str, timeout_s: float) -> tuple[str, bool]:
    """Return what the broker is called, and whether it is a trader."""

    async def look() -> tuple[str, bool]:
        with RealClock().deadline(timeout_s):
            async with _fresh(target) as made:
                case = Case(made, timeout_s)
                return scrub(str(getattr(case.reader, "name", "")))[:64], trades(case.reader)

    try:
        return asyncio.run(look())
    except (Exception, SystemExit) as error:  # foreign code that may raise anything
        raise BadInput(name, f"cannot be made: {_seen(error)}", "a callable without arguments") from error


def _is_for(rule: Rule, *, trader: bool) -> bool:
    return rule.whom in (For.ALL, For.TRADERS if trader else For.READERS)


def _seen(error: BaseException) -> str:
    """Return an error, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"it raised {redact_exception(error)}{where}"
