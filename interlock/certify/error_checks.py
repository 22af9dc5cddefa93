"""Checks of errors: what is known after each, and that nothing foreign leaves an adapter.

Each error is brought about for an order, where the adapter takes any, and for a question.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from interlock.certify.case import Case, need, raised, shown, trades
from interlock.domain.broker import PlaceOrder
from interlock.domain.errors import NotSent, OutcomeUnknown, RateLimited, Refused, Unreachable

__all__ = [
    "cancel_without_answer",
    "fails_once",
    "garbled",
    "not_sent",
    "order_without_answer",
    "question_without_answer",
    "rate_limited",
    "refused",
]

Call = Callable[[], Awaitable[object]]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {shown(str(error))}"


def _needs_error(error: Exception, kind: type[Exception], what: str) -> None:
    need(isinstance(error, kind), f"{what} raised {_told(error)}, not {kind.__name__}")


async def _no_effect(case: Case, request: PlaceOrder, what: str) -> None:
    there = await case.bench.orders_there(request.client_order_id)
    need(there == 0, f"{what}, and {there} orders were taken in")


async def _turned_away(case: Case, hook: Call, what: str) -> list[Exception]:
    """Return what an order, where it can be placed, and a question raise after a hook that lets nothing happen."""
    errors: list[Exception] = []
    if trades(case.reader):
        request = case.request()
        await hook()
        errors.append(await raised(case.trader.place(request), f"an order that was {what}"))
        await _no_effect(case, request, f"an order was {what}")
    await hook()
    errors.append(await raised(case.reader.order(case.request().client_order_id), f"a question that was {what}"))
    return errors


async def rate_limited(case: Case) -> str:
    """Turned away for the rate, with advice and without."""
    for advice in (2.0, None):

        async def limit(advice: float | None = advice) -> None:
            await case.bench.rate_limit(advice)

        for error in await _turned_away(case, limit, "turned away for its rate"):
            _needs_error(error, RateLimited, "what was turned away for its rate")
            told = getattr(error, "retry_after_s", "nothing")
            need(told == advice, f"the broker's advice was {advice}, the error says {told}")
    return ""


async def not_sent(case: Case) -> str:
    """Nobody listens there: not a byte left."""
    for error in await _turned_away(case, case.bench.fail_to_send, "never sent"):
        _needs_error(error, NotSent, "what was never sent")
    return ""


async def refused(case: Case) -> str:
    """No permission, whatever is asked for."""

    async def refuse() -> None:
        await case.bench.refuse("NO_PERMISSION")

    for error in await _turned_away(case, refuse, "refused"):
        _needs_error(error, Refused, "what was refused")
    return ""


async def fails_once(case: Case) -> str:
    """A call that failed is not made again by the adapter."""
    for error in await _turned_away(case, case.bench.fail, "answered with an error of theirs"):
        _needs_error(error, OutcomeUnknown, "what was answered with an error of theirs")
    return ""


async def order_without_answer(case: Case) -> str:
    """Before or after the broker acted, it may be live."""
    for lose, when in ((case.bench.lose_before, "before"), (case.bench.lose_after, "after")):
        await lose()
        error = await raised(case.trader.place(case.request()), f"an order that was lost {when} it was processed")
        _needs_error(error, OutcomeUnknown, f"an order that was lost {when} it was processed")
    return ""


async def cancel_without_answer(case: Case) -> str:
    """Before or after the broker acted, nobody can tell."""
    for lose, when in ((case.bench.lose_before, "before"), (case.bench.lose_after, "after")):
        order = await case.rests()
        await lose()
        error = await raised(
            case.trader.cancel(order.client_order_id), f"a cancel that was lost {when} it was processed"
        )
        _needs_error(error, OutcomeUnknown, f"a cancel that was lost {when} it was processed")
    return ""


def _questions(case: Case) -> dict[str, Call]:
    """Return the questions that cannot be answered without the broker."""
    reader, key = case.reader, case.request().client_order_id
    return {
        "order": lambda: reader.order(key),
        "open_orders": reader.open_orders,
        "fills_since": lambda: reader.fills_since(0),
        "positions": reader.positions,
    }


async def question_without_answer(case: Case) -> str:
    """Silence is no empty list, and nothing that was not found."""
    for name, ask in _questions(case).items():
        await case.bench.lose_before()
        error = await raised(ask(), f"{name}(), which got no answer,")
        _needs_error(error, Unreachable, f"{name}(), which got no answer,")
    return ""


async def garbled(case: Case) -> str:
    """An answer that cannot be read is no answer, and what reading it raises does not leave the adapter."""
    for name, ask in _questions(case).items():
        await case.bench.garble()
        error = await raised(ask(), f"{name}(), whose answer was garbled,")
        _needs_error(error, Unreachable, f"{name}(), whose answer was garbled,")
    if trades(case.reader):
        order = await case.rests()
        await case.bench.garble()
        error = await raised(case.trader.cancel(order.client_order_id), "a cancel, whose answer was garbled,")
        _needs_error(error, OutcomeUnknown, "a cancel, whose answer was garbled,")
        await case.bench.garble()
        error = await raised(case.trader.place(case.request()), "an order, whose answer was garbled,")
        _needs_error(error, OutcomeUnknown, "an order, whose answer was garbled,")
    return ""
