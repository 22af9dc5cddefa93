"""The audit log: one record type, one canonical JSON line a record, each chained to the one before (ART-3).

A record carries ``prev_hash`` (the hash of the record before, 64 zeros in the first) and ``hash`` (SHA-256 over
its own canonical JSON without the field ``hash``). Since a line has to be *byte for byte* the canonical form of
what it says, and ``seq`` rises by one from 1, an edit, a cut or a swap anywhere is found at the first line that
it touches. What a chain alone cannot show, records cut off its end or a tail written anew, is found against the
anchor: the count and the last hash, which a run keeps in the ``metrics.json`` beside its log.

Messages and meta are redacted on their way in (ART-4). Nothing here reads a clock or holds a file open.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from interlock.domain.errors import BadInput, InterlockError
from interlock.domain.ids import canonical_json, sha256_hex
from interlock.runtime.redaction import redact_flat, scrub

__all__ = [
    "AUDIT_SCHEMA",
    "GENESIS_HASH",
    "AuditAnchor",
    "AuditChain",
    "AuditLevel",
    "AuditRecord",
    "AuditVerdict",
    "read_audit_file",
    "verify_audit",
    "verify_audit_file",
]

AUDIT_SCHEMA = "INTERLOCK_AUDIT_V1"
GENESIS_HASH = "0" * 64
"""The ``prev_hash`` of the first record."""

AuditLevel = Literal["INFO", "WARN", "ERROR", "CRITICAL"]

_LINE_BYTES_MAX = 1 << 20
_METRICS_BYTES_MAX = 16 << 20
_MESSAGE_CHARS_MAX = 16_384
_ANCHOR_FILE = "metrics.json"


class _Unhashed(msgspec.Struct):
    """A record before it has its hash. The fields stand in the order in which canonical JSON sorts them."""

    code: str
    level: AuditLevel
    message: str
    meta: dict[str, object]
    prev_hash: str
    schema: str
    seq: int
    ts: str


class AuditRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record as it is read back; ``ts`` is RFC 3339 in UTC, ``meta`` JSON without secrets."""

    code: str
    hash: str
    level: AuditLevel
    message: str
    meta: dict[str, object]
    prev_hash: str
    schema: str
    seq: int
    ts: str

    @property
    def event_type(self) -> str:
        """Return the code, under the name that the runbook on diffs has for it."""
        return self.code

    @property
    def details(self) -> dict[str, object]:
        """Return the meta, under the name that the runbook on diffs has for it."""
        return self.meta


class _BadLine(InterlockError):
    """What is wrong with a line; never leaves this module."""


class _SchemaOnly(msgspec.Struct):
    schema: str


class AuditAnchor(msgspec.Struct, frozen=True):
    """What a run knows of its log from outside of it: how many records, and the hash of the last one."""

    count: int = msgspec.field(name="audit_events")
    head: str = msgspec.field(name="audit_head")


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """The result of a check.

    ``count`` and ``head`` describe the good records, up to the first bad line (from 1) if there is one;
    ``reason`` is empty when all is well. Without an anchor (``anchored``) the end of the log is taken as it is.
    """

    ok: bool
    count: int
    head: str
    first_bad_line: int | None
    reason: str
    anchored: bool = False


class AuditChain:
    """Makes the lines of one log; the caller writes them down in the order in which it got them."""

    __slots__ = ("_encode", "count", "head", "last_ts")

    count: int
    """How many records were made."""
    head: str
    """The hash of the last one, 64 zeros before the first."""
    last_ts: str
    """The time of the last one, "" before the first."""

    def __init__(self) -> None:
        self.count = 0
        self.head = GENESIS_HASH
        self.last_ts = ""
        self._encode = msgspec.json.Encoder(order="sorted", decimal_format="string").encode

    def append(
        self,
        *,
        ts: str,
        code: str,
        message: str,
        meta: Mapping[str, object] | None = None,
        level: AuditLevel = "INFO",
    ) -> bytes:
        """Return the canonical line of the next record, without a newline.

        ``ts`` comes from the injected clock. What would make a line too long to be read back is left out, and
        the record says so; a chain that is full of surprises is still better than one that stops.
        """
        clean = redact_flat(meta) if meta else {}
        text = scrub(message)
        if len(text) > _MESSAGE_CHARS_MAX:
            text = text[:_MESSAGE_CHARS_MAX] + "..."
        seq = self.count + 1
        record = _Unhashed(scrub(code), level, text, clean, self.head, AUDIT_SCHEMA, seq, ts)
        body = self._encode(record)
        if len(body) > _LINE_BYTES_MAX - 100:
            record.meta = {"meta_left_out_bytes": len(self._encode(clean))}
            body = self._encode(record)
        # Sorted, the hash comes right after the code: encode once, then splice it in there. The bytes searched
        # for cannot stand inside the code, where a quote is always escaped.
        cut = body.index(b',"level":')
        self.head = hashlib.sha256(body).hexdigest()
        self.count = seq
        self.last_ts = ts
        return b'%b,"hash":"%b"%b' % (body[:cut], self.head.encode(), body[cut:])


def verify_audit(lines: Iterable[bytes], anchor: AuditAnchor | None = None) -> AuditVerdict:
    """Check the lines of a log (each with its newline), and its end against ``anchor`` if there is one.

    Reads as a stream: one line at a time is held in memory.
    """
    count, head, at_anchor = 0, GENESIS_HASH, GENESIS_HASH
    bad: int | None = None
    reason = ""
    for line in lines:
        try:
            head = _check(line, count + 1, head)
        except _BadLine as error:
            bad, reason = count + 1, str(error)
            break
        count += 1
        if anchor is not None and count == anchor.count:
            at_anchor = head
    else:
        bad, reason = _judge_end(count, at_anchor, anchor)
    ok = bad is None
    return AuditVerdict(ok, count, head, bad, reason, anchor is not None)


