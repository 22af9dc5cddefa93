"""Whatever is wrong with a proof's input is one line with file and line number; nothing is written, exit code 1."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.domain.errors import BadInput
from interlock.prove.lines import RecordFile, RecordReader
from interlock.prove.records import BrokerCash
from interlock.runtime import jsonl
from tests.proof_builders import a_proof, by_options, edited
from tests.run_builders import interlock

pytestmark = pytest.mark.spec("NFR-1", "DIF-10")

Change = Callable[[bytes], bytes]
ACCEPTED, FILL, CASH = 1, 2, 10
"""Lines of the healthy log: an accepted order, its first fill, the cash at the end."""


def put(old: str, new: str) -> Change:
    """Replace a piece of a line, which has to be there."""

    def change(line: bytes) -> bytes:
        assert old.encode() in line
        return line.replace(old.encode(), new.encode())

    return change


def raw(content: bytes) -> Change:
    """Put something else in place of a line."""
    return lambda _: content


def without(key: str) -> Change:
    """Take one key out."""

    def change(line: bytes) -> bytes:
        fields = json.loads(line)
        del fields[key]
        return json.dumps(fields).encode() + b"\n"

    return change


def fill_with(key: str, value: Any) -> Change:
    """Set one key to a value."""
    return lambda line: json.dumps(json.loads(line) | {key: value}).encode() + b"\n"


KEY_TWICE = put('"fee":"2"', '"fee":"2","fee":"3"')
BAD_EVENTS: dict[str, tuple[int, Change, str]] = {
    "a key twice in one object": (FILL, KEY_TWICE, "key 'fee' is given twice"),
    "a key twice with equal values": (FILL, put('"fee":"2"', '"fee":"2","fee":"2"'), "is given twice"),
    "an exponent": (FILL, put('"40000"', '"1E+999999"'), "key quantity: not a plain decimal number"),
    "an underscore": (FILL, put('"40000"', '"1_000"'), "key quantity: not a plain decimal number"),
    "blanks around a number": (FILL, put('"40000"', '" 1 "'), "key quantity: not a plain decimal number"),
    "a newline after a number": (FILL, put('"40000"', '"1\\n"'), "key quantity: not a plain decimal number"),
    "Arabic digits": (FILL, put('"40000"', '"٤٢"'), "key quantity: not a plain decimal number"),
    "a negative zero": (FILL, put('"40000"', '"-0"'), "key quantity: negative zero"),
    "a negative quantity": (FILL, put('"40000"', '"-5"'), "key quantity: is not above zero"),
    "a quantity of zero": (FILL, put('"40000"', '"0"'), "key quantity: is not above zero"),
    "a price of zero": (FILL, put('"1.1"', '"0"'), "key price: is not above zero"),
    "a decimal comma": (FILL, put('"1.1"', '"1,1"'), "key price: not a plain decimal number"),
    "a number as a number": (FILL, put('"40000"', "40000"), "key quantity: Expected `str`, got `int`"),
    "too many digits": (FILL, put('"40000"', '"0.1234567890123456789"'), "key quantity: too many digits"),
    "a number of a kilobyte": (FILL, put('"40000"', '"' + "1" * 1000 + '"'), "key quantity: Expected `str` of length"),
    "NaN": (FILL, put('"40000"', "NaN"), "JSON is malformed"),
    "Infinity": (FILL, put('"40000"', "Infinity"), "JSON is malformed"),
    "NaN as text": (FILL, put('"40000"', '"NaN"'), "key quantity: not a plain decimal number"),
    "1e400": (FILL, put('"seq":2', '"seq":1e400'), "key seq: Number out of range"),
    "sequence -1": (FILL, put('"seq":2', '"seq":-1'), "key seq: Expected `int` >= 1"),
    "sequence 2^64": (FILL, put('"seq":2', f'"seq":{2**64}'), "key seq: "),
    "sequence 3.0": (FILL, put('"seq":2', '"seq":2.0'), "key seq: Expected `int`, got `float`"),
    "sequence as text": (FILL, put('"seq":2', '"seq":"2"'), "key seq: Expected `int`, got `str`"),
    "sequence true": (FILL, put('"seq":2', '"seq":true'), "key seq: Expected `int`, got `bool`"),
    "a gap in the sequence": (FILL, put('"seq":2', '"seq":3'), "key seq: 3 after 1 leaves a gap"),
    "a repeat in the sequence": (FILL, put('"seq":2', '"seq":1'), "key seq: 1 stands here again"),
    "an empty client order id": (
        FILL,
        fill_with("client_order_id", ""),
        "key client_order_id: Expected `str` matching",
    ),
    "a NUL in an id": (FILL, fill_with("client_order_id", "a\0b"), "key client_order_id: Expected `str` matching"),
    "a newline after an id": (
        FILL,
        fill_with("client_order_id", "a\n"),
        "key client_order_id: Expected `str` matching",
    ),
    "a megabyte of an id": (FILL, fill_with("client_order_id", "a" * 2**20), "the line is too long"),
    "an id of 65 letters": (
        FILL,
        fill_with("client_order_id", "a" * 65),
        "key client_order_id: Expected `str` matching",
    ),
    "direction-changing characters": (FILL, fill_with("client_order_id", "a\u202eb"), "key client_order_id: Expected"),
    "a lone surrogate": (FILL, put('"x-1"', '"\\ud800"'), "JSON is malformed"),
    "no execution id": (FILL, without("execution_id"), "missing required field `execution_id`"),
    "null for a required key": (FILL, put('"x-1"', "null"), "key execution_id: Expected `str`, got `null`"),
    "an unknown key": (FILL, put('"fee":"2"', '"fee":"2","tip":"1"'), "unknown field `tip`"),
    "an unknown side": (FILL, put('"BUY"', '"buy"'), "key side: Invalid enum value"),
    "an unknown kind of record": (
        FILL,
        put("BrokerFill/1", "BrokerHint/1"),
        "key schema: Invalid value 'BrokerHint/1'",
    ),
    "an unknown version of a schema": (FILL, put("BrokerFill/1", "BrokerFill/2"), "(allowed: BrokerAccepted/1, "),
    "no schema": (FILL, without("schema"), "missing required field `schema`"),
    "a time without its zone": (FILL, put("08:00:03Z", "08:00:03"), "key ts: Expected `datetime` with a timezone"),
    "a leap second": (FILL, put("08:00:03Z", "08:00:60Z"), "key ts: Invalid RFC3339"),
    "a time of the year 1": (ACCEPTED, put("2026-01-05", "0001-01-05"), "key ts: is out of range"),
    "a time of the year 9999": (CASH, put("2026-01-05", "9999-01-05"), "key ts: is out of range"),
    "time going back": (FILL, put("08:00:03Z", "07:59:59Z"), "key ts: goes back from 2026-01-05T08:00:02+00:00"),
    "invalid UTF-8": (FILL, lambda line: line.replace(b"x-1", b"x\xff1"), "not UTF-8"),
    "CRLF": (FILL, lambda line: line[:-1] + b"\r\n", "the line ends in CRLF"),
    "trailing garbage": (FILL, lambda line: line[:-1] + b" x\n", "JSON is malformed: trailing characters"),
    "two objects on one line": (FILL, lambda line: line[:-1] + line, "JSON is malformed: trailing characters"),
    "a trailing comma": (FILL, lambda line: line[:-2] + b",}\n", "JSON is malformed"),
    "a truncated last line": (CASH, lambda line: line[:-9], "half-written: the last line has no newline"),
    "a last line without its newline": (CASH, lambda line: line[:-1], "half-written: the last line has no newline"),
    "half a line": (FILL, lambda line: line[:40] + b"\n", "Input data was truncated"),
    "nesting 60,000 deep": (FILL, raw(b"[" * 60_000 + b"\n"), "Expected `object`, got `array`"),
    "nesting inside of a record": (FILL, put('"fee":"2"', '"fee":' + "[" * 30_000), "key fee: Expected `str`"),
    "an array on top": (FILL, raw(b"[1]\n"), "Expected `object`, got `array`"),
    "a comment": (FILL, raw(b"// all is well\n"), "JSON is malformed"),
    "single quotes": (FILL, raw(b"{'seq': 2}\n"), "JSON is malformed"),
    "a blank line": (FILL, raw(b"\n"), "the line is blank"),
}

BAD_JOURNALS: dict[str, tuple[int, Change, str]] = {
    "a version left out": (2, put('"version":2', '"version":3'), "key version: 3 follows 1"),
    "a version told again": (2, put('"version":2', '"version":1'), "key version: 1 follows 1"),
    "a quantity that changes": (2, put('"quantity":"100000"', '"quantity":"100001"'), "key quantity: is not what"),
    "a decision that changes": (2, put('"decision_id":"buy"', '"decision_id":"sell"'), "key fingerprint: is not what"),
    "a step that no fact makes": (2, put('"ACK"', '"VOID"'), "key state: no fact leads from SENT to VOID"),
    "a state that there is not": (2, put('"ACK"', '"DONE"'), "key state: Invalid enum value 'DONE'"),
    "filled without a fill": (2, put('"filled":"0"', '"filled":"5"'), "key filled: 5 after 0 and a fill of 0"),
    "filled above ordered": (1, put('"filled":"0"', '"filled":"100001"'), "key filled: is above the quantity"),
    "a fingerprint that is none": (2, put('"fingerprint":"e', '"fingerprint":"E'), "key fingerprint: Expected `str`"),
    "a gap in the sequence": (2, put('"seq":2', '"seq":9'), "key seq: 9 after 1 leaves a gap"),
    "a key twice in a fill": (3, put('"fee":"2"', '"fee":"2","fee":"2"'), "key 'fee' is given twice"),
    "an unknown key in a fill": (3, put('"fee":"2"', '"fee":"2","tip":"2"'), "key fill: Object contains unknown field"),
    "a fill of nothing": (3, put('"quantity":"40000"', '"quantity":"0"'), "key fill.quantity: is not above zero"),
    "a negative cumulative quantity": (1, put('"filled":"0"', '"filled":"-1"'), "key filled: is below zero"),
}


def as_a_pipe(path: Path) -> None:
    """Put a pipe that nobody writes to in place of a file."""
    path.unlink()
    os.mkfifo(path)


def refused(folder: Path, out: Path) -> str:
    """Run the proof in ``folder``, see that nothing was written, and return the one line of complaint."""
    before = sorted(path for path in folder.rglob("*"))
    answer = by_options(folder, out)
    assert (answer.code, answer.out) == (1, "")
    assert sorted(path for path in folder.rglob("*")) == before
    assert not out.parent.exists()
    return answer.complaint


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_a_bad_line_of_the_broker_is_named_with_its_file(what: str, tmp_path: Path) -> None:
    line, change, told = BAD_EVENTS[what]
    a_proof(tmp_path / "in")
    path = edited(tmp_path / "in" / "healthy" / "events.jsonl", line, change)
    complaint = refused(tmp_path / "in", tmp_path / "made" / "out")
    assert complaint.startswith(f"{path}:{line}: ")
    assert told in complaint


@pytest.mark.parametrize("what", BAD_JOURNALS)
def test_a_bad_line_of_the_journal_is_named_with_its_file(what: str, tmp_path: Path) -> None:
    line, change, told = BAD_JOURNALS[what]
    a_proof(tmp_path / "in")
    path = edited(tmp_path / "in" / "healthy" / "journal.jsonl", line, change)
    complaint = refused(tmp_path / "in", tmp_path / "made" / "out")
    assert complaint.startswith(f"{path}:{line}: ")
    assert told in complaint


def test_an_older_proof_stays_as_it_was_when_the_next_input_is_bad(tmp_path: Path) -> None:
    a_proof(tmp_path)
    out = tmp_path / "out"
    assert by_options(tmp_path, out).code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    edited(tmp_path / "healthy" / "events.jsonl", CASH, raw(b"{}\n"))
    assert by_options(tmp_path, out).code == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["healthy", "healthy.yaml", "out"]


@pytest.mark.parametrize("name", ["events.jsonl", "journal.jsonl"])
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file or directory"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: (path.unlink(), path.mkdir()), "is a directory"),
        (as_a_pipe, "is a pipe, socket or device"),
        (lambda path: path.write_bytes(gzip.compress(path.read_bytes())), "compressed with gzip"),
        (lambda path: path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes()), "begins with a byte order mark"),
        (lambda path: path.write_bytes(b"x" * (1 << 20)), ":1: the line is too long"),
    ],
)
def test_a_file_that_is_no_log_is_named(name: str, make: Callable[[Path], object], told: str, tmp_path: Path) -> None:
    a_proof(tmp_path / "in")
    path = tmp_path / "in" / "healthy" / name
    make(path)
    complaint = refused(tmp_path / "in", tmp_path / "made" / "out")
    assert complaint.startswith(str(path))
    assert told in complaint


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe"])
def test_a_cache_that_is_no_file_is_bad_input(kind: str, tmp_path: Path) -> None:
    a_proof(tmp_path / "in")
    path = tmp_path / "in" / "healthy" / "cache.jsonl"
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    assert refused(tmp_path / "in", tmp_path / "made" / "out").startswith(str(path))


def test_a_log_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = '{"schema":"BrokerCash/1","seq":%d,"ts":"2026-01-05T08:00:00Z","amount":"1"}\n'
    path.write_text(line % 1 + line % 2, encoding="utf-8")
    records = iter(RecordFile(path, RecordReader((BrokerCash,), "BrokerCash/1")))
    next(records)
    with path.open("a", encoding="utf-8") as log:
        log.write(line % 3)
    with pytest.raises(BadInput, match=r"log\.jsonl:3: the file changed while it was read"):
        list(records)


def test_a_log_with_too_many_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.prove.lines.LINES_MAX", 5)
    a_proof(tmp_path / "in")
    assert ":6: too many lines (allowed: at most 5)" in refused(tmp_path / "in", tmp_path / "made" / "out")
    assert jsonl.LINE_BYTES_MAX == 65_536


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("schema: ProofConfig/1", "schema: ProofConfig/2", "healthy.yaml: schema: is 'ProofConfig/2'"),
        ("schema: ProofConfig/1\n", "", "healthy.yaml: schema: Field required"),
        ("stale: 0", "stale: 0\n  stale: 1", "healthy.yaml:20: the key 'stale' stands here twice"),
        ("stale: 0", "stale: -1", "healthy.yaml: expect.stale: Input should be greater than or equal to 0"),
        ("stale: 0", "stale: 1_0", "healthy.yaml: expect.stale: must be a whole number in plain digits"),
        ("stale: 0", "cache_ok: yes", "healthy.yaml: expect.cache_ok: must be true or false"),
        ("stale: 0", "stuck: 0", "healthy.yaml: expect.stuck: is not a known key"),
        ("stale: 0", "findings: {stale_local_order: 1}", "has a key of its own: stale, orphan or drift"),
        ("stale: 0", "findings: {gone: 1}", "healthy.yaml: expect.findings.gone"),
        ("stale: 0", "drift: [{symbol: A, drift: 1}, {symbol: A, drift: 2}]", "drift names a symbol twice"),
        ("stale: 0", "drift: [{symbol: A, drift: 1e3}]", "expect.drift.0.drift: not a plain decimal number"),
        ('pip_size: "0.0001"', 'pip_size: "0"', "instruments.0.pip_size: not above zero"),
        (
            "session: eu",
            "session: moon",
            "slippage_presets: EURUSD in session moon: there is no such session",
        ),
        (
            "instruments:\n",
            "slippage_sessions: {eu: 0-24, us: 13-21}\ninstruments:\n",
            "slippage_sessions: hour 13 is in eu and in us",
        ),
        ("instruments:\n", "slippage_sessions: {eu: 7-25}\ninstruments:\n", "slippage_sessions.eu: 7-25 is no window"),
        ("events: healthy/events.jsonl", "events: ../events.jsonl", "inputs.events: must be a file beside the config"),
        ("events: healthy/events.jsonl", "events: /etc/passwd", "inputs.events: must be a file beside the config"),
        ("shows: two", "shows: &two", "healthy.yaml:7: anchors and aliases are not read here"),
        ("expect:", "expected:", "healthy.yaml: expect: Field required"),
        ("instruments:\n", "name: a/b\ninstruments:\n", "healthy.yaml: name: String should match pattern"),
    ],
)
def test_a_bad_config_is_named_with_its_key(old: str, new: str, told: str, tmp_path: Path) -> None:
    config = a_proof(tmp_path)
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")
    answer = interlock("prove", config, "--out", tmp_path / "made" / "out")
    assert (answer.code, answer.out, (tmp_path / "made").exists()) == (1, "", False)
    assert told in answer.complaint


def test_presets_that_overlap_are_refused(tmp_path: Path) -> None:
    config = a_proof(tmp_path)
    preset = '  - {symbol: EURUSD, session: eu, max_slippage_pips: "1"}\n'
    config.write_text(config.read_text(encoding="utf-8").replace(preset, preset * 2), encoding="utf-8")
    assert "slippage_presets: EURUSD in session eu: stands here twice" in interlock("prove", config).complaint
