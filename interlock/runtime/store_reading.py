"""A store that is only read: owned for that time, opened with every check, and its journal walked from the beginning.

Verifying, exporting and the mending of audit logs all read this way. Whatever is not as it was written ends the reading
with the kill switch set and a copy kept aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from interlock.domain.errors import BadInput, StoreDamaged
from interlock.runtime.store_anchor import GENESIS, Head, Record
from interlock.runtime.store_opening import chained, damage_told, open_database
from interlock.runtime.store_place import Ownership, Place
from interlock.runtime.store_schema import told
from interlock.runtime.store_tables import Tables, damaged

__all__ = ["Reading", "reading"]


class Reading(NamedTuple):
    """A store that is open for reading; ``switch`` is the reason in the row of the kill switch, or ""."""

    place: Place
    db: apsw.Connection
    tables: Tables
    head: Head
    switch: str

    def records(self, first: int = 1) -> Iterator[Record]:
        """Yield the records of the journal from ``first`` on, oldest first, each once its chain was found to hold.

        Raises:
            StoreDamaged: a record is not what was written, or is missing.
        """
        at = GENESIS
        for row in self.db.execute("SELECT * FROM journal WHERE sequence >= ? ORDER BY sequence", (first - 1,)):
            record = Record(*row)
            # The one before the first is where the chain is taken up.
            at = record.head if record.sequence < first else chained(record, at, self.place)
            if record.sequence >= first:
                yield record
        if at != self.head:
            what = f"journal record {at.sequence} is the last one, and {self.head.sequence} should be"
            raise damaged(self.place.path, what)


@contextmanager
def reading(path: Path, owner: str) -> Iterator[Reading]:
    """Own the store at ``path`` and let the block read it.

    Raises:
        BadInput: there is none.
        StoreDamaged: it is not as it was written; the kill switch is set and a copy kept aside.
        StoreRefused: it cannot be opened, or somebody else owns it.
    """
    place = Place(path)
    if not place.path.exists() and not place.anchor.exists():
        raise BadInput(str(path), "there is no store", "the FILE of a store, as --store named it")
    ownership = Ownership(place, owner)
    try:
        db, tables, anchor, head, switch = open_database(place)
        try:
            with told(place):
                yield Reading(place, db, tables, head, switch)
        finally:
            db.close()
            anchor.close(sync=False)
    except StoreDamaged as error:
        raise damage_told(place, error) from error
    finally:
        ownership.release()
