"""Where a store may be, and who owns it: its file, what stands beside it, the lock, the copy of a damaged one.

``FILE`` is the database, ``FILE-wal`` its log, ``FILE.anchor`` what the store held last, ``FILE.kill`` the kill switch,
``FILE.lock`` the owner. The lock is the operating system's and ends with its process, however that ends. ``FILE.mock``
is the book of a mock broker that outlives the process too, and no part of the store.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.errors import StoreOwned, StoreRefused
from interlock.domain.ids import canonical_json

__all__ = ["Ownership", "Place", "file_system_of", "keep_aside"]

MOUNTS: Path = Path("/proc/self/mounts")
"""Where the kernel lists what is mounted; where there is no such file, file systems are not told apart."""

_NETWORK: Final = (
    *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"),
    *("nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs"),
    *("fuse.sshfs",),
)
_MEMORY: Final = ("devtmpfs", "hugetlbfs", "ramfs", "tmpfs")
_MOUNTS_MAX: Final = 100_000
_MOUNT_FIELDS: Final = 3
"""Device, place, type: what stands first in each line."""
_OWNER_BYTES_MAX: Final = 1_000
_OWNER_CHARS_MAX: Final = 100
_OPEN: Final = os.O_CLOEXEC | os.O_NOFOLLOW
_ELSEWHERE: Final = "a plain file on a local disk"


class Place:
    """The files of one store.

    Raises:
        StoreRefused: a link, no plain file, no such folder, or a file system that forgets or is shared.
    """

    def __init__(self, path: Path) -> None:
        self.path = _resolved(path)
        self.wal = self._beside("-wal")
        self.journal = self._beside("-journal")
        self.anchor = self._beside(".anchor")
        self.kill = self._beside(".kill")
        self.lock = self._beside(".lock")
        self.mock = self._beside(".mock")
        if not self.path.parent.is_dir():
            message = f"{path}: there is no folder {path.parent} (allowed: {_ELSEWHERE})"
            raise StoreRefused(message)
        for file in (self.path, self.wal, self.journal, self.anchor, self.kill, self.lock):
            kind = _kind_of(file)
            if kind:
                message = f"{file}: is {kind} (allowed: {_ELSEWHERE})"
                raise StoreRefused(message)
        kind = file_system_of(self.path)
        if kind in _NETWORK or kind in _MEMORY:
            why = "is shared over a network and cannot be locked" if kind in _NETWORK else "forgets with the machine"
            message = f"{path}: lies on {kind}, which {why} (allowed: {_ELSEWHERE})"
            raise StoreRefused(message)

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)


def _resolved(path: Path) -> Path:
    """Return the path with every link before its name followed."""
    try:
        if path.name and "\0" not in str(path):
            return path.parent.resolve() / path.name
        what = "names no file"
    except (OSError, RuntimeError) as error:  # a ring of links is the one or the other, by the release of Python
        what = f"is out of reach: {error}"
    raise StoreRefused(" ".join(f"{path}: {what} (allowed: {_ELSEWHERE})".split()))


def _kind_of(file: Path) -> str:
    """Return what is there, where it is no plain file; looked at once, since an owner may remove it meanwhile."""
    try:
        mode = file.lstat().st_mode
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"out of reach: {error.strerror or error}"
    return "a link" if stat.S_ISLNK(mode) else "" if stat.S_ISREG(mode) else "no plain file"


class _Owner(msgspec.Struct, frozen=True):
    owner: str
    pid: int


class Ownership:
    """The lock on one store, held until ``release`` or the end of the process.

    Raises:
        StoreRefused: another one holds it, who is named; or the lock cannot be made.
    """

    def __init__(self, place: Place, owner: str) -> None:
        try:
            self._fd = os.open(place.lock, os.O_RDWR | os.O_CREAT | _OPEN, 0o600)
        except OSError as error:
            message = f"{place.lock}: cannot be opened: {error.strerror or error}"
            raise StoreRefused(message) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, canonical_json(_Owner(owner[:_OWNER_CHARS_MAX], os.getpid())), 0)
        except OSError as error:
            held = error.errno in (errno.EAGAIN, errno.EACCES)
            why = f"is owned by {self._holder()}" if held else f"cannot be locked: {error.strerror or error}"
            self.release()
            message = f"{place.path}: {why} (allowed: one owner at a time)"
            raise (StoreOwned if held else StoreRefused)(message) from error

    def release(self) -> None:
        """Let the next owner in."""
        os.close(self._fd)

    def _holder(self) -> str:
        raw = os.pread(self._fd, _OWNER_BYTES_MAX, 0)
        try:
            holder = msgspec.json.decode(raw, type=_Owner)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return "another process, which has not said who it is"
        return f"{holder.owner} (pid {holder.pid})"


def file_system_of(path: Path) -> str:
    """Return the type of the file system that holds ``path``, or "" where the system does not tell."""
    try:
        with MOUNTS.open(encoding="utf-8", errors="surrogateescape") as stream:
            lines = [line.split() for line, _ in zip(stream, range(_MOUNTS_MAX), strict=False)]
    except OSError:
        return ""
    folder, found, kind = str(path.parent) + "/", "", ""
    for line in lines:
        point = (
            line[1].encode("utf-8", "surrogateescape").decode("unicode_escape") if len(line) >= _MOUNT_FIELDS else ""
        )
        # Of two at one place the later one is on top.
        if point and folder.startswith(point.rstrip("/") + "/") and len(point) >= len(found):
            found, kind = point, line[2]
    return kind


def keep_aside(place: Place) -> str:
    """Copy a damaged store into a folder beside it, once, and return its name; the store itself is not touched."""
    digest = hashlib.sha256()
    try:
        # An empty log is none: SQLite makes one when it looks.
        files = [file for file in (place.path, place.wal, place.anchor) if file.exists() and file.stat().st_size]
        for file in files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        aside = place.path.with_name(f"{place.path.name}.damaged-{digest.hexdigest()[:8]}")
        if not aside.exists():
            partial = aside.with_name(aside.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            for file in files:
                shutil.copy2(file, partial / file.name)
            partial.rename(aside)
    except OSError as error:
        return f"no copy could be made: {error.strerror or error}"
    return f"a copy is in {aside}"
