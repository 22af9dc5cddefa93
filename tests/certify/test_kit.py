"""The kit itself: what a target may be, what bounds a rule, and that nothing that went wrong looks like a pass."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import pytest

from examples.custom_broker.double import Double
from interlock.certify import RULES, Outcome, RuleResult, Verdict, certify, load_target, tried, write_report
from interlock.domain.broker import Accepted, BrokerMessage, Fill, PlaceOrder, PositionLine, Rejected
from interlock.domain.errors import BadInput, StorageError
from interlock.mocks.exchange import OpeningBook
from interlock.mocks.port import MockPort
from interlock.mocks.prices import PricePath
from interlock.mocks.trading import MarketSettings
from tests.certify.adapter_builders import Noted, bench_of

BY_ID = {rule.id: rule for rule in RULES}


def of(kind: type[Noted], rule: str, timeout_s: float = 2.0) -> RuleResult:
    """Hold one kind of adapter to one rule."""
    return tried(bench_of(kind), BY_ID[rule], timeout_s=timeout_s)


# -- targets ------------------------------------------------------------------------------------------------


async def awaited() -> Double:
    """Make a bench in the event loop."""
    return Double()


@asynccontextmanager
async def entered() -> AsyncIterator[Double]:
    """Make a bench that wants to be ended."""
    yield Double()


def adapter_alone() -> object:
    """Make a broker that is its own bench."""
    return Double().broker


@pytest.mark.parametrize("target", [Double, awaited, entered, adapter_alone], ids=lambda made: made.__name__)
def test_a_target_returns_awaits_to_or_is_around_a_bench_or_is_the_broker(target: Any) -> None:
    assert tried(target, BY_ID["CRT-8"]).outcome is Outcome.PASSED


def test_every_rule_gets_a_fresh_bench_and_ends_it() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def noted() -> AsyncIterator[Double]:
        seen.append("made")
        yield Double()
        seen.append("ended")

    certify(noted, tuple(BY_ID[name] for name in ("CRT-1", "CRT-8")))
    assert seen == ["made", "ended"] * 3, "the first one is only looked at"


@pytest.mark.parametrize("error", [ValueError("no venue"), SystemExit(0)])
def test_a_target_that_makes_nothing_is_bad_input(error: BaseException) -> None:
    def broken() -> object:
        raise error

    with pytest.raises(BadInput, match=f"my:target: cannot be made: it raised {type(error).__name__}"):
        certify(broken, name="my:target")


def test_a_target_that_hangs_is_not_waited_for() -> None:
    async def hangs() -> object:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(BadInput, match=r"no answer within 0.05 s"):
        certify(hangs, timeout_s=0.05)


def test_an_object_is_found_by_its_path_or_by_its_fresh() -> None:
    assert load_target("examples.custom_broker:target")().broker.name == "venue"
    assert load_target("examples.custom_broker.double:Double.listened").__qualname__ == "Double.listened"
    sys.modules["kept_target"] = type(sys)("kept_target")
    sys.modules["kept_target"].thing = type("Thing", (), {"fresh": staticmethod(Double)})()  # type: ignore[attr-defined]
    try:
        assert load_target("kept_target:thing") is Double
    finally:
        del sys.modules["kept_target"]


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no object"),
        ("examples.custom_broker", "names no object"),
        ("../x:y", "names no object"),
        ("no_such_module:x", "no_such_module cannot be imported: ModuleNotFoundError"),
        ("examples.custom_broker:nothing", "has no nothing"),
        ("examples.custom_broker.double:_FEE", "is a Decimal, which cannot be called"),
    ],
)
def test_an_object_that_is_not_there_is_one_line(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_target(text)
    assert said in str(caught.value)
    assert "allowed: module:Object" in str(caught.value)


@pytest.mark.parametrize("source", ["raise SystemExit(0)", "1 / 0", "def"])
def test_a_module_that_does_not_import_is_one_line(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken_{len(source)}"
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(BadInput, match=f"{name} cannot be imported"):
        load_target(f"{name}:x")


# -- what is never a pass -----------------------------------------------------------------------------------


def test_what_an_adapter_raises_out_of_place_fails_with_where_it_did() -> None:
    class Raises(Noted):
        async def open_orders(self) -> Any:
            raise KeyError("oops")

    result = of(Raises, "CRT-8")
    assert (result.outcome, result.evidence.startswith("it raised KeyError: 'oops' (test_kit.py:")) == ("failed", True)


def test_a_time_out_that_leaves_an_adapter_is_not_taken_for_that_of_the_kit() -> None:
    class Raises(Noted):
        async def place(self, request: PlaceOrder) -> Accepted | Rejected:
            raise TimeoutError

    assert of(Raises, "CRT-31").evidence.startswith(
        "an order that was lost before it was processed raised TimeoutError"
    )
    assert of(Raises, "CRT-8").evidence.startswith("it raised TimeoutError")


def test_an_adapter_that_never_answers_is_left_after_the_deadline() -> None:
    class Hangs(Noted):
        async def place(self, request: PlaceOrder) -> Accepted | Rejected:
            await asyncio.Event().wait()
            raise AssertionError

    result = of(Hangs, "CRT-5", timeout_s=0.05)
    assert (result.outcome, result.evidence) == (Outcome.FAILED, "it took longer than 0.05 s")


def test_an_adapter_that_ends_the_process_fails() -> None:
    class Exits(Noted):
        async def order(self, client_order_id: str) -> Any:
            sys.exit(0)

    assert of(Exits, "CRT-14").outcome is Outcome.FAILED
    assert of(Exits, "CRT-38").outcome is Outcome.FAILED, "also in a task of its own"


def test_no_cash_is_nothing_to_compare_and_says_so() -> None:
    class NoCash(Noted):
        async def cash(self) -> Decimal | None:
            return None

    result = of(NoCash, "CRT-25")
    assert (result.outcome, result.evidence) == (Outcome.SKIPPED, "it tells no cash")


def test_numbers_that_the_double_does_not_take_show_nothing() -> None:
    class Short(Noted):
        async def place(self, request: PlaceOrder) -> Accepted | Rejected:
            if request.quantity.as_tuple().exponent < -9:  # type: ignore[operator]  # it is a finite number
                return Rejected(client_order_id=request.client_order_id, code="LOT_SIZE")
            return await super().place(request)

    result = of(Short, "CRT-22")
    assert result.outcome is Outcome.SKIPPED
    assert "does not take 0.000000000000000001 at 100 (LOT_SIZE)" in result.evidence


def test_a_broker_that_tells_nothing_holds_to_the_rules_of_statements() -> None:
    class Silent(Noted):
        async def statements(self) -> AsyncIterator[BrokerMessage]:
            return
            yield

    outcomes = {rule: of(Silent, rule) for rule in ("CRT-39", "CRT-40", "CRT-41", "CRT-42")}
    assert {result.outcome for result in outcomes.values()} == {Outcome.PASSED}
    assert outcomes["CRT-39"].evidence == "it tells nothing: left to reconciles"


def test_statements_that_end_once_there_is_something_to_tell_are_not_silence() -> None:
    class StopsShort(Noted):
        async def statements(self) -> AsyncIterator[BrokerMessage]:
            async for told in super().statements():
                if isinstance(told, Fill):
                    return
                yield told

    assert of(StopsShort, "CRT-39").outcome is Outcome.FAILED


def test_a_rule_for_the_other_kind_is_skipped() -> None:
    result = of(Noted, "CRT-2")
    assert (result.outcome, result.evidence) == (Outcome.SKIPPED, "it is for readers")


def test_no_secret_and_no_second_line_gets_into_the_evidence() -> None:
    class Tells(Noted):
        async def open_orders(self) -> Any:
            raise ValueError("line\none api_key=" + "Zk3wQ9xLr7Vb3TzK8mWc4NdP")

    evidence = of(Tells, "CRT-8").evidence
    assert "line one" in evidence
    assert "Zk3wQ9" not in evidence


# -- reports ------------------------------------------------------------------------------------------------


def test_what_was_skipped_leaves_the_verdict_open() -> None:
    rules = tuple(BY_ID[name] for name in ("CRT-1", "CRT-5"))
    report = certify(adapter_alone, rules)
    assert (report.verdict, report.passed, report.skipped) == (Verdict.INCOMPLETE, 1, 1)
    assert certify(adapter_alone, (BY_ID["CRT-2"],)).verdict is Verdict.INCOMPLETE, "nothing was tried at all"


def test_the_same_adapter_gives_the_same_report_byte_for_byte(tmp_path: Path) -> None:
    rules = tuple(BY_ID[f"CRT-{number}"] for number in range(1, 30))
    paths = tmp_path / "one.json", tmp_path / "two.json"
    for path in paths:
        write_report(certify(Double, rules), path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    told = msgspec.json.decode(first)
    assert (told["schema"], told["verdict"], told["kind"], told["broker"]) == (
        "CertifyReport/1",
        "certified",
        "trader",
        "venue",
    )
    assert {*told["results"][0]} == {"rule", "name", "holds", "port", "outcome", "evidence"}


def test_a_report_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("older", encoding="utf-8")
    (tmp_path / "report.json.partial").mkdir()
    with pytest.raises(StorageError, match=r"report\.json: cannot be written"):
        write_report(certify(Double, (BY_ID["CRT-1"],)), path)
    assert path.read_text(encoding="utf-8") == "older"


# -- another adapter ----------------------------------------------------------------------------------------


class MockBench:
    """The mock broker behind the ports: its exchange is the double, and it can be asked for the account alone."""

    def __init__(self) -> None:
        path = PricePath("BTC/EUR", Decimal(200), Decimal(1))
        self.broker = MockPort(MarketSettings((path,), 0, 0, 3600.0), OpeningBook(Decimal(100_000), {}, Decimal(5)))
        self._exchange = self.broker.exchange

    async def __aenter__(self) -> Self:
        await self.broker.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self.broker.__aexit__(kind, error, trace)

    async def place_there(self, request: PlaceOrder) -> None:
        self._exchange.place(request)

    async def orders_there(self, client_order_id: str) -> int:
        return self._exchange.accepted.count(client_order_id)

    async def fill(self, client_order_id: str, quantity: Decimal, price: Decimal, ts_ns: int) -> None:
        self._exchange.execute(self._exchange.orders[client_order_id], quantity, ts_ns)

    async def cancel_there(self, client_order_id: str) -> None:
        self._exchange.cancel(client_order_id)


def test_the_mock_broker_holds_to_every_rule_that_can_be_tried_with_it() -> None:
    report = certify(MockBench)
    assert (report.verdict, report.failed) == (Verdict.INCOMPLETE, 0)
    tried_ones = {result.rule for result in report.results if result.outcome is Outcome.PASSED}
    assert tried_ones >= {f"CRT-{number}" for number in (1, 3, 4, 5, 6, 8, 9, 10, 13, 14, 16, 17, 18, 19, 20, 21, 22)}


def test_flat_positions_need_not_be_listed() -> None:
    class Flat(Noted):
        async def positions(self) -> tuple[PositionLine, ...]:
            return tuple(line for line in await super().positions() if line.quantity)

    assert of(Flat, "CRT-24").outcome is Outcome.PASSED
