"""The folder of a proof: written beside its final name, and put in its place when it is whole.

A proof follows from its inputs, so an older proof of the same name is replaced, as a whole; a folder that holds
anything else is left alone. Whatever goes wrong before the end leaves nothing behind, not even empty folders.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interlock.domain.errors import BadInput, StorageError
from interlock.runtime.run_folder import RunFile

__all__ = ["ARTIFACTS", "ProofFolder"]

ARTIFACTS: Final = ("trades.csv", "reconcile-report.json", "summary.txt", "metrics.txt")

_PARTIAL: Final = ".partial"
_OLD: Final = ".old"
_ALLOWED: Final = "another --out"


class ProofFolder:
    """A proof's folder while it is written. Leaving the ``with`` block without ``keep`` removes what was written.

    A folder that is there already is replaced if it holds nothing but files named in ``replaceable``.

    Raises (on entering):
        BadInput: something that is no proof is in the way, or no folder can be made there.
    """

    def __init__(self, path: Path, replaceable: tuple[str, ...] = ARTIFACTS) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - a link in the middle of the path stays as it is
        self.partial = Path(f"{self.path}{_PARTIAL}")
        self._old = Path(f"{self.path}{_OLD}")
        self._replaceable = replaceable
        self._made: list[Path] = []
        self._files: list[RunFile] = []

    def __enter__(self) -> Self:
        if not self.path.name:
            raise BadInput(str(self.path), "cannot hold a proof", _ALLOWED)
        try:
            self._need_replaceable()
            self._make(self.path.parent)
            self.partial.mkdir()
        except (FileExistsError, NotADirectoryError) as error:
            self._clean()
            where = str(error.filename)
            what = "is in the way: a file, or left by a proof that never ended, or written by one right now"
            raise BadInput(where, what, f"{_ALLOWED}, or remove it") from error
        except OSError as error:
            self._clean()
            what = f"cannot be made: {error.strerror or error}"
            raise BadInput(str(error.filename or self.path), what, "a folder that can be written") from error
        self._made.append(self.partial)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close()
        self._clean()

    def stream(self, name: str) -> Callable[[bytes], None]:
        """Make one file and return what writes to its end; both raise StorageError."""
        path = self.partial / name
        try:
            file = RunFile(path)
        except OSError as error:
            raise _refused(path, error) from error
        self._files.append(file)

        def write(data: bytes) -> None:
            try:
                file.write(data)
            except OSError as error:
                raise _refused(path, error) from error

        return write

    def write(self, name: str, data: bytes) -> None:
        """Make one file with this content; raises StorageError."""
        self.stream(name)(data)

    def read(self, name: str) -> str:
        """Return what the disk holds of one file; raises StorageError."""
        path = self.partial / name
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _refused(path, error) from error

    def keep(self) -> Path:
        """Put the folder in its place; raises StorageError, and then an older proof is where it was."""
        try:
            for file in self._files:
                file.finish()
            replaced = self.path.is_dir()
            if replaced:
                self.path.rename(self._old)
            try:
                self.partial.rename(self.path)
            except OSError:
                if replaced:
                    self._old.rename(self.path)
                raise
        except OSError as error:
            raise _refused(self.path, error) from error
        self._made = []
        shutil.rmtree(self._old, ignore_errors=True)
        return self.path

    def _need_replaceable(self) -> None:
        if not os.path.lexists(self.path):
            return
        if self.path.is_symlink() or not self.path.is_dir():
            raise BadInput(str(self.path), "is no folder", _ALLOWED)
        strangers = sorted(entry.name for entry in self.path.iterdir() if entry.name not in self._replaceable)
        if strangers:
            what = f"holds {strangers[0]!r}, which is not replaced"
            raise BadInput(str(self.path), what, f"{_ALLOWED}, or an empty folder")

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, and remember which were not there."""
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir()
            self._made.append(path)

    def _clean(self) -> None:
        """Remove what this proof made and did not keep; folders that hold something by now stay."""
        if self.partial in self._made:
            shutil.rmtree(self.partial, ignore_errors=True)
        for path in reversed(self._made):
            try:
                path.rmdir()
            except OSError:
                continue
        self._made = []


def _refused(path: Path, error: Exception) -> StorageError:
    why = getattr(error, "strerror", None) or error
    return StorageError(f"{path}: cannot be written: {why}; the proof was not kept")
