"""Playing a recording: the real sizes, times and order, one claim a transaction, one break one finding."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from interlock.domain.broker import CancelOrder, Fill, GetSnapshot, PlaceOrder, PositionClaim, QueryOrder
from interlock.domain.errors import UnknownMessage
from interlock.domain.ids import client_order_id
from interlock.domain.intents import Side
from interlock.mocks.broker import StartMarket
from interlock.mocks.exchange import Exchange, OpeningBook
from interlock.mocks.playback import LEAD_NS, RecordedBroker, script_of
from interlock.mocks.recording import RecordedExecution, Recording, build_recording, load_recording
from interlock.mocks.trading import MarketSettings
from interlock.runtime.actor import Context
from interlock.runtime.clock import VirtualClock
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import playing, settle
from tests.session_builders import Ran, exchange_of, orders_of, positions_of, run

pytestmark = pytest.mark.spec("REC-10")

BEGIN_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


class Piece(NamedTuple):
    """One recorded fill, in short: order, when, transaction, claimed start, and what it adds."""

    oid: int
    at_s: int
    transaction: str
    start: str
    adds: str
    symbol: str = "SUI"


def a_recording(*pieces: Piece) -> Recording:
    """Return the recording of these fills, each at price 2 plus its order's number."""
    seen: dict[int, int] = {}
    fills = []
    for piece in pieces:
        seen[piece.oid] = seen.get(piece.oid, 0) + 1
        adds = Decimal(piece.adds)
        fills.append(
            RecordedExecution(
                fill_id=f"rec-{piece.oid}-{seen[piece.oid]}",
                broker_oid=str(piece.oid),
                symbol=piece.symbol,
                side=Side.BUY if adds > 0 else Side.SELL,
                quantity=abs(adds),
                price=Decimal(2 + piece.oid),
                fee=Decimal("0.01"),
                closed_pnl=Decimal(0),
                start_position=Decimal(piece.start),
                time_ns=BEGIN_NS + piece.at_s * SECOND_NS,
                transaction_id=piece.transaction,
                is_taker=True,
            )
        )
    return build_recording("made up", "0" * 64, tuple(fills))


SMALL = (
    Piece(1, 0, "t1", "10", "1"),
    Piece(2, 0, "t1", "10", "2"),
    Piece(3, 5, "t2", "-4", "-1", "ADA"),
    Piece(1, 9, "t3", "13", "3"),
)
"""Three orders, one of them in two pieces; SUI goes from 10 to 16, ADA from -4 to -5."""

WITH_BREAK = (*SMALL, Piece(4, 20, "t4", "17.5", "1"), Piece(5, 30, "t5", "18.5", "-0.5"))
"""After t3 we hold 16 SUI; the broker says 17.5 and goes on from there."""

SELF_TRADE = (
    Piece(1, 0, "t1", "10", "4"),
    Piece(2, 0, "t1", "10", "-4"),
    Piece(3, 5, "t2", "10", "1"),
)
"""The account trades with itself: both sides claim the same start."""


def play(*pieces: Piece) -> Ran:
    """Run a session on a recording to its end."""
    return run(recording=a_recording(*pieces), session={"duration_s": 3600}, strategy={"linger_s": 60})


def test_every_order_is_asked_for_in_its_size_before_its_first_fill() -> None:
    script = script_of(a_recording(*SMALL))
    told = [
        (
            step.at_ns / SECOND_NS,
            step.intent.decision_id,
            step.intent.side,
            str(step.intent.quantity),
            step.intent.symbol,
        )
        for step in script
        if step.intent is not None
    ]
    assert LEAD_NS == 5 * SECOND_NS
    assert told == [
        (4, "rec-1", "BUY", "4", "SUI"),
        (4, "rec-2", "BUY", "2", "SUI"),
        (9, "rec-3", "SELL", "1", "ADA"),
    ]


