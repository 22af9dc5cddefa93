"""The folder of one run: written beside its final name, renamed when it is whole (ART-1, ART-5, ART-6).

``<root>/finish_c/c2/<run_id>.partial/`` becomes ``<run_id>/`` in one rename, so that a folder with the final name
always holds a whole run. ``run.json`` (``RunManifest``) says what the run was made of, enough to run it again.

A write to a file of the folder happens whole or not at all, so that a sink may try it again.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Final, NoReturn, Self

import msgspec

from interlock.domain.errors import BadInput, StorageError, UnknownSchema
from interlock.domain.ids import canonical_json, sha256_hex
from interlock.runtime.redaction import looks_secret, scrub
from interlock.runtime.schedule import OrderPolicy, Tape

__all__ = [
    "ALERTS",
    "ARTIFACTS",
    "HEALTH_SNAPSHOT",
    "METRICS_SNAPSHOT",
    "RUN_SCHEMA",
    "SNAPSHOTS",
    "STATUS_PAGE",
    "STATUS_SNAPSHOT",
    "VERSION",
    "RecordingRef",
    "RunFile",
    "RunFolder",
    "RunManifest",
    "read_manifest",
]

VERSION: Final = "0.1.0"
"""The package's version, as manifests carry it: a constant, so that an installed copy and a source tree agree."""

RUN_SCHEMA: Final = "INTERLOCK_RUN_V1"

HEALTH_SNAPSHOT: Final = "dryrun_health_snapshot.json"
STATUS_SNAPSHOT: Final = "dryrun_status_snapshot.json"
STATUS_PAGE: Final = "dryrun_status_snapshot.md"
METRICS_SNAPSHOT: Final = "dryrun_metrics_snapshot.json"
SNAPSHOTS: Final = (HEALTH_SNAPSHOT, STATUS_SNAPSHOT, STATUS_PAGE, METRICS_SNAPSHOT)
"""How the session was seen at its end (OBS-5); copied beside the runs as well."""

ARTIFACTS: Final = (
    "events.jsonl",
    "audit.jsonl",
    "state_snapshots.jsonl",
    "reconcile-report.json",
    "metrics.json",
    *SNAPSHOTS,
    "run.json",
)
"""The files of a run, in the order in which they are compared."""

ALERTS: Final = "alerts.jsonl"
"""Compared last. A run that raised no alert has none."""

_PARTIAL: Final = ".partial"
_OLD: Final = ".old"
_NAME_BYTES_MAX: Final = 200
_MANIFEST_BYTES_MAX: Final = 1 << 28


# -- writing ------------------------------------------------------------------------------------------------


class RunFile:
    """One file of the folder. Unbuffered: whoever writes joins lines before."""

    mode: Final = "wb"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble: OSError | None = None
        """What the disk said the last time it refused something."""
        self._raw = _open_raw(path)
        self._size = 0

    def write(self, data: bytes) -> int:
        """Write all of ``data``; raises OSError and leaves the file as it was where that cannot be done."""
        try:
            self._write_all(data)
        except OSError as error:
            self.trouble = error
            self._raw.truncate(self._size)
            self._raw.seek(self._size)
            raise
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def finish(self) -> None:
        """Wait until the disk holds everything, then close; raises OSError."""
        os.fsync(self._raw.fileno())
        self._raw.close()

    def close(self) -> None:
        """Close, whatever became of the content."""
        self._raw.close()

    def _write_all(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            taken = self._raw.write(data[done:])
            if not taken:  # a disk that takes nothing and does not say why would keep us here for ever
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            done += taken


class RunFolder:
    """A run's folder while it is written. Leaving the ``with`` block without ``keep`` removes what was written.

    Raises (on entering):
        BadInput: a run id that is no file name; a run that exists already; a folder that cannot be made.
    """

    def __init__(self, root: Path, run_id: str, *, replace: bool = False) -> None:
        _need_file_name(run_id)
        self.path = root / "finish_c" / "c2" / run_id
        self.partial = self.path.with_name(run_id + _PARTIAL)
        self._old = self.path.with_name(run_id + _OLD)
        self._replace = replace
        self._files: list[RunFile] = []

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._need_free(self.path, "this run exists already")
            self._need_free(self.partial, "left by a run that never ended, or written by one right now")
            for left in (self.partial, self._old):
                if os.path.lexists(left):
                    shutil.rmtree(left)
            self.partial.mkdir()
        except OSError as error:
            where = str(error.filename or self.path)
            what = f"cannot be made: {error.strerror or error}"
            raise BadInput(where, what, "a folder that can be written, named by --out") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_all()
        shutil.rmtree(self.partial, ignore_errors=True)

    def file(self, name: str) -> RunFile:
        """Make one file and return it, open for writing.

        Raises:
            StorageError: the disk refused.
        """
        path = self.partial / name
        try:
            made = RunFile(path)
        except OSError as error:
            _refused(path, error)
        self._files.append(made)
        return made

    def write(self, name: str, data: bytes) -> None:
        """Make one file with this content.

        Raises:
            StorageError: the disk refused.
        """
        made = self.file(name)
        try:
            made.write(data)
        except OSError as error:
            _refused(made.path, error)

    def complain(self) -> None:
        """Raise the ``StorageError`` of the first file that the disk refused to write, if there is one."""
        for made in self._files:
            if made.trouble is not None:
                _refused(made.path, made.trouble)

    def keep(self) -> Path:
        """Give the folder its final name, in place of an older run of this name if that was allowed.

        Raises:
            StorageError: the disk refused; the older run is where it was.
        """
        path = self.partial
        try:
            for made in self._files:
                path = made.path
                made.finish()
            path = self.path
            if os.path.lexists(self.path):
                self._swap()
            else:
                self.partial.rename(self.path)
        except OSError as error:
            _refused(path, error)
        return self.path

    def _swap(self) -> None:
        self.path.rename(self._old)
        try:
            self.partial.rename(self.path)
        except OSError:
            self._old.rename(self.path)
            raise
        shutil.rmtree(self._old, ignore_errors=True)

    def _need_free(self, path: Path, what: str) -> None:
        if not os.path.lexists(path):
            return
        if path.is_symlink() or not path.is_dir():
            raise BadInput(str(path), "something that is no run folder is in the way", "another --run-id or --out")
        if not self._replace:
            raise BadInput(str(path), what, "another --run-id or --out, or --replace")
        strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in (*ARTIFACTS, ALERTS))
        if strangers:
            what = f"holds {scrub(strangers[0])!r}, which no run wrote, and is not replaced"
            raise BadInput(str(path), what, "another --run-id or --out")

    def _close_all(self) -> None:
        for made in self._files:
            try:
                made.close()
            except OSError as error:  # the folder is kept already, or about to be removed
                made.trouble = error


