"""Recorded fills: what is derived from them, what the real sample holds, and every way a file can be bad."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from decimal import Decimal, localcontext
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from interlock.domain.errors import BadInput
from interlock.domain.intents import Side
from interlock.mocks import recording as module
from interlock.mocks.recording import RecordedFill, RecordedTransaction, Recording, load_recording, parse_fill

SAMPLE_NAME = "hyperliquid_user_fills.jsonl"


class PositionBreak(NamedTuple):
    """A place where the broker's claim does not continue from what we hold."""

    symbol: str
    time_ms: int
    internal: Decimal
    external: Decimal
    drift: Decimal


def fill_line(**changes: object) -> bytes:
    """One good line of the format, with ``changes`` to its fields."""
    fields: dict[str, object] = {
        "coin": "SUI",
        "side": "B",
        "px": "1.3281",
        "sz": "104.4",
        "time": 1683245555699,
        "oid": 7,
        "hash": "0x" + "ab" * 32,
        "startPosition": "-1839.2",
        "closedPnl": "0.089784",
        "fee": "0.0",
        "crossed": True,
        "dir": "Close Short",
    }
    return json.dumps(fields | changes).encode() + b"\n"


def spliced_line(old: bytes, new: bytes) -> bytes:
    """One good line with its bytes changed where ``json.dumps`` would not write such a thing."""
    line = fill_line()
    assert line.count(old) == 1
    return line.replace(old, new)


def written(folder: Path, *lines: bytes) -> Path:
    """A file of these lines."""
    path = folder / "fills.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def refusal_of(path: Path) -> str:
    """The text with which the file is refused."""
    with pytest.raises(BadInput) as refusal:
        load_recording(path)
    return str(refusal.value)


def position_breaks(recording: Recording) -> tuple[PositionBreak, ...]:
    """Recount the positions by transaction, going on from the broker's claim after a break."""
    held = dict(recording.opening_positions)
    breaks = []
    for transaction in recording.transactions:
        internal, external = held[transaction.symbol], transaction.start_position
        if internal != external:
            time_ms = transaction.time_ns // 1_000_000
            breaks.append(PositionBreak(transaction.symbol, time_ms, internal, external, internal - external))
        held[transaction.symbol] = external + transaction.net_quantity
    return tuple(breaks)


def is_self_trade(transaction: RecordedTransaction) -> bool:
    """Tell whether the account bought from itself: one size, both sides, one claimed start."""
    buys = {(fill.quantity, fill.start_position) for fill in transaction.fills if fill.side is Side.BUY}
    sells = {(fill.quantity, fill.start_position) for fill in transaction.fills if fill.side is Side.SELL}
    return not buys.isdisjoint(sells)


@pytest.fixture(scope="module")
def sample(shared_samples: Path) -> Recording:
    """The real recording, which lies beside the project and not in it."""
    return load_recording(shared_samples / SAMPLE_NAME)


@pytest.mark.spec("REC-10")
def test_the_sample_holds_500_fills_of_424_orders_in_345_transactions(sample: Recording) -> None:
    """The exact counts of its description."""
    assert len(sample.fills) == 500
    assert len(sample.orders) == 424
    assert len({order.symbol for order in sample.orders}) == len(sample.opening_positions) == 15
    assert len(sample.transactions) == 345
    assert sum(map(is_self_trade, sample.transactions)) == 78


def test_sixty_orders_of_the_sample_came_in_pieces(sample: Recording) -> None:
    """Seven pieces at most, and no quantity is lost between fills and orders."""
    assert sum(order.pieces > 1 for order in sample.orders) == 60
    assert max(order.pieces for order in sample.orders) == 7
    assert sum(order.quantity for order in sample.orders) == sum(fill.quantity for fill in sample.fills)


def test_every_order_of_the_sample_could_have_had_its_fills(sample: Recording) -> None:
    """The limit is the worst price, so each fill is at the limit or better."""
    limits = {order.broker_oid: order.limit_price for order in sample.orders}
    for fill in sample.fills:
        limit = limits[fill.broker_oid]
        assert fill.price <= limit if fill.side is Side.BUY else fill.price >= limit


def test_every_fill_of_the_sample_has_an_id_of_its_own(sample: Recording) -> None:
    """The data has none, and two fills of one order can be equal but for their position."""
    assert len({fill.fill_id for fill in sample.fills}) == 500


