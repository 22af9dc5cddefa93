"""A session that a test drives: submit, cancel, let time pass; every invariant is looked at after every step."""

from __future__ import annotations

from typing import Any, Final

from interlock.domain.instants import NS_PER_S, to_ns
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import CancelOutcome, SubmitIntent, SubmitOutcome
from interlock.domain.orders import Order
from interlock.domain.session_states import SessionState
from interlock.explore.run import Run
from interlock.sessions import SteppedSession
from interlock.testing.host import HOST, CancelThis, Host, SubmitThis

__all__ = ["HostedSession", "InvariantDoesNotHold"]

_BEGIN_S: Final = 5.0
"""Session time within which preflight is over, unless the broker cannot be asked."""


class InvariantDoesNotHold(AssertionError):
    """The message says which invariant, and how it is broken."""


class HostedSession:
    """One session on virtual time, from the side of its host. Its process may be killed and begun again under it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        config = run.plan.config
        self._defaults: dict[str, Any] = {"symbol": config.instruments[0].symbol, "side": "BUY", "quantity": "1"}
        strategy_id = config.session.strategy_id
        self._host = self.session.system.add(HOST, lambda ctx: Host(ctx, strategy_id))
        self._begin()

    def _begin(self) -> None:
        until_ns = self.now_ns + to_ns(_BEGIN_S)
        while self.state is SessionState.INIT and self.now_ns < until_ns:
            self._go(self.now_ns)

    def submit(self, decision_id: str, limit_price: object = None, **intent: Any) -> None:
        """Hand in an intent; what becomes of it is seen after ``run``, in ``orders`` and ``outcome``.

        Without a price it is a market order. Symbol, side and quantity are the first instrument, BUY and 1 unless said.
        """
        kind = {"order_type": "MARKET"} if limit_price is None else {"limit_price": str(limit_price)}
        made = OrderIntent.model_validate({"decision_id": decision_id, **self._defaults, **kind, **intent})
        self.session.system.post(HOST, SubmitThis(SubmitIntent(made)))

    def cancel(self, decision_id: str) -> None:
        """Ask for the cancel of a decision's order."""
        self.session.system.post(HOST, CancelThis(decision_id))

    def stop(self) -> None:
        """Ask the session to stop in good order."""
        self.session.stop("the test is done")

    def run(self, seconds: float | None = None) -> SessionState:
        """Let session time pass, so many seconds or to the end of the session, and return its state then.

        Raises:
            InvariantDoesNotHold: after one of the steps.
        """
        self._go(None if seconds is None else self.now_ns + to_ns(seconds))
        return self.state

    def _go(self, until_ns: int | None) -> None:
        run = self._run
        if not self.session.over:
            run.go(until_ns)
        broken = run.watch.broken
        if broken is not None:
            raise InvariantDoesNotHold(f"{broken.invariant}: {broken.text}")

    @property
    def session(self) -> SteppedSession:
        """Return the session itself, as it is after the last restart."""
        return self._run.session

    @property
    def now_ns(self) -> int:
        """Return the session's time, in nanoseconds since the epoch."""
        return self.session.system.clock.now_ns()

    @property
    def elapsed_s(self) -> float:
        """Return how much session time has passed, in seconds."""
        return (self.now_ns - self._run.start_ns) / NS_PER_S

    @property
    def state(self) -> SessionState:
        """Return the session's state."""
        return self.session.orchestrator.record.state

    @property
    def trips(self) -> tuple[str, ...]:
        """Return the codes of the rails that fired since the last start."""
        return tuple(self.session.orchestrator.record.trips)

    @property
    def kill_switch(self) -> str:
        """Return why the kill switch is set, or ""."""
        return self._run.store.kill_switch()

    @property
    def orders(self) -> dict[str, Order]:
        """Return every order by its decision, as the store has it."""
        return {order.decision_id: order for order in self._run.store.records()}

    def outcome(self, decision_id: str) -> SubmitOutcome | None:
        """Return what the host was told of a submit; None where it was told nothing, or not yet."""
        return self._host.submitted.get(decision_id)

    def cancel_outcome(self, decision_id: str) -> CancelOutcome | None:
        """Return what the host was told of a cancel; None where it was told nothing, or not yet."""
        return self._host.cancelled.get(decision_id)
