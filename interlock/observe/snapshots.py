"""The three snapshots of a run (OBS-5): health, status (also as a page) and metrics, as its session was at its end.

They are artifacts of the run like any other: written into its folder, the same bytes from the same run, compared by
replay. The newest ones are also found beside the runs, under ``<out>/finish_c/``, each put there whole.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.errors import StorageError
from interlock.domain.ids import canonical_json
from interlock.observe.lines import SHOWN_MAX
from interlock.observe.rows import health_rows, page, status_rows
from interlock.observe.session_source import SessionSource
from interlock.observe.views import as_json
from interlock.runtime.run_folder import (
    HEALTH_SNAPSHOT,
    METRICS_SNAPSHOT,
    SNAPSHOTS,
    STATUS_PAGE,
    STATUS_SNAPSHOT,
    RunFolder,
)
from interlock.sessions import Session

__all__ = ["METRICS_SNAPSHOT_SCHEMA", "publish_snapshots", "write_snapshots"]

METRICS_SNAPSHOT_SCHEMA: Final = "INTERLOCK_METRICS_SNAPSHOT_V1"


def write_snapshots(session: Session, folder: RunFolder) -> None:
    """Write the snapshots of a session that is over into its run folder.

    Raises:
        StorageError: the disk refused.
    """
    source = SessionSource(session)
    health, status = source.health(), source.status()
    store = msgspec.structs.replace(status.store, durable=None, records=None)
    status = msgspec.structs.replace(status, store=store)
    metrics = {"schema": METRICS_SNAPSHOT_SCHEMA, "run_id": status.run_id, "samples": source.samples()}
    rows = [*health_rows(health), *status_rows(status, SHOWN_MAX)]
    folder.write(HEALTH_SNAPSHOT, as_json(health))
    folder.write(STATUS_SNAPSHOT, as_json(status))
    folder.write(STATUS_PAGE, page(f"Run {status.run_id}", rows).encode())
    folder.write(METRICS_SNAPSHOT, canonical_json(metrics) + b"\n")


def publish_snapshots(run: Path) -> None:
    """Copy the snapshots of a whole run folder beside the runs, in place of those of the run before.

    Each is there whole or not at all. A disk that loses power may lose the copies; those in the run folder stay.

    Raises:
        StorageError: the disk refused; the run itself is kept.
    """
    beside = run.parent.parent
    for name in SNAPSHOTS:
        partial = beside / f".{name}.{run.name}.partial"
        try:
            shutil.copyfile(run / name, partial)
            os.replace(partial, beside / name)  # noqa: PTH105 - the counterpart of copyfile
        except OSError as error:
            partial.unlink(missing_ok=True)
            message = f"{beside / name}: cannot be written: {error.strerror or error}; the run is kept: {run}"
            raise StorageError(message) from error