@pytest.mark.spec("REC-10")
def test_the_sample_has_one_position_break_and_it_is_sui(sample: Recording) -> None:
    """The counterpart of the first fill lies before the recording began."""
    (found,) = position_breaks(sample)
    assert found == ("SUI", 1683245556146, Decimal("-1734.8"), Decimal("-1839.2"), Decimal("104.4"))


@pytest.mark.spec("REC-10")
def test_final_positions_of_the_sample_are_start_plus_fills(sample: Recording) -> None:
    """Only SUI ends elsewhere than the broker claims, by the one break."""
    opening = dict(sample.opening_positions)
    for symbol, final in sample.final_positions:
        moves = [fill.signed_quantity for fill in sample.fills if fill.symbol == symbol]
        assert final == opening[symbol] + sum(moves)
    pairs = zip(sample.final_positions, sample.closing_claims, strict=True)
    assert [(symbol, final - claim) for (symbol, final), (_, claim) in pairs if final != claim] == [
        ("SUI", Decimal("104.4")),
    ]


def test_reading_the_sample_twice_gives_equal_recordings(shared_samples: Path, sample: Recording) -> None:
    """Ids included; and the digest is that of the file."""
    path = shared_samples / SAMPLE_NAME
    assert load_recording(path) == sample
    assert sample.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sample.path_name == SAMPLE_NAME


def test_the_pieces_of_an_order_make_one_order_at_its_worst_price(tmp_path: Path) -> None:
    """The highest price for a buy, the lowest for a sell; in order of the first fill."""
    recording = load_recording(
        written(
            tmp_path,
            fill_line(oid=9, side="A", px="5", sz="1"),
            fill_line(oid=8, px="2", sz="1.5"),
            fill_line(oid=9, side="A", px="4", sz="2", time=1683245555700),
            fill_line(oid=8, px="3", sz="0.5", time=1683245555701),
        )
    )
    sell, buy = recording.orders
    assert (sell.broker_oid, sell.side, sell.quantity, sell.limit_price, sell.pieces) == (
        "9",
        "SELL",
        Decimal(3),
        Decimal(4),
        2,
    )
    assert (buy.broker_oid, buy.side, buy.quantity, buy.limit_price, buy.pieces) == (
        "8",
        "BUY",
        Decimal(2),
        Decimal(3),
        2,
    )
    assert buy.first_fill_ns == 1683245555699_000_000
    assert [fill.fill_id for fill in recording.fills] == ["rec-9-1", "rec-8-1", "rec-9-2", "rec-8-2"]


def test_neighbours_with_one_symbol_time_and_hash_are_one_transaction(tmp_path: Path) -> None:
    """A trade with oneself nets to nothing; another hash begins another transaction."""
    recording = load_recording(
        written(
            tmp_path,
            fill_line(oid=1, side="B", sz="5"),
            fill_line(oid=2, side="A", sz="5"),
            fill_line(oid=3, side="B", sz="2", hash="0x" + "cd" * 32),
        )
    )
    assert [len(transaction.fills) for transaction in recording.transactions] == [2, 1]
    assert [transaction.net_quantity for transaction in recording.transactions] == [0, 2]
    assert position_breaks(recording) == ()


def test_one_break_is_counted_once(tmp_path: Path) -> None:
    """After it, the walk goes on from what the broker claims."""
    hashes = ["0x" + digit * 64 for digit in "123"]
    starts = ["10", "20", "21"]
    lines = [fill_line(sz="1", hash=name, startPosition=start) for name, start in zip(hashes, starts, strict=True)]
    (found,) = position_breaks(load_recording(written(tmp_path, *lines)))
    assert (found.internal, found.external, found.drift) == (Decimal(11), Decimal(20), Decimal(-9))


def test_positions_are_exact_beyond_the_precision_of_the_context(tmp_path: Path) -> None:
    """Sums of the longest and the finest number, under a host's own sloppy decimal context."""
    start, tiny = "9" * 28, "0.000000000000000001"
    path = written(tmp_path, fill_line(startPosition=start, sz=tiny), fill_line(startPosition="0", sz=start))
    with localcontext(prec=5):
        recording = load_recording(path)
    (order,), (transaction,) = recording.orders, recording.transactions
    assert str(order.quantity) == str(transaction.net_quantity) == f"{start}.{tiny[2:]}"
    assert [str(final) for _, final in recording.final_positions] == ["1" + "9" * 27 + "8." + tiny[2:]]


def test_a_line_exactly_at_the_limits_is_taken(tmp_path: Path) -> None:
    """The longest line, padded with blanks that JSON allows."""
    line = fill_line()
    path = written(tmp_path, line[:-1].ljust(module.LINE_BYTES_MAX) + b"\n")
    assert len(load_recording(path).fills) == 1


