"""An edit, a cut or a swap in an audit log is found, and named by its line."""

from __future__ import annotations

import io
import json
import os
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import BadInput
from interlock.domain.ids import canonical_json, sha256_hex
from interlock.runtime.audit import (
    AUDIT_SCHEMA,
    GENESIS_HASH,
    AuditAnchor,
    AuditChain,
    AuditRecord,
    verify_audit,
    verify_audit_file,
)
from interlock.runtime.redaction import REDACTED

pytestmark = pytest.mark.spec("ART-3")

TS = "2026-01-01T00:00:00.000000Z"


def a_log(records: int = 4) -> tuple[list[bytes], AuditAnchor]:
    """Return the lines of a small log and the anchor that its run would keep."""
    chain = AuditChain()
    lines = [
        chain.append(ts=TS, code="ORDER_ACK", message=f"order {n}", meta={"n": n, "qty": Decimal("1.50")}) + b"\n"
        for n in range(records)
    ]
    return lines, AuditAnchor(chain.count, chain.head)


def a_run(folder: Path, lines: list[bytes], anchor: AuditAnchor | None) -> Path:
    """Write a log, and the anchor into the metrics beside it."""
    path = folder / "audit.jsonl"
    path.write_bytes(b"".join(lines))
    if anchor is not None:
        metrics = {"audit_events": anchor.count, "audit_head": anchor.head, "status": "COMPLETED"}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return path


def hashed(record: dict[str, object]) -> bytes:
    """Return the line of a record that somebody made by hand, with a hash that fits."""
    body = {name: value for name, value in record.items() if name != "hash"}
    return canonical_json({**body, "hash": sha256_hex(canonical_json(body))}) + b"\n"


def test_a_whole_log_is_in_order() -> None:
    lines, anchor = a_log()
    verdict = verify_audit(lines, anchor)
    assert (verdict.ok, verdict.count, verdict.head) == (True, 4, anchor.head)
    assert (verdict.first_bad_line, verdict.reason, verdict.anchored) == (None, "", True)


def test_a_record_is_canonical_and_chained() -> None:
    lines, _ = a_log(2)
    first, second = (json.loads(line) for line in lines)
    assert first["prev_hash"] == GENESIS_HASH
    assert second["prev_hash"] == first["hash"]
    assert (first["seq"], second["seq"]) == (1, 2)
    assert first["schema"] == AUDIT_SCHEMA
    assert [hashed(first), hashed(second)] == lines
    assert msgspec.json.decode(lines[0], type=AuditRecord).meta == {"n": 0, "qty": "1.50"}


@pytest.mark.parametrize("code", ['X","level":"INFO', "back\\", '\\","level":"', 'quote"', "ä", ""])
def test_the_hash_is_spliced_in_at_the_right_place_whatever_the_code(code: str) -> None:
    chain = AuditChain()
    line = chain.append(ts=TS, code=code, message='","level":"', meta={'","level":"': 1}) + b"\n"
    assert hashed(json.loads(line)) == line
    assert verify_audit([line]).ok


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.binary()
_VALUES = _SCALARS | st.lists(_SCALARS, max_size=2) | st.dictionaries(st.text() | st.integers(), _SCALARS, max_size=2)
_META = st.dictionaries(st.text(), _VALUES, max_size=4)


@given(st.lists(st.tuples(st.text(), st.text(), _META), min_size=1, max_size=3))
def test_whatever_goes_in_verifies(records: list[tuple[str, str, dict[str, object]]]) -> None:
    chain = AuditChain()
    lines = [chain.append(ts=TS, code=code, message=text, meta=meta) + b"\n" for code, text, meta in records]
    verdict = verify_audit(lines, AuditAnchor(chain.count, chain.head))
    assert verdict.ok, verdict.reason


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF])
def test_any_byte_flipped_is_found_on_its_line(mask: int) -> None:
    lines, _ = a_log(3)
    data = b"".join(lines)
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= mask
        verdict = verify_audit(io.BytesIO(bad))
        assert not verdict.ok
        assert verdict.first_bad_line == data[:at].count(b"\n") + 1, (at, mask, verdict)
        assert verdict.count == verdict.first_bad_line - 1


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_line_cut_from_the_start_or_the_middle_is_named(cut: int) -> None:
    lines, _ = a_log()
    del lines[cut]
    verdict = verify_audit(lines)
    assert (verdict.ok, verdict.first_bad_line) == (False, cut + 1)


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_lines_cut_off_the_end_are_found_by_the_anchor(tmp_path: Path, left: int) -> None:
    lines, anchor = a_log()
    verdict = verify_audit_file(a_run(tmp_path, lines[:left], anchor))
    assert (verdict.ok, verdict.first_bad_line, verdict.count) == (False, left + 1, left)
    assert "knows 4 records" in verdict.reason


@pytest.mark.parametrize(("one", "other"), [(a, b) for b in range(4) for a in range(b)])
def test_two_lines_swapped_are_named_by_the_first(one: int, other: int) -> None:
    lines, anchor = a_log()
    lines[one], lines[other] = lines[other], lines[one]
    verdict = verify_audit(lines, anchor)
    assert (verdict.ok, verdict.first_bad_line) == (False, one + 1)


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_line_written_twice_is_found(at: int) -> None:
    lines, _ = a_log()
    lines.insert(at, lines[at])
    assert verify_audit(lines).first_bad_line == at + 2


def test_a_record_edited_with_a_hash_that_fits_breaks_the_next_one() -> None:
    lines, _ = a_log()
    lines[1] = hashed({**json.loads(lines[1]), "message": "something else"})
    verdict = verify_audit(lines)
    assert verdict.first_bad_line == 3
    assert "prev_hash" in verdict.reason


