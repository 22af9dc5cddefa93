"""What tests of reports share: runs to report on, and what a page holds."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from interlock.config.scenarios import load_scenario
from interlock.dryrun import run_dryrun_config
from interlock.report.trace import CASH
from tests.run_builders import loaded_file

__all__ = ["CASH", "Page", "a_row", "demo_run", "event_line", "played", "rows_of"]


def played(name: str, out: Path) -> Path:
    """Play a packaged scenario and return its folder."""
    return run_dryrun_config(load_scenario(name).loaded, out=out).folder


def demo_run(out: Path) -> Path:
    """Run the demo and return its folder."""
    return run_dryrun_config(loaded_file("demo.yaml", seed=7), out=out).folder


def event_line(seq: int, event_type: str, actor: str = "orchestrator", **payload: Any) -> str:
    """Return one line of an event log made by hand."""
    event = {
        "actor": actor,
        "event_id": "0" * 32,
        "event_type": event_type,
        "payload": payload,
        "run_id": "by-hand",
        "schema": "C2_DRYRUN_V1",
        "seq": seq,
        "strategy_id": "strat_demo",
        "ts_sim": seq * 1_000_000_000,
        "ts_utc": f"2026-01-05T08:00:{seq:02d}.000000000Z",
    }
    return json.dumps(event) + "\n"


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, and the texts of scripts and styles in their order."""

    def __init__(self, html: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(html.decode())
        self.close()
        self.data: dict[str, Any] = json.loads(self.scripts[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")
        elif tag == "style":
            self.styles.append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "style":
            self.styles[-1] += data
        else:
            self.text += data


def rows_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a page's data, their texts looked up."""
    columns, texts, actors = data["columns"], data["texts"], [*data["actors"], ""]
    return [a_row(columns, texts, actors, at) for at in range(len(columns["t"]))]


def a_row(columns: dict[str, list[int]], texts: list[str], actors: list[str], at: int) -> dict[str, Any]:
    """Return one row."""
    row: dict[str, Any] = {name: columns[name][at] for name in ("step", "t", "seq")}
    row |= {name: actors[columns[name][at]] for name in ("from", "to")}
    return row | {name: texts[columns[name][at]] for name in ("way", "kind", "order", "text")}
