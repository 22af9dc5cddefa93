"""What a session is given in place of a store that was found damaged: it says so, and takes nothing.

The session that it is given to is rejected and leaves the reason in its artifacts. The kill switch was set when the
damage was found.
"""

from __future__ import annotations

from typing import NoReturn

from interlock.domain.account_book import AccountLine
from interlock.domain.errors import StoreDamaged
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store_changes import OperatorReset
from interlock.runtime.store_opening import DAMAGED_SWITCH

__all__ = ["DamagedStore"]


class DamagedStore(MemoryStore):
    """A store of which nothing is known but what is wrong with it: empty, halted, and it takes no order."""

    def __init__(self, error: StoreDamaged) -> None:
        super().__init__()
        self._why = str(error)

    def complaint(self) -> str:
        """Return what is wrong."""
        return self._why

    def _append(self, *_: object) -> NoReturn:
        raise StoreDamaged(self._why)

    def open_account(self, venue: str, account: str, lines: tuple[AccountLine, ...]) -> None:
        """Do nothing: it cannot be recorded."""

    def begin_session(self, mark: SessionBegun) -> None:
        """Do nothing, as above."""

    def end_session(self, mark: SessionDone) -> None:
        """Do nothing, as above."""

    def note(self, line: bytes) -> None:
        """Keep nothing: the audit goes into the files of the run alone."""

    def engage_kill_switch(self, reason: str) -> None:
        """Do nothing: it is set."""

    def kill_switch(self) -> str:
        """Return what set the kill switch."""
        return DAMAGED_SWITCH

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return nothing: what was recorded cannot be read."""
        return ()
