"""The recorder of an explored run: counts everything, formats nothing, and remembers the last things that were said."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import ClassVar, Final, Protocol

import msgspec

from interlock.domain.ids import canonical_json
from interlock.domain.instants import rfc3339
from interlock.domain.orders import Order
from interlock.explore.coverage import FAULT_STATES
from interlock.runtime.actor import AuditLevel
from interlock.runtime.recorder import AuditKeeper, RunRecorder, RunSinks
from interlock.runtime.sinks import Sink

__all__ = ["HashingRecorder", "Log", "QuietRecorder", "told"]

_LAST: Final = 60


def _no_pause(_: float) -> None:
    """Do not wait: nothing is written."""


@cache
def _nowhere() -> RunSinks:
    """Return sinks to which nothing is ever written, so that all runs may have the same."""
    sinks = (Sink(name, None, max_retries=0, sleep=_no_pause) for name in ("events", "states", "metrics", "audit"))
    return RunSinks(*sinks)


class Log(Protocol):
    """Takes bytes, such as a hash does."""

    def update(self, data: bytes, /) -> None:
        """Take more."""


class QuietRecorder(RunRecorder):
    """Keeps counters, which several sessions of one run may share, and the last words; writes nowhere."""

    wants_metrics: ClassVar[bool] = False

    def __init__(
        self, run_id: str, strategy_id: str, counters: dict[str, int], said: deque[tuple[object, ...]]
    ) -> None:
        super().__init__(run_id, strategy_id, _nowhere())
        self.counters = counters
        self.alert_sinks = ()
        self.live: Mapping[str, Order] = {}
        """The orders that may be live, once the session is made: what a fault strikes is counted with their states."""
        self._said = said

    @staticmethod
    def memory() -> deque[tuple[object, ...]]:
        """Return where the last words of a run are kept."""
        return deque(maxlen=_LAST)

    def keep_with(self, keeper: AuditKeeper) -> None:
        """Give the store no lines: there are none."""

    def event(self, now_ns: int, actor: str, event_type: str, payload: Mapping[str, object]) -> None:
        """Remember one event."""
        self.events += 1
        self._said.append((now_ns, actor, event_type, payload))
        if event_type == "FAULT":
            self._struck(payload["fault"])

    def _struck(self, fault: object) -> None:
        for state in {order.state: None for order in self.live.values()}:
            self.count(f"{FAULT_STATES}|{fault}|{state}")

    def audit(
        self, now_ns: int, actor: str, code: str, message: str, meta: Mapping[str, object], level: AuditLevel
    ) -> None:
        """Remember what is more than information."""
        if level != "INFO":
            self._said.append((now_ns, actor, code, {"message": message, **meta}))

    def state(self, now_ns: int, view: Mapping[str, object]) -> None:
        """Write no snapshot."""

    def flush(self) -> None:
        """Do nothing: no line is buffered."""

    def probe(self) -> str:
        """Return "": nothing can be wrong with sinks that are not there."""
        return ""


class HashingRecorder(QuietRecorder):
    """Hands everything that is said to a log as well, as it is: two runs that differ anywhere differ there."""

    def __init__(
        self,
        run_id: str,
        strategy_id: str,
        counters: dict[str, int],
        said: deque[tuple[object, ...]],
        log: Log,
    ) -> None:
        super().__init__(run_id, strategy_id, counters, said)
        self._heard = log
        # Unsorted: what comes out of a set in another order is another log.
        self._plain = msgspec.json.Encoder(decimal_format="string").encode

    def event(self, now_ns: int, actor: str, event_type: str, payload: Mapping[str, object]) -> None:
        """Log one event and remember it."""
        self._heard.update(self._plain((now_ns, actor, event_type, payload)))
        super().event(now_ns, actor, event_type, payload)

    def audit(
        self, now_ns: int, actor: str, code: str, message: str, meta: Mapping[str, object], level: AuditLevel
    ) -> None:
        """Log one audit record, and remember it where it is more than information."""
        self._heard.update(self._plain((now_ns, actor, code, message, meta, level)))
        super().audit(now_ns, actor, code, message, meta, level)

    def state(self, now_ns: int, view: Mapping[str, object]) -> None:
        """Log one snapshot of the session's state."""
        self._heard.update(self._plain((now_ns, view)))


def told(said: deque[tuple[object, ...]]) -> tuple[str, ...]:
    """Return the last words as lines."""
    return tuple(
        f"{rfc3339(now_ns)} {actor} {what} {canonical_json(payload).decode()}"  # type: ignore[arg-type]
        for now_ns, actor, what, payload in said
    )
