"""Where secrets are read: a file that nobody else may use, or a variable of the environment.

Settings and arguments only name the place. Neither what it says nor a part of it gets into a complaint.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from interlock.config.load import environment_secret
from interlock.domain.errors import BadInput

__all__ = ["secret_line"]

_BYTES_MAX: Final = 8_192
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def secret_line(where: str, file: str | None, variable: str | None) -> str:
    """Return the one line that a variable or a file holds; "" where neither is named.

    Raises:
        BadInput: naming ``where`` and the place: it is not set, cannot be read, is not ours alone, or is no line.
    """
    if variable is not None:
        place, text = f"{where}: the variable {variable}", environment_secret(variable)
    elif file is not None:
        place = f"{where}: {file}"
        text = _private_text(place, file)
    else:
        return ""
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable():
        raise BadInput(place, "is not set, or holds no line of plain text", "one line")
    return text


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _private_text(place: str, file: str) -> str:
    """Return what is in a small file that only its owner may use."""
    try:
        # Without waiting, since it may be a pipe that nobody writes to; judged when open, so that it is what is read.
        with open(file, "rb", opener=_at_once) as stream:
            status = os.fstat(stream.fileno())
            raw = stream.read(_BYTES_MAX + 1) if stat.S_ISREG(status.st_mode) else b""
    except OSError as error:
        raise BadInput(place, f"cannot be read: {error.strerror or 'no reason given'}") from error
    except ValueError as error:
        raise BadInput(place, "cannot be the name of a file") from error
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(place, "is no file")
    if status.st_uid != os.geteuid():
        raise BadInput(place, "belongs to somebody else", "a file of the user that runs this")
    if status.st_mode & _OTHERS:
        raise BadInput(place, f"is open to others (mode {stat.S_IMODE(status.st_mode):04o})", "0600 or 0400")
    if len(raw) > _BYTES_MAX:
        raise BadInput(place, "is too large for an address or a key", f"{_BYTES_MAX} bytes")
    return raw.decode("ascii", "replace")