BAD_LINES = {
    "a key twice": (spliced_line(b'"px":', b'"px": "1", "px":'), "key 'px' is given twice"),
    "a byte that is not UTF-8": (spliced_line(b"SUI", b"\xff"), "not UTF-8 at byte 11"),
    "CRLF": (spliced_line(b"\n", b"\r\n"), "CRLF"),
    "a blank line": (b"\n", "blank"),
    "a line of blanks": (b"  \t\n", "blank"),
    "trailing garbage": (spliced_line(b"\n", b" garbage\n"), "Extra data"),
    "two objects on one line": (fill_line()[:-1] + fill_line(), "Extra data"),
    "a line cut from the middle": (fill_line()[:60] + b"\n", "not JSON"),
    "a half-written last line": (fill_line()[:60], "half-written"),
    "a whole last line without its newline": (fill_line()[:-1], "half-written"),
    "zero bytes left by a crash": (b"\0" * 100, "half-written"),
    "a line too long": (b" " * module.LINE_BYTES_MAX + fill_line(), "at most 65536 bytes"),
    "a line one byte too long": (fill_line()[:-1].ljust(module.LINE_BYTES_MAX + 1) + b"\n", "too long"),
    "a line that never ends": (b"x" * 1_000_000, "too long"),
    "nesting without end": (b"[" * 60_000 + b"\n", "nested too deep"),
    "a list": (b"[1]\n", "not a JSON object"),
    "null": (b"null\n", "not a JSON object"),
    "a comment": (spliced_line(b"\n", b"// so\n"), "Extra data"),
    "a trailing comma": (spliced_line(b"}", b",}"), "not JSON"),
    "single quotes": (fill_line().replace(b'"', b"'"), "not JSON"),
    "a number of 5000 digits": (spliced_line(b'"oid": 7', b'"oid": ' + b"7" * 5000), "more than 28 digits"),
    "an unknown key": (fill_line(tid=1), "unknown key 'tid' (allowed: coin, side, px"),
    "a key of ours, not theirs": (spliced_line(b"startPosition", b"start_position"), "'startPosition'"),
    "a missing key": (spliced_line(b'"oid": 7, ', b""), "key 'oid': Field required"),
    "null for a key": (fill_line(oid=None), "key 'oid'"),
    "an unknown side": (fill_line(side="BUY"), "key 'side': Input should be 'B' or 'A'"),
    "a symbol with a blank": (fill_line(coin="S UI"), "key 'coin'"),
    "a symbol with a lone surrogate": (fill_line(coin="\ud800"), "key 'coin'"),
    "an empty symbol": (fill_line(coin=""), "key 'coin'"),
    "a symbol too long": (fill_line(coin="S" * 65), "key 'coin'"),
    "a price of zero": (fill_line(px="0"), "key 'px': not above zero"),
    "a negative size": (fill_line(sz="-5"), "key 'sz': not above zero"),
    "a size with an exponent": (fill_line(sz="1E+999999"), "key 'sz': not a plain decimal"),
    "a price as a float": (fill_line(px=1.5), "key 'px': a binary float"),
    "a fee that is NaN": (fill_line(fee=float("nan")), "key 'fee': a binary float"),
    "a position of negative zero": (fill_line(startPosition="-0"), "key 'startPosition': negative zero"),
    "negative zero as a number": (spliced_line(b'"-1839.2"', b"-0"), "negative zero"),
    "a profit that is true": (fill_line(closedPnl=True), "key 'closedPnl': not a number but bool"),
    "an order number of -1": (fill_line(oid=-1), "key 'oid'"),
    "an order number of 2^64": (fill_line(oid=2**64), "key 'oid'"),
    "an order number as text": (fill_line(oid="7"), "key 'oid'"),
    "an order number that is true": (fill_line(oid=True), "key 'oid'"),
    "a time with a fraction": (fill_line(time=1683245555699.0), "key 'time'"),
    "a time in nanoseconds": (fill_line(time=1683245555699000000), "key 'time'"),
    "a hash that is none": (fill_line(hash="0xnothing"), "key 'hash'"),
    "no as a boolean": (fill_line(crossed="no"), "key 'crossed'"),
    "one as a boolean": (fill_line(crossed=1), "key 'crossed'"),
    "a direction with an escape code": (fill_line(dir="\x1b[2J"), "key 'dir'"),
    "time going back": (fill_line(time=1683245555698), "time goes back from 1683245555699 to 1683245555698"),
    "an order with two sides": (fill_line(side="A"), "order 7 has two sides"),
    "an order with two symbols": (fill_line(coin="BTC"), "order 7 has two symbols"),
}


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(("bad", "said"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_refused_in_one_line_naming_file_and_line(tmp_path: Path, bad: bytes, said: str) -> None:
    """The second line of the file is the bad one, and it is the one named."""
    path = written(tmp_path, fill_line(), bad)
    text = refusal_of(path)
    assert text.startswith(f"{path}:2: ")
    assert said in text
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < len(str(path)) + 400


def test_a_blank_line_inside_is_named_and_not_skipped(tmp_path: Path) -> None:
    """Good lines after it do not help."""
    path = written(tmp_path, fill_line(), b"\n", fill_line())
    assert refusal_of(path).startswith(f"{path}:2: the line is blank")


def test_the_first_bad_line_is_the_one_named(tmp_path: Path) -> None:
    """Time going back in line 2 comes before broken JSON in line 3."""
    path = written(tmp_path, fill_line(time=2), fill_line(time=1), b"{\n")
    assert refusal_of(path).startswith(f"{path}:2: time goes back")


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbf" + fill_line(), "byte order mark"),
        (fill_line().decode().encode("utf-16"), "not UTF-8"),
        (gzip.compress(fill_line(), mtime=0), "compressed with gzip"),
    ],
    ids=["a byte order mark", "UTF-16", "gzip"],
)
def test_a_file_in_another_coding_is_named_at_its_first_line(tmp_path: Path, content: bytes, said: str) -> None:
    """Whatever its name ends in."""
    path = written(tmp_path, content)
    text = refusal_of(path)
    assert text.startswith(f"{path}:1: ")
    assert said in text


