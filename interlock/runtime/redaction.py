"""Takes secrets out of everything that is written, logged, shown or counted (ART-4).

Two rules: a value whose *name* is secret-like goes whole (``redact``), and the secret-looking parts of any text
go wherever they stand (``scrub``). What is ours stays readable: lower-case hex ids, client order ids, RFC 3339
times, decimals, symbols, paths. The last two functions make an exception into text that is scrubbed and the
same on every machine.

Every function is pure. The memos only remember answers of pure functions, so they cannot change a result.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePath
from types import FrameType, NoneType

import msgspec

__all__ = [
    "REDACTED",
    "is_secret_key",
    "looks_secret",
    "redact",
    "redact_exception",
    "redact_flat",
    "redact_traceback",
    "scrub",
]

REDACTED = "[redacted]"
"""What stands where a secret was."""

_HARMLESS = (StrEnum, int, NoneType)
"""What holds no text from outside."""

_MEMO_TEXTS = 4096
_MEMO_NAMES = 1024
_DEPTH_MAX = 16
_ERROR_CHARS_MAX = 2000
_CHAIN_MAX = 8
_FRAMES_MAX = 40
_LONG_MIN = 32
_PASSES_MAX = 8

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_SECRET_NAME = re.compile(
    r"secret|passw(?:or)?d|passphrase|passcode|pwd|apikey|privatekey|privkey|accesskey|signingkey|encryptionkey"
    r"|masterkey|auth(?!or|ent)|authori[sz]ation|credential|cookie|bearer|jwt|mnemonic|seedphrase"
    r"|token(?!i[sz])|account(?!ing|ed|able)"
)
# A number of tokens is no token, and TokenError is the name of a fault, not of a value.
_HARMLESS_NAME = re.compile(
    r"(?:max|min|num|total)(?:token|account)s"
    r"|(?:token|account)(?:s(?:used|left|seen|checked|total|per.*)|s?count|bucket)"
    r"|.*(?:error|exception|warning)"
)

# Most texts on the hot path are of these few shapes; one match spares them all the searches below.
_OURS = re.compile(r"(?:il-)?[0-9a-f]*|[0-9T:.Z+\-]*|[A-Z0-9/._\-]{1,15}|[a-z]{1,31}|[a-z]{1,8}[-:]?[0-9]{1,15}")

_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_URL_LOGIN = re.compile(r"://[^\s/?#]*@")
_NAME_THEN_VALUE = re.compile(
    r"(?<![\w.\-])((?:(?:api|private|access|secret|signing) )?[\w.\-]+)(?:\\*[\"'])?"
    r"(?:\s*(?:=>?|:|%3[AD])\s*|(?<=\w) +)",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"""
    [bru]?"(?:[^"\\]|\\.)*"?            # quoted
    | [bru]?'(?:[^'\\]|\\.)*'?
    | \\+(["']).*?(?:\\+\1|$)           # quoted inside a quoted text
    | \{[^}]*\}? | \[[^\]]*\]? | \([^)]*\)?
    | (?i:bearer|basic|token|digest)\s+[^\s,;"']+
    | [^\s,;&"'<>)\]}]+
    """,
    re.VERBOSE,
)
_REST_OF_LINE = re.compile(r"[^\r\n]+")
_SCHEME = re.compile(
    r"\b((?i:bearer)\s+(?i:tokens?[\s:=]+)?+)[A-Za-z0-9._~+/=\-]+"
    r"|\b((?i:basic)\s+)(?=[a-z/+_\-]*[A-Z0-9=])[A-Za-z0-9+/=_\-]{6,}"
)
_KEY_SHAPE = re.compile(
    r"\b(?:"
    r"[spr]k_(?:live|test)_[0-9A-Za-z]{6,}"
    r"|sk-[A-Za-z0-9_\-]{16,}"
    r"|A(?:KIA|SIA)[0-9A-Z]{12,}"
    r"|AIza[0-9A-Za-z_\-]{30,}"
    r"|gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}"
    r"|glpat-[A-Za-z0-9_\-]{16,}"
    r"|xox[a-z]-[A-Za-z0-9\-]{8,}"
    r"|eyJ[A-Za-z0-9_\-]{8,1000}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*)?"
    r")"
)
_LONG = re.compile(r"[A-Za-z0-9+/_\-]{32,}={0,2}")
_SEPARATOR = re.compile(r"[/_\-]")
_MIXED_MIN = 0.3
"""Class changes per pair of neighbours: about 0.64 in random base64, below 0.2 in paths and joined words."""

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/.\-\\])(?:[A-Za-z]:)?[/\\](?:[\w.@+\-]+[/\\]+)+(?=[\w.@+\-])")


@lru_cache(maxsize=_MEMO_NAMES)
def is_secret_key(name: str) -> bool:
    """Say whether the value kept under ``name`` must not be shown.

    Case and separators do not count, and a part of the name is enough: ``X-Api-Key``, ``brokerToken`` and
    ``account_id`` are secret-like. A bare ``key`` is not (here it is an idempotency key), nor are
    ``session_id``, ``author`` or counts such as ``tokens_used``.
    """
    joined = _NOT_IN_A_NAME.sub("", name.lower())
    return _SECRET_NAME.search(joined) is not None and _HARMLESS_NAME.fullmatch(joined) is None


@lru_cache(maxsize=_MEMO_TEXTS)
def scrub(text: str) -> str:
    """Return ``text`` with each secret-looking part replaced by ``[redacted]``.

    The result can always be encoded as UTF-8, and scrubbing it again changes nothing. An unquoted value after a
    secret-like name ends at the first space: a pass phrase without quotes keeps its later words.
    """
    return _scrub(text)


def looks_secret(text: str) -> bool:
    """Say whether ``scrub`` would take something out of ``text``."""
    return scrub(text) != text


def redact(value: object) -> object:
    """Return a copy of ``value`` without secrets: JSON-like containers and scalars only, at most 16 deep.

    Values under secret-like names become ``[redacted]``, texts (and names) are scrubbed, numbers and dates stay.
    Structs and dataclasses become dicts, enums their values, tuples lists, sets sorted lists; what JSON cannot hold
    is named by its type.
    """
    return _redact(value, 0)


def redact_flat(payload: Mapping[str, object]) -> dict[str, object]:
    """Return ``redact(payload)``, fast where the values are mostly texts, numbers and words of an enum."""
    out: dict[str, object] = {}
    for name, value in payload.items():
        shown, secret = _shown_name(name)
        if shown in out:
            return _redact_mapping(payload, 0)
        if secret:
            out[shown] = REDACTED
        elif type(value) is str:
            out[shown] = scrub(value)
        else:
            out[shown] = value if isinstance(value, _HARMLESS) else _redact(value, 1)
    return out


def redact_exception(error: BaseException) -> str:
    """Return the type and text of ``error`` on one scrubbed line, without machine paths and addresses."""
    text = " ".join(_portable("".join(traceback.format_exception_only(error))).split())
    return text if len(text) <= _ERROR_CHARS_MAX else text[:_ERROR_CHARS_MAX] + "..."


def redact_traceback(error: BaseException) -> str:
    """Return the traceback of ``error`` and of what caused it, innermost cause first, one frame a line.

    A frame is ``package/module.py:line in function``. There are no absolute paths and no source lines, so that
    the same crash gives the same bytes on every machine.
    """
    return "\n".join(_traceback_lines(error, 0))


def _scrub(text: str) -> str:
    if _OURS.fullmatch(text):
        return text
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    # What goes may uncover more: words that stood glued to a secret stand alone afterwards.
    for _ in range(_PASSES_MAX):
        clean = _scrub_once(text)
        if clean == text:
            break
        text = clean
    return text


def _scrub_once(text: str) -> str:
    if "-----BEGIN" in text:
        text = _PEM.sub(REDACTED, text)
    if "@" in text:
        text = _URL_LOGIN.sub(f"://{REDACTED}@", text)
    if _SECRET_NAME.search(_NOT_IN_A_NAME.sub("", text.lower())):
        text = _scrub_pairs(text)
    text = _SCHEME.sub(rf"\1\2{REDACTED}", text)
    text = _KEY_SHAPE.sub(REDACTED, text)
    return _LONG.sub(_scrub_long, text) if len(text) >= _LONG_MIN else text


def _scrub_pairs(text: str) -> str:
    """Replace the values in ``name=value``, ``name: value`` and ``--name value`` where the name is secret-like."""
    out: list[str] = []
    done = 0
    for found in _NAME_THEN_VALUE.finditer(text):
        name, end = found[1], found.end()
        if found.start() < done or not is_secret_key(name):
            continue
        # Only a command-line option is parted from its value by a mere space.
        if found[0].endswith(" ") and found[0].rstrip() == name and not name.startswith("--"):
            continue
        value = _VALUE.match(text, end)
        if value is None:
            continue
        if text[end] not in "\"'\\{[(" and name.lower().endswith(("authorization", "cookie")):
            value = _REST_OF_LINE.match(text, end) or value
        out += [text[done:end], REDACTED]
        done = value.end()
    return "".join([*out, text[done:]])


def _scrub_long(found: re.Match[str]) -> str:
    """Judge a long run: an unbroken one by its three classes, one with separators by how it mixes them too."""
    run = found[0]
    if run.islower() or run.isupper() or not any(c.isdigit() for c in run):
        return run
    parts = _SEPARATOR.split(run.rstrip("="))
    if any(len(part) >= _LONG_MIN and _has_three_classes(part) for part in parts):
        return REDACTED
    pairs = sum(len(part) - 1 for part in parts if part)
    changes = sum(_class_of(a) != _class_of(b) for part in parts for a, b in pairwise(part))
    return REDACTED if len(parts) > 1 and changes > _MIXED_MIN * pairs else run


def _has_three_classes(text: str) -> bool:
    return {"a", "A", "0"} <= {_class_of(c) for c in text}


def _class_of(char: str) -> str:
    if char.isdigit():
        return "0"
    return "a" if char.islower() else "A" if char.isupper() else char


@lru_cache(maxsize=_MEMO_NAMES)
def _shown_name(name: str) -> tuple[str, bool]:
    return scrub(name), is_secret_key(name)


def _free_name(name: object, taken: Mapping[str, object]) -> str:
    """Return the name to show, kept apart from another that looks the same once it is scrubbed."""
    shown = _shown_name(name if type(name) is str else str(_redact(name, _DEPTH_MAX)))[0]
    return shown if shown not in taken else f"{shown} {len(taken) + 1}"


def _redact_mapping(value: Mapping[object, object] | Mapping[str, object], depth: int) -> dict[str, object]:
    out: dict[str, object] = {}
    for name, item in value.items():
        shown = _free_name(name, out)
        out[shown] = REDACTED if is_secret_key(str(name)) else _redact(item, depth + 1)
    return out


def _redact(value: object, depth: int) -> object:
    if isinstance(value, Enum):
        return _redact(value.value, depth)
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, int | float | Decimal | NoneType | date):
        return value
    if isinstance(value, BaseException):
        return redact_exception(value)
    if isinstance(value, PurePath):
        return scrub(str(value))
    return _redact_container(value, depth) if depth < _DEPTH_MAX else "[too deep]"


def _redact_container(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        return _redact_mapping(value, depth)
    if isinstance(value, list | tuple):
        return [_redact(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_redact(item, depth + 1) for item in value), key=str)
    if isinstance(value, msgspec.Struct):
        return _redact_mapping(msgspec.structs.asdict(value), depth)
    if is_dataclass(value):
        return _redact_mapping({field.name: getattr(value, field.name, None) for field in fields(value)}, depth)
    return f"<{type(value).__name__}>"


def _portable(text: str) -> str:
    """Return scrubbed text with absolute paths cut to their last part and memory addresses taken out."""
    return _ADDRESS.sub("", _ABSOLUTE_PATH.sub(".../", _scrub(text)))


def _traceback_lines(error: BaseException, depth: int) -> list[str]:
    lines: list[str] = []
    for link in reversed(_causes(error)):
        frames = [_frame_line(frame, line) for frame, line in traceback.walk_tb(link.__traceback__)]
        if len(frames) > _FRAMES_MAX:
            half = _FRAMES_MAX // 2
            frames[half:-half] = [f"  ... {len(frames) - 2 * half} more frames"]
        lines += [*frames, redact_exception(link)]
        if isinstance(link, BaseExceptionGroup) and depth < _CHAIN_MAX:
            for part in link.exceptions[:_CHAIN_MAX]:
                lines += [f"  | {line}" for line in _traceback_lines(part, depth + 1)]
    return lines


def _causes(error: BaseException) -> list[BaseException]:
    chain = [error]
    while len(chain) < _CHAIN_MAX:
        last = chain[-1]
        deeper = last.__cause__ if last.__cause__ or last.__suppress_context__ else last.__context__
        if deeper is None or any(deeper is known for known in chain):
            break
        chain.append(deeper)
    return chain


def _frame_line(frame: FrameType, line: int) -> str:
    parts = re.split(r"[/\\]", frame.f_code.co_filename)
    depth = str(frame.f_globals.get("__name__", "")).count(".") + 1 + (parts[-1] == "__init__.py")
    return f"  {'/'.join(parts[-depth:])}:{line} in {frame.f_code.co_qualname}"