def test_a_small_recording_plays_to_its_end_and_both_sides_agree() -> None:
    ran = play(*SMALL)
    assert (ran.result.status, ran.result.view.trips) == ("COMPLETED", ())
    assert {name: (str(order.state), str(order.filled)) for name, order in orders_of(ran.session).items()} == {
        "rec-1": ("FILLED", "4"),
        "rec-2": ("FILLED", "2"),
        "rec-3": ("FILLED", "1"),
    }
    assert positions_of(ran.session) == {"ADA": "-5", "SUI": "16"}
    assert {symbol: str(held) for symbol, held in exchange_of(ran.session).positions.items()} == {
        "ADA": "-5",
        "SUI": "16",
    }
    assert ran.session.reconciler.observed == []
    assert ran.kept.payloads("RECORDING_ENDED") == [{"fills": 4}]
    assert ran.kept.metrics[0]["cash"] is None, "a recording of fills does not tell it"


def test_fills_keep_their_times_prices_fees_and_order() -> None:
    ran = play(*SMALL)
    booked = ran.session.orchestrator.desk.book.exposure.fills.since(0)
    assert [(fill.fill_id, (fill.ts_ns - BEGIN_NS) / SECOND_NS, str(fill.price), str(fill.fee)) for fill in booked] == [
        ("rec-1-1", 0, "3", "0.01"),
        ("rec-2-1", 0, "4", "0.01"),
        ("rec-3-1", 5, "5", "0.01"),
        ("rec-1-2", 9, "3", "0.01"),
    ]
    told = [(event["ts_sim"] - LEAD_NS) / SECOND_NS for event in ran.kept.events if "fill_id" in event["payload"]]
    assert told == [0, 0, 5, 9]


def test_a_break_is_one_finding_and_the_positions_go_on_from_the_broker_s_word() -> None:
    ran = play(*WITH_BREAK)
    assert (ran.result.status, ran.result.view.kill_switch) == ("COMPLETED", 0)
    [finding] = ran.session.reconciler.observed
    assert (finding.subject, finding.internal, finding.external) == ("SUI", "16", "17.5")
    assert (finding.delta, finding.severity) == (Decimal("-1.5"), "FAIL")
    [told] = ran.kept.payloads("RECON_DIFF")
    assert told["symbol"] == "SUI"
    assert "t4" in told.values(), "the transaction that claims it"
    assert positions_of(ran.session)["SUI"] == "16.5", "start plus fills: the ledger is ours"
    assert ran.kept.payloads("RECONCILE")[-1]["result"] == "healthy"


def test_an_account_that_trades_with_itself_is_no_finding() -> None:
    ran = play(*SELF_TRADE)
    assert ran.session.reconciler.observed == []
    assert positions_of(ran.session) == {"SUI": "11"}


def test_a_session_that_is_behind_makes_the_recording_wait_for_its_orders() -> None:
    """The first order cannot be there yet; its fill comes late, and nothing is lost or out of order."""
    market = Player(SMALL)
    market.run({"rec-1": 5, "rec-2": 5.5, "rec-3": 6})
    assert [what for _, what in market.heard] == [
        "claim SUI",
        "rec-1-1",
        "rec-2-1",
        "claim ADA",
        "rec-3-1",
        "claim SUI",
        "rec-1-2",
    ]
    assert market.heard[0][0] >= 5.5


def test_there_is_one_claim_a_transaction_and_it_comes_before_its_fills() -> None:
    market = Player(SMALL)
    market.run({"rec-1": 0, "rec-2": 0, "rec-3": 0})
    assert market.heard == [
        (5, "claim SUI"),
        (5, "rec-1-1"),
        (5, "rec-2-1"),
        (10, "claim ADA"),
        (10, "rec-3-1"),
        (14, "claim SUI"),
        (14, "rec-1-2"),
    ]
    assert [str(claim.quantity) for claim in market.claims] == ["10", "-4", "13"]


def test_calls_are_answered_at_once_from_the_recording_s_book() -> None:
    market = Player(SMALL)
    market.run({"rec-1": 0, "rec-2": 0, "rec-3": 0}, then=[QueryOrder("x"), CancelOrder("x"), GetSnapshot()])
    assert [type(answer).__name__ for answer in market.answers[-3:]] == [
        "OrderNotFound",
        "CancelRefused",
        "BrokerSnapshot",
    ]


def test_what_a_recording_cannot_answer_is_an_error() -> None:
    market = Player(SMALL)
    with pytest.raises(UnknownMessage):
        market.run({}, then=["what?"])


