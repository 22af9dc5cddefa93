"""The rails actor alone: it answers every check, sees every statement, and trips on the control lane."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.actors.safety_rails import SafetyRails
from interlock.domain.broker import Accepted
from interlock.domain.errors import UnknownMessage
from interlock.domain.exposure import Exposure
from interlock.domain.messages import CheckIntent, Observe, OrderClosed, SetGate, Trip, Verdict
from interlock.runtime.mailbox import Lane, MailboxSizes
from interlock.runtime.stepped import SteppedSystem
from tests.domain_builders import BTC, a_fill, an_order, limits
from tests.runtime.kernel_builders import Player, playing, settle


class Desk:
    """A rails actor, and what the orchestrator hears from it."""

    def __init__(self, system: SteppedSystem, cash: str = "1000", *, gate: bool = True) -> None:
        self.system = system
        self.orchestrator: Player = system.add("orchestrator", playing(), MailboxSizes(data=1))
        self.rails = system.add(
            "rails",
            lambda ctx: SafetyRails(
                ctx, "orchestrator", limits(), Exposure(limits(), Decimal(cash), {BTC: Decimal(0)})
            ),
        )
        if gate:
            self.gate(is_open=True)

    def gate(self, *, is_open: bool) -> None:
        """Open or close."""
        self.system.post("rails", SetGate(is_open, "test"), Lane.CONTROL)

    def say(self, *messages: object) -> None:
        """Post messages and let them be served."""
        for message in messages:
            assert self.system.post("rails", message)
        settle(self.system)

    @property
    def verdicts(self) -> list[tuple[str, str]]:
        """Return what was decided, by order."""
        seen = self.orchestrator.seen
        return [(verdict.client_order_id, verdict.code) for verdict in seen if isinstance(verdict, Verdict)]

    @property
    def trips(self) -> list[str]:
        """Return the codes of the trips, all of which came by the control lane."""
        return [trip.code for trip in self.orchestrator.commands if isinstance(trip, Trip)]


@pytest.mark.spec("SAF-6")
def test_closed_is_how_the_rails_begin() -> None:
    with SteppedSystem() as system:
        desk = Desk(system, gate=False)
        desk.say(CheckIntent(an_order()))
        desk.gate(is_open=True)
        desk.say(CheckIntent(an_order()))
        desk.gate(is_open=False)
        desk.say(CheckIntent(an_order("o2", quantity=Decimal(1))))
        assert desk.verdicts == [("o1", "RAIL_GATE_CLOSED"), ("o1", ""), ("o2", "RAIL_GATE_CLOSED")]


@pytest.mark.spec("RT-2", "SAF-1")
def test_a_closing_gate_overtakes_the_checks_that_wait() -> None:
    with SteppedSystem() as system:
        desk = Desk(system)
        settle(system)
        for n in range(5):
            system.post("rails", CheckIntent(an_order(f"o{n}", quantity=Decimal(1))))
        desk.gate(is_open=False)
        settle(system)
        assert {code for _, code in desk.verdicts} == {"RAIL_GATE_CLOSED"}


@pytest.mark.spec("SAF-1")
def test_what_was_cleared_is_reserved_until_its_order_is_over() -> None:
    """All the cash is behind the first order; the second one gets it when the first is closed."""
    with SteppedSystem() as system:
        desk = Desk(system)
        desk.say(CheckIntent(an_order("o1")), CheckIntent(an_order("o2")))
        desk.say(OrderClosed("o1"), CheckIntent(an_order("o3")))
        assert desk.verdicts == [("o1", ""), ("o2", "RAIL_CASH"), ("o3", "")]


@pytest.mark.spec("SAF-1")
def test_fills_move_the_rails_own_account() -> None:
    with SteppedSystem() as system:
        desk = Desk(system)
        desk.say(CheckIntent(an_order("o1")), Observe(a_fill(quantity="10", price="90")))
        desk.say(CheckIntent(an_order("o2", quantity=Decimal(1))), CheckIntent(an_order("o3", quantity=Decimal(1))))
        assert desk.verdicts == [("o1", ""), ("o2", ""), ("o3", "RAIL_CASH")]


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        ([a_fill(), a_fill(price="101")], "fill_conflict"),
        ([a_fill("f1", "6"), a_fill("f2", "6")], "overfill"),
        ([a_fill(client_order_id="o9")], "unknown_order_fill"),
        ([a_fill(symbol="ETH/EUR")], "fill_mismatch"),
        ([a_fill(quantity="10", price="101")], "negative_cash"),
        (
            [Accepted(client_order_id="o1", broker_order_id=broker_id) for broker_id in ("b1", "b2")],
            "two_broker_orders",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.spec("SAF-1", "SAF-2", "SAF-5", "RT-2")
def test_a_broken_invariant_trips_by_the_control_lane_and_closes_the_gate(statements: list[object], code: str) -> None:
    with SteppedSystem() as system:
        desk = Desk(system)
        desk.say(CheckIntent(an_order()))
        desk.say(*(Observe(statement) for statement in statements))  # type: ignore[arg-type]  # statements, all of them
        assert desk.trips == [code]
        desk.say(CheckIntent(an_order("o2", quantity=Decimal(1))))
        assert desk.verdicts[-1] == ("o2", "RAIL_GATE_CLOSED")


@pytest.mark.spec("SAF-5")
def test_a_fill_told_twice_trips_nothing() -> None:
    with SteppedSystem() as system:
        desk = Desk(system)
        desk.say(CheckIntent(an_order()), Observe(a_fill()), Observe(a_fill()))
        assert desk.trips == []


@pytest.mark.parametrize("lane", [Lane.DATA, Lane.CONTROL])
def test_a_message_that_the_rails_do_not_know_is_an_error(lane: Lane) -> None:
    with SteppedSystem() as system:
        desk = Desk(system, gate=False)
        system.post("rails", "what?", lane)
        with pytest.raises(UnknownMessage, match="rails has no handler for str"):
            desk.say()
