"""The page itself: one file that fetches nothing, runs nothing but its own scripts, and shows texts as texts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest

from interlock.report import report_html
from interlock.report.model import Alert, Finding, OrderLane, ReportData, Row, Span, Trip
from interlock.report.page import page_of
from tests.report.report_builders import Page, played, rows_of
from tests.run_builders import ROOT, a_process

pytestmark = pytest.mark.spec("OBS-7")

ASSETS = ROOT / "interlock" / "report" / "assets"

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "<img src=x onerror=alert(1)>",
    "]]>&amp;&lt;\"'`",
    "a\u2028b\u2029c",
    "@@data@@",
    "__proto__",
    "{red|text}",
    "\x00\x1b[31m",
)


def a_page(hostile: str) -> bytes:
    """Return a page in which every text is hostile."""
    text = hostile
    return page_of(
        ReportData(
            facts=[("run", text), (text, text)],
            notes=[text],
            rows=[Row(1, 1, text, text, text, text, text, text), Row(2, 2, "broker", "", "fault", text, text, text, 1)],
            gap=(2, 0),
            orders=[OrderLane(text, text, text, text, text, [Span(1, text, text)])],
            ours={text: [(0, "1")]},
            theirs={text: [(0, "2")]},
            findings=[Finding(1, 1, text, text, text, text, text, text, text, text, resolved=False)],
            alerts=[Alert(1, 1, text, text, told=True)],
            trips=[Trip(1, 1, text, text, [(text, text)])],
            end_ns=3,
        )
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_gets_out_of_the_data(hostile: str) -> None:
    plain, strange = Page(a_page("plain")), Page(a_page(hostile))
    assert strange.elements == plain.elements, "the markup does not depend on what is told"
    assert strange.scripts[1:] == plain.scripts[1:]
    assert strange.data["notes"] == [hostile]
    assert rows_of(strange.data)[0]["text"] == hostile
    raw = strange.scripts[0]
    assert not re.search("[<>&\u2028\u2029]", raw)


def test_a_page_fetches_nothing_and_holds_no_address(demo_html: bytes) -> None:
    taken_apart = Page(demo_html)
    for tag, attributes in taken_apart.elements:
        assert not {"src", "srcset", "action", "style"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], "no inline event handlers"
        assert (attributes.get("href") or "#").startswith("#")
        assert tag not in {"link", "iframe", "object", "embed", "img", "base"}
    own = taken_apart.scripts[2] + "".join(taken_apart.styles) + taken_apart.text
    assert not re.findall(r"https?://|//\w+\.|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(|eval\(", own)
    assert "innerHTML" not in taken_apart.scripts[2]


def test_the_policy_allows_exactly_the_scripts_and_the_style_that_are_there(demo_html: bytes) -> None:
    taken_apart = Page(demo_html)
    [policy] = [
        attributes["content"]
        for tag, attributes in taken_apart.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]

    def allowed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    [style], [_, library, script] = taken_apart.styles, taken_apart.scripts
    assert policy == (
        f"default-src 'none'; script-src {allowed(library)} {allowed(script)}; style-src {allowed(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


@pytest.mark.spec("RT-5")
def test_the_same_run_makes_the_same_bytes_wherever_it_is(tmp_path: Path) -> None:
    folder = played("same_fill_two_ids", tmp_path / "here")
    there = played("same_fill_two_ids", tmp_path / "there")
    assert report_html(folder) == report_html(there)
    says = "import sys, pathlib; from interlock.report import report_html; "
    says += "sys.stdout.buffer.write(report_html(pathlib.Path(sys.argv[1])))"
    for seed in ("1", "2"):
        process = a_process("-c", says, folder, cwd=tmp_path, environment={"PYTHONHASHSEED": seed})
        assert (process.returncode, process.stderr) == (0, "")
        assert process.stdout.encode() == report_html(folder)


def test_the_data_of_the_page_is_that_of_the_run(tmp_path: Path) -> None:
    taken_apart = Page(report_html(played("cancel_fill_unknown_order", tmp_path)))
    rows = rows_of(taken_apart.data)
    assert taken_apart.data["actors"] == ["host", "strategy", "orchestrator", "rails", "reconciler", "broker"]
    cancel = next(at for at, row in enumerate(rows) if row["kind"] == "CancelOrder")
    answer = next(at for at, row in enumerate(rows) if row["kind"] == "CancelRefused")
    [fill] = [row for row in rows[cancel:answer] if row["way"] == "book"]
    assert fill["text"] == "BUY 1 BTC/EUR at 90, fee 0.045, f-0000001"
    assert (rows[answer]["from"], rows[answer]["to"], rows[answer]["way"]) == ("broker", "orchestrator", "answer")


def test_everything_that_can_be_reached_by_keyboard_has_a_name(demo_html: bytes) -> None:
    elements = Page(demo_html).elements
    ids = {attributes.get("id") for _, attributes in elements}
    for tag, attributes in elements:
        if attributes.get("tabindex") == "0":
            assert attributes.get("aria-label"), tag
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set((attributes.get(name) or "").split()) <= ids
    assert {"lang"} <= dict(elements)["html"].keys()


def test_the_library_comes_with_its_licence_and_inside_the_package() -> None:
    library = (ASSETS / "echarts" / "echarts.min.js").read_text(encoding="utf-8")
    assert "Licensed to the Apache Software Foundation" in library[:200]
    assert 'version="6.1.0"' in library
    assert re.search(r"Apache License\s+Version 2.0", (ASSETS / "echarts" / "LICENSE").read_text(encoding="utf-8"))
    for licence in ("NOTICE", "LICENSE-d3", "LICENSE-zrender"):
        assert (ASSETS / "echarts" / licence).stat().st_size > 100
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["interlock", "pytest_interlock"]
    assert project["project"]["license-files"] == ["LICENSE", "interlock/report/assets/echarts/LICENSE*"]


@pytest.mark.parametrize("name", sorted(path.name for path in ASSETS.glob("*.js")))
def test_our_own_scripts_stay_small(name: str) -> None:
    lines = (ASSETS / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    assert lines[0].startswith("// ")


def test_numbers_of_any_size_survive(demo_html: bytes) -> None:
    data = Page(demo_html).data
    assert max(data["columns"]["t"]) == data["end_ns"] < 2**53
    assert json.loads(json.dumps(data)) == data
