"""Makes one HTML page of a report: everything inside it, nothing fetched, nothing run but what its hashes name.

The data is JSON in a script element that no browser executes, with every character escaped that could end it; the
page's own scripts put it on screen as text. The content security policy allows the scripts and the style by their
hashes and nothing else, so even a text that got into the markup could do nothing. The same data gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Final

import msgspec

from interlock.domain.ids import canonical_json
from interlock.domain.order_states import TERMINAL_ORDER_STATES
from interlock.report.model import ReportData, Row
from interlock.runtime.run_folder import VERSION

__all__ = ["MARK", "page_of"]

_ASSETS: Final = Path(__file__).parent / "assets"
_LIBRARY: Final = "echarts/echarts.min.js"
_SCRIPTS: Final = ("model.js", "draw.js", "sequence.js", "lanes.js", "books.js", "tables.js", "main.js")
_LANES: Final = ("host", "strategy", "orchestrator", "rails", "reconciler", "broker", "alerts")
"""Actors from left to right; others come after them."""

MARK: Final = b'<meta name="generator" content="interlock report '
"""By this one of our pages is known, of whatever release."""

# In the order in which bytes are looked for; all of them can stand inside JSON texts alone.
_ESCAPES: Final = (
    (b"<", rb"\u003c"),
    (b">", rb"\u003e"),
    (b"&", rb"\u0026"),
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
)


def page_of(data: ReportData) -> bytes:
    """Return the page of a report."""
    title = escape(f"{dict(data.facts).get('run', 'run')} - Interlock report")
    library, script, style = _assets()
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(library)} {_hash(script)}",
            f"style-src {_hash(style)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    parts = {
        "policy": policy,
        "generator": f'{MARK.decode()}{VERSION}">',
        "title": title,
        "style": style,
        "library": library,
        "script": script,
        "data": _json(data),
    }
    html = _read("page.html")
    pieces = html.split("@@")
    # Every other piece is the name of a part: what is put in is never looked at again.
    return "".join(parts[piece] if at % 2 else piece for at, piece in enumerate(pieces)).encode()


def _json(data: ReportData) -> str:
    raw = canonical_json(_compact(data))
    for char, escaped in _ESCAPES:
        raw = raw.replace(char, escaped)
    return raw.decode()


def _compact(data: ReportData) -> dict[str, Any]:
    """Return the data with its rows as columns, and every text of a row once."""
    names = {name for row in data.rows for name in (row.sender, row.to) if name}
    actors = [name for name in _LANES if name in names] + sorted(names.difference(_LANES))
    texts: dict[str, int] = {}

    def text(value: str) -> int:
        return texts.setdefault(value, len(texts))

    def actor(name: str) -> int:
        return actors.index(name) if name else -1

    columns: dict[str, list[Any]] = {
        "step": [row.step for row in data.rows],
        "t": [row.t_ns for row in data.rows],
        "from": [actor(row.sender) for row in data.rows],
        "to": [actor(row.to) for row in data.rows],
        "seq": [row.seq for row in data.rows],
    }
    for name in ("way", "kind", "order", "text"):
        columns[name] = [text(_word(row, name)) for row in data.rows]
    shown: dict[str, Any] = msgspec.structs.asdict(data)
    del shown["rows"]
    shown |= {"actors": actors, "columns": columns, "texts": list(texts), "ended": list(TERMINAL_ORDER_STATES)}
    return shown


def _word(row: Row, name: str) -> str:
    return str(getattr(row, name))


@cache
def _assets() -> tuple[str, str, str]:
    """Return the library, our own script and the style."""
    own = "\n".join(_read(name) for name in _SCRIPTS)
    return _read(_LIBRARY), f'"use strict";\n(() => {{\n{own}}})();\n', _read("page.css")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _read(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
