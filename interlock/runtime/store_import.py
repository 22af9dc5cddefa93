"""A new store from an exported journal: every record is checked against the chain and taken as if it happened again.

The rows come about as they did in the first store, through the same tables, and the end must be the one that the
header names. The store is made in a folder beside its place and moved there when it is whole. How long ended keys are
kept is no part of a journal and is counted anew, with the time to live given here.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from interlock.domain.account_book import AccountLine
from interlock.domain.broker import Fill
from interlock.domain.errors import BadInput, StoreRefused, UnknownSchema
from interlock.domain.ids import canonical_json
from interlock.domain.instants import to_ns
from interlock.domain.orders import Order
from interlock.runtime.crash_points import unheard
from interlock.runtime.kill_file import KillFile
from interlock.runtime.store import TTL_S
from interlock.runtime.store_anchor import Head, Record, sync_folder
from interlock.runtime.store_changes import Change, Execution
from interlock.runtime.store_export import JournalHeader
from interlock.runtime.store_file import StoreFile
from interlock.runtime.store_place import Ownership, Place

__all__ = ["import_journal"]

_OWNER: Final = "interlock store import"
_SCHEMA: Final = "InterlockJournal/1"
_LINE_BYTES_MAX: Final = 1 << 26
_GROUP: Final = 1_000
"""Records that are committed together."""
_ALLOWED: Final = "a journal.jsonl as interlock store export wrote it"


class _SchemaOnly(msgspec.Struct):
    schema: str


def import_journal(journal: Path, store: Path, *, ttl_s: int = TTL_S) -> Head:
    """Make the store ``store`` of an exported journal and return its end, which is that of the first store.

    Raises:
        BadInput: the file cannot be read, or a line of it, which is named, is not what was exported; or there is a
            store at that place already. Nothing is left there.
        StoreRefused: no store can be there.
    """
    with _opened(journal) as stream, _new_store(store, ttl_s) as (file, place):
        lines = _lines(journal, stream)
        header = _header(journal, next(lines, b""))
        for number, line in enumerate(lines, start=2):
            where = f"{journal}:{number}"
            _take(where, _record(where, line, file.taken), file)
            if not number % _GROUP:
                file.commit()
        if file.taken != header.head:
            what = f"ends with record {file.taken.sequence}, and its header says {header.head.sequence}"
            raise BadInput(str(journal), what, _ALLOWED)
        if header.kill_file:
            KillFile(place.kill).engage(header.kill_file)
    return header.head


def _header(journal: Path, line: bytes) -> JournalHeader:
    where, body = f"{journal}:1", line.removesuffix(b"\n")
    try:
        schema = msgspec.json.decode(body, type=_SchemaOnly).schema
        if schema != _SCHEMA:
            raise UnknownSchema(where, f"is of schema {schema[:80]!r}", _SCHEMA)
        header = msgspec.json.decode(body, type=JournalHeader)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(where, f"is not the header of a journal: {error}", _ALLOWED) from error
    if canonical_json(header) + b"\n" != line:
        raise BadInput(where, "is not as it was written", _ALLOWED)
    return header


def _record(where: str, line: bytes, before: Head) -> Record:
    """Return the record of a line, which has to come after ``before``."""
    if not line.endswith(b"\n"):
        raise BadInput(where, "is cut short", _ALLOWED)
    try:
        record = msgspec.json.decode(line[:-1], type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(where, f"is not a record: {error}", _ALLOWED) from error
    if record.sequence != before.sequence + 1:
        what = f"has record {record.sequence}, and record {before.sequence + 1} belongs there"
        raise BadInput(where, what, _ALLOWED)
    if canonical_json(record) != line[:-1] or record.chained(before.chain) != record.chain:
        raise BadInput(where, f"record {record.sequence} is not what was written: its chain does not hold", _ALLOWED)
    return record


def _take(where: str, record: Record, file: StoreFile) -> None:
    """Write a record and its rows; raises BadInput where they do not come out as they were."""
    try:
        change = msgspec.json.decode(record.content, type=Change)
        execution = _execution(record.fill)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadInput(
            where, f"record {record.sequence} cannot be read: {str(error).splitlines()[0]}", _ALLOWED
        ) from error
    if record.audit:
        file.note(record.audit.encode())
    with file.transaction():
        before = file.tables.order(change.client_order_id) if isinstance(change, Order) else None
        file.append(change, execution, record.at_ns, before)
    if file.taken != record.head:
        raise BadInput(where, f"record {record.sequence} cannot be made again by this release", _ALLOWED)


def _execution(text: str) -> Execution | None:
    if not text:
        return None
    venue, account, fill, line = msgspec.json.decode(text, type=tuple[str, str, msgspec.Raw, AccountLine | None])
    return Execution(venue, account, Fill.model_validate_json(bytes(fill)), line)


def _opened(journal: Path) -> BinaryIO:
    try:
        # Looked at before it is opened: opening a pipe would wait for its other end.
        if not stat.S_ISREG(journal.stat().st_mode):
            raise BadInput(str(journal), "is no plain file", _ALLOWED)
        return journal.open("rb")
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no name"
        raise BadInput(str(journal), f"cannot be read: {what}", _ALLOWED) from error


def _lines(journal: Path, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines, each with its newline and no longer than any record."""
    number = 0
    while line := stream.readline(_LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > _LINE_BYTES_MAX:
            raise BadInput(f"{journal}:{number}", f"is longer than {_LINE_BYTES_MAX:,} bytes", _ALLOWED)
        yield line


@contextmanager
def _new_store(path: Path, ttl_s: int) -> Iterator[tuple[StoreFile, Place]]:
    """Let the block fill a store in a folder beside its place, own the place meanwhile, and move it there."""
    place = Place(path)
    ownership = Ownership(place, _OWNER)
    making = place.path.with_name(place.path.name + ".importing")
    try:
        taken = [file for file in (place.path, place.wal, place.journal, place.anchor, place.kill) if file.exists()]
        if taken:
            raise BadInput(str(taken[0]), "is there already", "the name of a new store")
        shutil.rmtree(making, ignore_errors=True)  # of an import that was killed
        making.mkdir(mode=0o700)
        new = Place(making / place.path.name)
        file = StoreFile(new, owner=_OWNER, ttl_ns=to_ns(ttl_s), vfs=None, probe=unheard)
        try:
            yield file, new
        finally:
            file.close()
        # The anchor last: what is there without it is no store, and nothing takes it for one.
        for here, there in ((new.kill, place.kill), (new.path, place.path), (new.anchor, place.anchor)):
            if here.exists():
                here.rename(there)
        sync_folder(place.path.parent)
    except OSError as error:
        raise StoreRefused(f"{error.filename or place.path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
        ownership.release()
