"""One page of evidence about a run (OBS-5): what ran, with what, how it ended, and the hash of everything it left.

The page is made from the folder alone, so it can be made again later; only the versions are those of whoever makes it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from interlock.domain.errors import BadInput, StorageError
from interlock.domain.ids import sha256_hex
from interlock.observe.folder_source import FolderSource
from interlock.observe.rows import Row, health_rows, page, status_rows
from interlock.runtime.audit import verify_audit_file
from interlock.runtime.run_folder import ALERTS, ARTIFACTS, VERSION, read_manifest

__all__ = ["evidence_page", "need_free_place", "write_evidence"]

_SHOWN_MAX: Final = 5


def evidence_page(folder: Path) -> str:
    """Return the page about one run folder.

    Raises:
        BadInput: the folder is not that of a whole run.
    """
    manifest, source = read_manifest(folder), FolderSource(folder)
    made_of: list[Row] = [
        ("config hash", f"`{manifest.config_hash}`"),
        ("seed", str(manifest.seed)),
        ("scheduler", manifest.scheduler),
        ("run by release", manifest.package_version),
    ]
    if manifest.recording is not None:
        made_of.append(("recording", f"`{manifest.recording.sha256}`"))
    versions = [("interlock", VERSION), ("Python", platform.python_version()), ("SQLite", apsw.sqlite_lib_version())]
    verdict = verify_audit_file(folder / "audit.jsonl")
    chain = f"{verdict.count:,} records, sound" if verdict.ok else f"bad: {verdict.reason}"
    results = [*health_rows(source.health()), *status_rows(source.status(), _SHOWN_MAX), ("audit chain", chain)]
    sections = (
        page(f"Evidence of run {manifest.run_id}", made_of),
        page("Versions", versions).replace("# ", "## ", 1),
        page("Results", results).replace("# ", "## ", 1),
        page("SHA-256 of the artifacts", _hashes(folder)).replace("# ", "## ", 1),
    )
    return "\n".join(sections)


def need_free_place(path: Path, *, replace: bool) -> None:
    """Refuse a place where a page cannot be put, before anything runs.

    Raises:
        BadInput: something is there already, or there is no folder for it.
    """
    if os.path.lexists(path) and not (replace and path.is_file() and not path.is_symlink()):
        raise BadInput(str(path), "exists already", "another --evidence, or --replace for a file")
    if not path.name or not path.parent.is_dir():
        raise BadInput(str(path), "is no file in a folder that is there", "--evidence FILE.md")


def write_evidence(folder: Path, path: Path) -> None:
    """Put the page about a run at ``path``, whole.

    Raises:
        StorageError: the disk refused.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(evidence_page(folder), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        message = f"{path}: cannot be written: {error.strerror or error}; the run is kept: {folder}"
        raise StorageError(message) from error


def _hashes(folder: Path) -> Iterator[Row]:
    for name in (*ARTIFACTS, ALERTS):
        path = folder / name
        if path.is_file():
            yield name, f"`{sha256_hex(path.read_bytes())}`"