def verify_audit_file(path: str | Path) -> AuditVerdict:
    """Check the log at ``path``, against the anchor in the ``metrics.json`` beside it when there is one.

    Raises:
        BadInput: there is no regular, readable file at ``path``, or the ``metrics.json`` holds no anchor.
    """
    path = Path(path)
    _need_regular_file(path)
    anchor = _read_anchor(path.with_name(_ANCHOR_FILE))
    try:
        with path.open("rb") as file:
            return verify_audit(_lines(file), anchor)
    except OSError as error:
        raise BadInput(str(path), f"cannot be read: {error.strerror}", "a readable file") from error


def read_audit_file(path: str | Path, prefix: str = "") -> list[AuditRecord]:
    """Return the records at ``path`` whose code begins with ``prefix``, once the whole log was found good.

    Raises:
        BadInput: the log cannot be read, or a line of it is bad.
    """
    path = Path(path)
    verdict = verify_audit_file(path)
    if not verdict.ok:
        raise BadInput(f"{path}:{verdict.first_bad_line}", f"damaged: {verdict.reason}", "the log as its run wrote it")
    # In canonical form the code comes first, so a line that is not wanted need not be decoded.
    begin = canonical_json({"code": prefix})[:-2]
    try:
        with path.open("rb") as file:
            return [_RECORD.decode(line) for line in _lines(file) if line.startswith(begin)]
    except OSError as error:
        raise BadInput(str(path), f"cannot be read: {error.strerror}", "a readable file") from error


def _check(line: bytes, seq: int, prev_hash: str) -> str:
    """Return the hash of the line that has to be record ``seq``, or raise what is wrong with it."""
    body, record = _read(line)
    if canonical_json(record) != body:
        raise _BadLine("not in canonical form (sorted keys, each once, no white space)")
    fields = (getattr(record, name) for name in _Unhashed.__struct_fields__)
    if sha256_hex(canonical_json(_Unhashed(*fields))) != record.hash:
        raise _BadLine("its hash does not fit its content: it was edited")
    if record.seq != seq:
        raise _BadLine(f"record {record.seq} stands where record {seq} belongs: lines were cut, added or swapped")
    if record.prev_hash != prev_hash:
        raise _BadLine("it does not follow the line before: prev_hash is not that line's hash")
    return record.hash


def _read(line: bytes) -> tuple[bytes, AuditRecord]:
    if len(line) > _LINE_BYTES_MAX:
        raise _BadLine(f"longer than {_LINE_BYTES_MAX} bytes")
    if not line.endswith(b"\n"):
        raise _BadLine("cut short: there is no newline at its end")
    body = line[:-1]
    try:
        # Looked at first: a record of another release is called that, whatever its fields are.
        schema = _SCHEMA_ONLY.decode(body).schema
        if schema != AUDIT_SCHEMA:
            raise _BadLine(f"unknown schema {scrub(schema[:80])!r}: this release reads {AUDIT_SCHEMA}")
        return body, _RECORD.decode(body)
    except UnicodeDecodeError as error:
        raise _BadLine("not UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise _BadLine(f"not an audit record: {scrub(str(error))}") from error


def _judge_end(count: int, at_anchor: str, anchor: AuditAnchor | None) -> tuple[int | None, str]:
    """Return the first line that is bad at the end of a log of ``count`` good records, and why."""
    if anchor is None:
        return (None, "") if count else (1, "the log is empty: a run writes at least one record")
    known = f"the anchor in {_ANCHOR_FILE} knows {anchor.count} records"
    if count < anchor.count:
        return count + 1, f"missing: the log ends after record {count}, {known}"
    if at_anchor != anchor.head:
        return (
            anchor.count or 1,
            f"{known}, the last with another hash: this record, or some before it, is not the run's",
        )
    if count > anchor.count:
        return anchor.count + 1, f"added: {known}"
    return None, ""


def _lines(file: BinaryIO) -> Iterator[bytes]:
    # One byte past the limit is enough to see that a line is too long, without reading all of it.
    while line := file.readline(_LINE_BYTES_MAX + 1):
        yield line


def _need_regular_file(path: Path) -> None:
    # Looked at before it is opened, because opening a pipe would wait for its other end.
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(str(path), f"cannot be read: {why}", "an audit log, one JSON record a line") from error
    if not stat.S_ISREG(mode):
        raise BadInput(str(path), "not a regular file", "an audit log, one JSON record a line")


def _read_anchor(path: Path) -> AuditAnchor | None:
    if not path.exists():
        return None
    _need_regular_file(path)
    try:
        with path.open("rb") as file:
            data = file.read(_METRICS_BYTES_MAX)
        # A run that stopped early leaves an empty file, and its log has to be readable all the more.
        return _ANCHOR.decode(data) if data else None
    except OSError as error:
        raise BadInput(str(path), f"cannot be read: {error.strerror}", "a readable file") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        allowed = "audit_events (a number) and audit_head (a hash), or no such file"
        raise BadInput(str(path), f"holds no anchor of the audit log: {scrub(str(error))}", allowed) from error


_RECORD = msgspec.json.Decoder(AuditRecord)
_SCHEMA_ONLY = msgspec.json.Decoder(_SchemaOnly)
_ANCHOR = msgspec.json.Decoder(AuditAnchor)