@pytest.mark.spec("NFR-1")
def test_what_is_not_a_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """A FIFO that nobody writes to would hold an ordinary open for ever."""
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    assert refusal_of(pipe) == f"{pipe}: is a pipe, socket or device (allowed: a regular file)"
    assert refusal_of(tmp_path) == f"{tmp_path}: is a directory (allowed: a regular file)"
    assert "is a pipe, socket or device" in refusal_of(Path(os.devnull))


@pytest.mark.spec("NFR-1")
def test_an_empty_or_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """Neither is an empty recording."""
    empty = written(tmp_path)
    assert refusal_of(empty).startswith(f"{empty}: is empty")
    missing = tmp_path / "missing.jsonl"
    assert refusal_of(missing).startswith(f"{missing}: cannot be read: No such file")
    assert "not a usable file name" in refusal_of(Path("a\0b"))


def test_more_lines_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the limit are taken; one more is named."""
    monkeypatch.setattr(module, "LINES_MAX", 3)
    assert len(load_recording(written(tmp_path, *[fill_line()] * 3)).fills) == 3
    path = written(tmp_path, *[fill_line()] * 4)
    assert refusal_of(path) == f"{path}:4: too many lines (allowed: at most 3)"


@pytest.mark.parametrize("grows", [True, False], ids=["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, grows: bool
) -> None:
    """Otherwise one that grows as fast as we read would never end."""
    path = written(tmp_path, *[fill_line()] * 1000)

    def parse_and_change(line: bytes, where: str) -> RecordedFill:
        if grows:
            with path.open("ab") as stream:
                stream.write(fill_line())
        else:
            os.truncate(path, 0)
        return parse_fill(line, where)

    monkeypatch.setattr(module, "parse_fill", parse_and_change)
    assert "changed while it was read" in refusal_of(path)


def test_no_file_stays_open_after_a_refusal(tmp_path: Path) -> None:
    """A host that tries many files must not run out of descriptors."""
    path = written(tmp_path, b"{\n")
    before = sum(1 for _ in Path("/dev/fd").iterdir())
    for _ in range(5):
        refusal_of(path)
        refusal_of(tmp_path)
    assert sum(1 for _ in Path("/dev/fd").iterdir()) == before


def test_what_is_read_cannot_be_changed(tmp_path: Path) -> None:
    """Actors share nothing that one of them could alter."""
    recording = load_recording(written(tmp_path, fill_line()))
    for thing in (recording, recording.fills[0], recording.orders[0], recording.transactions[0]):
        field = thing.__struct_fields__[0]
        with pytest.raises(AttributeError, match="immutable"):
            setattr(thing, field, "other")
    with pytest.raises(ValidationError, match="frozen"):
        parse_fill(fill_line(), "fills.jsonl:1").coin = "BTC"  # type: ignore[misc]
