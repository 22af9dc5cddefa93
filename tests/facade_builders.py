"""A dry run through the synchronous facade, into lists unless a test gives other sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from interlock import DryrunConfig, DryrunResult, LiveSessionOrchestrator, LiveTestOverride

__all__ = ["NEW_YEAR", "SINKS", "FixedClock", "Outcome", "a_config"]

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SINKS = ("event_sink", "state_sink", "metrics_sink", "audit_sink")


class FixedClock:
    """A host's clock that stands still."""

    def __init__(self, instant: datetime = NEW_YEAR) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


def a_config(**wanted: Any) -> DryrunConfig:
    """Return the config of the runbook's own run."""
    content: dict[str, Any] = {"strategy_id": "strat_demo", "run_id": "run_demo_001", "seed": 123}
    return DryrunConfig(**content | wanted)


class Outcome:
    """A dry run into lists, unless other sinks are given."""

    def __init__(
        self,
        cfg: DryrunConfig | None = None,
        *,
        clock: FixedClock | None = None,
        override: LiveTestOverride | None = None,
        sleep_fn: Callable[[float], None] | None = None,
        sinks: Mapping[str, Any] | None = None,
    ) -> None:
        self.sinks: dict[str, Any] = {name: [] for name in SINKS} | dict(sinks or {})
        self.result: DryrunResult = LiveSessionOrchestrator().run_dryrun(
            cfg or a_config(), clock=clock or FixedClock(), test_override=override, sleep_fn=sleep_fn, **self.sinks
        )

    def __getitem__(self, sink: str) -> list[dict[str, Any]]:
        return list(self.sinks[sink])

    @property
    def codes(self) -> list[str]:
        """Return the codes of the audit log."""
        return [record["code"] for record in self["audit_sink"]]