@pytest.mark.parametrize("seq", [1, 3, 0, -2])
def test_a_number_left_out_or_used_twice_is_found_even_in_a_chain_that_holds(seq: int) -> None:
    lines, _ = a_log()
    lines[1] = hashed({**json.loads(lines[1]), "seq": seq})
    verdict = verify_audit(lines[:2])
    assert verdict.first_bad_line == 2
    assert f"record {seq} stands where record 2 belongs" in verdict.reason


def test_a_tail_written_anew_is_found_by_the_anchor(tmp_path: Path) -> None:
    lines, anchor = a_log()
    lines[3] = hashed({**json.loads(lines[3]), "message": "something else"})
    assert verify_audit(lines).ok, "without the anchor nobody can tell"
    verdict = verify_audit_file(a_run(tmp_path, lines, anchor))
    assert (verdict.ok, verdict.first_bad_line) == (False, 4)
    assert "another hash" in verdict.reason


def test_records_added_after_the_run_are_found_by_the_anchor(tmp_path: Path) -> None:
    lines, _ = a_log(5)
    _, anchor = a_log(4)
    verdict = verify_audit_file(a_run(tmp_path, lines, anchor))
    assert (verdict.ok, verdict.first_bad_line) == (False, 5)
    assert "added" in verdict.reason


def test_a_log_without_an_anchor_is_taken_as_it_ends(tmp_path: Path) -> None:
    lines, _ = a_log()
    verdict = verify_audit_file(a_run(tmp_path, lines[:3], None))
    assert (verdict.ok, verdict.count, verdict.anchored) == (True, 3, False)


def test_an_empty_log_is_not_in_order(tmp_path: Path) -> None:
    verdict = verify_audit_file(a_run(tmp_path, [], None))
    assert (verdict.ok, verdict.first_bad_line) == (False, 1)


def test_metrics_that_were_never_written_are_no_anchor(tmp_path: Path) -> None:
    lines, _ = a_log()
    (tmp_path / "metrics.json").touch()
    assert verify_audit_file(a_run(tmp_path, lines, None)).ok


def test_a_last_line_without_a_newline_is_named() -> None:
    lines, _ = a_log()
    verdict = verify_audit([*lines[:3], lines[3][:-1]])
    assert (verdict.first_bad_line, "newline" in verdict.reason) == (4, True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda line: line.replace(b'"seq":2', b'"seq": 2'), "canonical"),
        (lambda line: line.replace(b'"seq":2', b'"seq":1,"seq":2'), "canonical"),
        (lambda line: line.replace(b'"code":"ORDER_ACK",', b""), "not an audit record"),
        (lambda line: line.replace(b'"seq":2', b'"seq":2,"more":1'), "not an audit record"),
        (lambda line: line.replace(AUDIT_SCHEMA.encode(), b"INTERLOCK_AUDIT_V2"), "unknown schema"),
        (lambda _: b'{"schema":"INTERLOCK_AUDIT_V9","body":[]}\n', "unknown schema 'INTERLOCK_AUDIT_V9'"),
        (lambda line: line.replace(b"order 1", b"order \xff"), "not UTF-8"),
        (lambda line: line.replace(b"order 1", b"order 7"), "edited"),
        (lambda _: b"\n", "not an audit record"),
        (lambda _: b'{"meta":{"a":' + b"[" * 100_000 + b"\n", "not an audit record"),
        (lambda line: b" " * (1 << 20) + line, "longer than"),
    ],
)
def test_a_damaged_line_says_what_is_wrong_with_it(change: object, reason: str) -> None:
    lines, _ = a_log()
    lines[1] = change(lines[1])  # type: ignore[operator]
    verdict = verify_audit(lines)
    assert verdict.first_bad_line == 2
    assert reason in verdict.reason
    assert "\n" not in verdict.reason


def test_a_file_of_one_endless_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 34)
    assert "longer than" in verify_audit_file(path).reason


@pytest.mark.spec("NFR-1")
def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "", "pipe", "nul\0"):
        with pytest.raises(BadInput, match=r"cannot be read|not a regular file") as caught:
            verify_audit_file(f"{tmp_path}/{name}")
        assert "\n" not in str(caught.value)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("text", ["{", "[]", '{"audit_events": 4}', '{"audit_events": "4", "audit_head": "0"}', "\xff"])
def test_damaged_metrics_are_refused_by_name(tmp_path: Path, text: str) -> None:
    lines, _ = a_log()
    path = a_run(tmp_path, lines, None)
    (tmp_path / "metrics.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"metrics\.json: holds no anchor"):
        verify_audit_file(path)


@pytest.mark.spec("ART-4")
def test_no_secret_gets_into_a_record() -> None:
    secret = "hunter2"  # noqa: S105 -- planted
    line = AuditChain().append(
        ts=TS,
        code=f"X token={secret}",
        message=f"Bearer {secret}",
        meta={"api_key": secret, "text": f"pwd={secret}", "more": [{"account": secret}], f"secret={secret}": 1},
        level="ERROR",
    )
    assert secret.encode() not in line
    assert line.count(REDACTED.encode()) == 7
    assert verify_audit([line + b"\n"]).ok


def test_a_record_too_long_to_be_read_back_is_shortened() -> None:
    chain = AuditChain()
    line = chain.append(ts=TS, code="X", message="m " * 100_000, meta={"text": "y " * 1_000_000}) + b"\n"
    assert len(line) < 1 << 20
    assert json.loads(line)["meta"]["meta_left_out_bytes"] > 2_000_000
    assert verify_audit([line]).ok


def test_the_same_records_give_the_same_bytes() -> None:
    assert a_log() == a_log()