def _need_file_name(run_id: str) -> None:
    bad = (
        not run_id
        or len(run_id.encode("utf-8", "replace")) > _NAME_BYTES_MAX
        or run_id[0] in ".-"
        or ".." in run_id
        or run_id.endswith((_PARTIAL, _OLD))
        or not run_id.isprintable()
        or any(char in run_id for char in '/\\"')
    )
    if bad or looks_secret(run_id):
        # Not repeated: it may be anything.
        raise BadInput("run id", "cannot name a folder", "letters, digits and . _ : - such as demo-1, at most 64")


def _open_raw(path: Path) -> io.FileIO:
    return io.FileIO(path, "x")


def _refused(path: Path, error: OSError) -> NoReturn:
    message = f"{path}: cannot be written: {error.strerror or error}; the run was not kept"
    raise StorageError(message) from error


# -- the manifest -------------------------------------------------------------------------------------------


class RecordingRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which recording was played: its file as it was named, and the SHA-256 of its content."""

    file: str
    sha256: str


class RunManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run was made of. ``tape`` is every choice of its schedule; ``interrupted_at_step`` None as a rule."""

    config: dict[str, Any]
    config_hash: str
    interrupted_at_step: Annotated[int, msgspec.Meta(ge=1)] | None
    live_enabled_by: tuple[str, ...]
    package_version: str
    recording: RecordingRef | None
    run_id: str
    scheduler: OrderPolicy
    schema: str
    seed: int
    steps_max: Annotated[int, msgspec.Meta(ge=1)]
    tape: Tape

    @property
    def newer(self) -> bool:
        """Return whether a newer release than this one wrote it."""
        return _release(self.package_version) > _release(VERSION)


class _SchemaOnly(msgspec.Struct):
    schema: str


def read_manifest(folder: Path) -> RunManifest:
    """Return the manifest of a whole run folder.

    Raises:
        BadInput: no folder, a half-written one, a file of it missing, or a manifest that was changed.
        UnknownSchema: the manifest is of a release that this one does not read.
    """
    if not folder.is_dir():
        raise BadInput(str(folder), "is no folder", "the folder of a run, such as out/finish_c/c2/demo-seed7")
    if folder.name.endswith((_PARTIAL, _OLD)):
        raise BadInput(str(folder), "is half-written: its run never ended", "the folder of a whole run")
    for name in ARTIFACTS:
        if not (folder / name).is_file():
            raise BadInput(str(folder / name), "is missing: no run folder, or a damaged one", ", ".join(ARTIFACTS))
    path = folder / "run.json"
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MANIFEST_BYTES_MAX + 1)
    except OSError as error:
        raise BadInput(str(path), f"cannot be read: {error.strerror or error}") from error
    if len(raw) > _MANIFEST_BYTES_MAX:
        raise BadInput(str(path), "is too large", f"{_MANIFEST_BYTES_MAX} bytes")
    return _decode(raw, str(path))


def _decode(raw: bytes, where: str) -> RunManifest:
    try:
        # Looked at first: a manifest of another release is called that, whatever its fields are.
        schema = msgspec.json.decode(raw, type=_SchemaOnly).schema
        if schema != RUN_SCHEMA:
            raise UnknownSchema(where, f"has the schema {scrub(schema[:80])!r}", RUN_SCHEMA)
        manifest = msgspec.json.decode(raw, type=RunManifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(where, f"is damaged: {scrub(str(error))}", f"a manifest as {RUN_SCHEMA} describes it") from error
    if canonical_json(manifest) + b"\n" != raw:
        raise BadInput(where, "was changed after the run: it is not the text that a run writes")
    if sha256_hex(canonical_json(manifest.config)) != manifest.config_hash:
        raise BadInput(where, "was changed after the run: the config does not have its hash")
    return manifest


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
