"""The folder of a run as a source of views: the snapshots that its session wrote at its end, and its metrics.

Nothing is computed anew: a folder shows what its session showed. A session that is over takes no intents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from interlock.config.load import config_from_tree
from interlock.domain.errors import BadInput
from interlock.observe.figures import Figures
from interlock.observe.labels import Labels
from interlock.observe.metrics import exposition
from interlock.observe.views import Health, Readiness, Status, redacted
from interlock.runtime.redaction import scrub
from interlock.runtime.run_folder import HEALTH_SNAPSHOT, STATUS_SNAPSHOT, read_manifest

__all__ = ["FolderSource"]

T = TypeVar("T")

_BYTES_MAX: Final = 1 << 26


class FolderSource:
    """Views of one run that has ended.

    Raises:
        BadInput: no folder of a whole run, or a file of it was changed.
    """

    def __init__(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        self._labels = Labels(config_from_tree(manifest.config, str(folder / "run.json")))
        self._health = redacted(_read(folder / HEALTH_SNAPSHOT, Health))
        self._status = redacted(_read(folder / STATUS_SNAPSHOT, Status))
        self._figures = _read(folder / "metrics.json", Figures)

    def health(self) -> Health:
        """Return how the session was at its end."""
        return self._health

    def ready(self) -> Readiness:
        """Return that it takes no intents any more."""
        return Readiness(ready=False, reasons=(*self._health.reasons, f"the session is over: {self._status.status}"))

    def status(self) -> Status:
        """Return what an operator had to know at its end."""
        return self._status

    def metrics(self, *, openmetrics: bool = False) -> bytes:
        """Return the metrics as they were at its end."""
        return exposition(self._figures, self._labels, openmetrics=openmetrics)


def _read(path: Path, kind: type[T]) -> T:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_BYTES_MAX + 1)
    except OSError as error:
        raise BadInput(
            str(path), f"cannot be read: {error.strerror or error}", "the file as its run wrote it"
        ) from error
    if len(raw) > _BYTES_MAX:
        raise BadInput(str(path), "is too large", f"{_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"is damaged: {scrub(str(error))}"
        raise BadInput(str(path), what, "the file as its run wrote it") from error
