"""The kill switch as a file beside the store: engaging it needs no healthy store, only a folder that takes a file.

A person may make the file by hand; the store holds it to be set as long as it is there. It is durable, with its name,
before anything else is said to be.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from interlock.runtime.store_anchor import sync_folder

__all__ = ["KillFile"]

_BYTES_MAX: Final = 1_000


class KillFile:
    """One kill switch in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = str(path)  # looked for with every claim, and a Path takes its time

    def engage(self, reason: str) -> None:
        """Make the file, unless it is there; raises OSError."""
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            return
        try:
            os.write(fd, reason.encode("utf-8", "backslashreplace")[:_BYTES_MAX])
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(self.path.parent)

    def reason(self) -> str:
        """Return why the file was made, or "" where there is none; a file that cannot be read counts as made."""
        try:
            os.lstat(self._name)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"nobody can tell whether {self.path.name} is there: {error.strerror or error}"
        try:
            # Not to be waited for: a pipe of that name would keep the claim, and with it everything, for ever.
            fd = os.open(self._name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                text = os.read(fd, _BYTES_MAX).decode("utf-8", "replace")
            finally:
                os.close(fd)
        except OSError:
            text = ""
        return " ".join(text.split()) or f"the file {self.path.name} is there"

    def release(self) -> None:
        """Take the file away; raises OSError."""
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)
