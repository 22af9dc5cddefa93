"""Both logs of a proof, read side by side into the two sides, and then the one reconcile.

What both sides know of an execution is checked for slippage and written to the trades the moment the second of them
tells it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from interlock.domain.ids import canonical_json, stable_id
from interlock.domain.instants import from_datetime
from interlock.domain.ledgers import AccountLedger
from interlock.domain.order_states import OrderState
from interlock.prove.broker_side import BrokerSide
from interlock.prove.cache import Cache
from interlock.prove.engine_side import EngineSide
from interlock.prove.executions import Execution, Executions
from interlock.prove.forced import Forced, Sides, force_reconcile
from interlock.prove.lines import RecordFile, RecordReader, in_order
from interlock.prove.model import ProofConfig
from interlock.prove.notes import Notes
from interlock.prove.pairs import Pair, Pairs
from interlock.prove.records import BROKER_EVENTS, BrokerEvent, OrderVersion
from interlock.prove.slippage_check import SlippageCheck
from interlock.prove.trades import Trades

__all__ = ["EVENT_READER", "VERSION_READER", "Replay"]

EVENT_READER: Final[RecordReader[BrokerEvent]] = RecordReader(
    BROKER_EVENTS, *(f"{kind.__name__}/1" for kind in BROKER_EVENTS)
)
VERSION_READER: Final[RecordReader[OrderVersion]] = RecordReader((OrderVersion,), "OrderVersion/1")


class Replay:
    """One reading of both logs; ``trades`` takes what is reconciled."""

    def __init__(self, config: ProofConfig, events: Path, journal: Path, trades: Trades) -> None:
        self.events = RecordFile(events, EVENT_READER)
        self.journal = RecordFile(journal, VERSION_READER)
        self.trades = trades
        self.slippage = SlippageCheck(config)
        self.notes = Notes()
        self.pairs = Pairs()
        self.now_ns = 0
        """When the last record of both logs was written."""
        executions = Executions()
        opening = config.opening
        ledger = AccountLedger(opening.cash, opening.positions)
        self._broker = BrokerSide(self.pairs, executions, self.notes, opening.positions, self._matched)
        self._engine = EngineSide(self.pairs, executions, self.notes, ledger, self._matched)
        self._sides = Sides(self._broker, self._engine, self.pairs, executions, self.notes, config.limits)

    def run(self) -> Forced:
        """Read both logs to their ends and reconcile once; raises BadInput."""
        in_order(self.journal, self._engine.take, self.events, self._broker.take)
        self.now_ns = max(from_datetime(file.latest) for file in (self.journal, self.events) if file.latest is not None)
        forced = force_reconcile(self._sides, self.now_ns)
        for execution, pair in forced.caught:
            self._reconciled(execution, pair, "caught")
        self.trades.flush()
        return forced

    def missing_in(self, cache: Cache) -> str:
        """Return which open order of ours the cache would let be sent again, or ""."""
        for pair in self.pairs.open.values():
            order = pair.ours
            if order is not None and order.live and order.state is not OrderState.NEW:
                complaint = cache.misses(order)
                if complaint:
                    return complaint
        return ""

    def reconcile_id(self, config: ProofConfig, cache: Cache) -> str:
        """Return an id that depends on what went in and on nothing else."""
        # A key that came later counts where it is said, so that the ids of older proofs stay.
        unsaid = {"slippage_sessions"} - config.model_fields_set
        tree = canonical_json(config.model_dump(mode="json", exclude={"inputs"} | unsaid)).decode()
        return "rc-" + stable_id("proof", tree, self.events.digest, self.journal.digest, cache.sha256)[:16]

    def _matched(self, execution: Execution, pair: Pair) -> None:
        self._reconciled(execution, pair, "matched")

    def _reconciled(self, execution: Execution, pair: Pair, how: str) -> None:
        if pair.ours is not None:
            self.slippage.check(execution, pair.ours)
        self.trades.add(execution, how)