class Player:
    """A recorded broker alone, and what its client hears."""

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        self.heard: list[tuple[float, str]] = []
        self.claims: list[PositionClaim] = []
        self.answers: list[object] = []
        recording = a_recording(*pieces)
        start_ns = recording.fills[0].time_ns - LEAD_NS
        self._intents = {step.intent.decision_id: step.intent for step in script_of(recording) if step.intent}
        exchange = Exchange(OpeningBook(None, dict(recording.opening_positions)))
        self._start_ns = start_ns
        self.system = SteppedSystem(VirtualClock(start_ns))
        self.system.add("broker", lambda ctx: RecordedBroker(ctx, MarketSettings(()), exchange, recording, "strat"))
        self.system.add("orchestrator", playing(self._hear))
        self.system.add("caller", playing(self._call))

    async def _hear(self, ctx: Context, message: object, _: ReplyTo | None) -> None:
        at_s = (ctx.now_ns() - self._start_ns) / SECOND_NS
        if isinstance(message, PositionClaim):
            self.claims.append(message)
            self.heard.append((at_s, f"claim {message.symbol}"))
        elif isinstance(message, Fill):
            self.heard.append((at_s, message.fill_id))

    async def _call(self, ctx: Context, call: tuple[float, object], _: ReplyTo | None) -> None:
        ctx.spawn(self._ask(ctx, *call), "call")

    async def _ask(self, ctx: Context, after_s: float, request: object) -> None:
        await ctx.sleep(after_s)
        self.answers.append(await ctx.ask("broker", request))

    def run(self, place_at: dict[str, float], then: list[object] | None = None) -> None:
        """Place orders at these times, make some more calls at the end, and run until nothing is left to do."""
        with self.system:
            self.system.post("broker", StartMarket())
            for decision, at_s in place_at.items():
                intent = self._intents[decision]
                request = PlaceOrder(
                    client_order_id("strat", decision),
                    intent.symbol,
                    intent.side,
                    intent.order_type,
                    intent.quantity,
                    intent.limit_price,
                    intent.time_in_force,
                )
                self.system.post("caller", (at_s, request))
            for other in then or []:
                self.system.post("caller", (30, other))
            settle(self.system)


# -- the recording of a real account ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(shared_samples: Path) -> Ran:
    """Return the session on the real recording, run once for all the tests here."""
    recording = load_recording(shared_samples / "hyperliquid_user_fills.jsonl")
    return run(recording=recording, session={"duration_s": 3600})


def test_the_real_recording_plays_to_its_end(played: Ran) -> None:
    assert (played.result.status, played.result.view.trips) == ("COMPLETED", ())
    orders = orders_of(played.session).values()
    assert len(orders) == 424
    assert {str(order.state) for order in orders} == {"FILLED"}
    assert played.counters["fills_total"] == 500
    pieces: dict[str, int] = {}
    for fill in played.session.orchestrator.desk.book.exposure.fills.since(0):
        pieces[fill.client_order_id] = pieces.get(fill.client_order_id, 0) + 1
    assert sum(count > 1 for count in pieces.values()) == 60
    assert max(pieces.values()) == 7


def test_the_real_recording_has_exactly_one_finding(played: Ran) -> None:
    [finding] = played.session.reconciler.observed
    assert (finding.subject, finding.internal, finding.external) == ("SUI", "-1734.8", "-1839.2")
    assert finding.delta == Decimal("104.4")
    assert len(played.kept.audited("RECON_DIFF")) == 1
    assert played.result.view.kill_switch == 0


def test_the_real_recording_ends_in_positions_that_are_start_plus_fills(played: Ran, shared_samples: Path) -> None:
    recording = load_recording(shared_samples / "hyperliquid_user_fills.jsonl")
    expected = dict(recording.final_positions)
    held = {line.symbol: line.quantity for line in played.session.orchestrator.desk.book.exposure.ledger.positions()}
    assert held == expected
    assert exchange_of(played.session).positions == dict(recording.closing_claims)


def test_the_real_recording_keeps_its_order_of_events(played: Ran, shared_samples: Path) -> None:
    recording = load_recording(shared_samples / "hyperliquid_user_fills.jsonl")
    booked = played.session.orchestrator.desk.book.exposure.fills.since(0)
    assert [(fill.fill_id, fill.ts_ns, fill.quantity, fill.price) for fill in booked] == [
        (fill.fill_id, fill.time_ns, fill.quantity, fill.price) for fill in recording.fills
    ]
