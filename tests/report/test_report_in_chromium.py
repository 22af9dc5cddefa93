"""The page in a real browser, from file://: it draws, filters, follows keys and themes, and complains of nothing.

Needs Playwright and a Chromium that is installed already: Playwright's own, or one on the path. Nothing is downloaded.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.report import write_report
from tests.report.report_builders import event_line, played

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.spec("OBS-7")

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

Open = Callable[..., Any]

DRAWN = """
id => echarts.getInstanceByDom(document.querySelector(id)).getZr().storage.getDisplayList(true)
  .filter(shape => shape.type === "tspan")
  .map(shape => {
    const box = shape.getBoundingRect().clone();
    if (shape.transform) box.applyTransform(shape.transform);
    return [shape.style.text, box.x, box.y];
  })
"""
"""Every text that is really on a canvas, with its place."""

RACE = "cancel_fill_unknown_order"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start the Chromium of this machine, or skip."""
    with sync_api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = str(own) if own.is_file() else next(filter(None, map(shutil.which, _NAMES)), None)
        if found is None:
            pytest.skip("no Chromium is installed (playwright install chromium)")
        started = playwright.chromium.launch(executable_path=found)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open pages from their files; fails where one complained, asked for anything, or wanted to talk."""
    wrong: list[str] = []
    contexts: list[Any] = []

    def opened(path: Path, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": 1400, "height": 1000}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: wrong.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        settle(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of the cancel race."""
    return write_report(played(RACE, tmp_path_factory.mktemp("race")))


@pytest.fixture
def demo_page(demo: Path) -> Path:
    """Return the report of the demo."""
    return demo.with_name(f"{demo.name}.report.html")


def settle(page: Any) -> None:
    """Let the page draw what it has asked for."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def texts(page: Any, chart: str = "#sequence .stage") -> list[str]:
    """Return the texts on a canvas from top to bottom, without times and steps."""
    drawn = sorted(page.evaluate(DRAWN, chart), key=lambda text: (text[2], text[1]))
    return [text for text, x, _ in drawn if x > 160]


def shown(page: Any) -> str:
    """Return how many rows the page says it shows."""
    return str(page.locator("#shown").inner_text())


def first_of(drawn: list[str], begin: str) -> int:
    """Return the place of the first text that begins so."""
    return next(at for at, text in enumerate(drawn) if text.startswith(begin))


def test_the_cancel_race_is_drawn_with_the_fill_between_the_cancel_and_its_answer(open_page: Open, race: Path) -> None:
    page = open_page(race)
    page.select_option("#order", index=1)
    settle(page)
    drawn = texts(page)
    order = [first_of(drawn, begin) for begin in ("CancelOrder", "cancel_rejected", "Broker books a fill", "CancelRef")]
    assert order == sorted(order)
    assert len(set(order)) == 4
    assert drawn[:6] == ["host", "strategy", "orchestrator", "rails", "reconciler", "broker"]


def test_every_part_of_the_page_is_there(open_page: Open, demo_page: Path) -> None:
    page = open_page(demo_page)
    assert page.locator("h1").inner_text() == "Run demo-seed7"
    assert "FILLED" in texts(page, "#lanes .stage")
    assert page.locator("#book-text").inner_text().startswith("BTC/EUR: ours ends at ")
    assert page.locator("#findings tbody tr").count() == 1
    assert page.locator("#trips .table").inner_text() == "None."
    page.select_option("#book", label="cash")
    assert page.locator("#book-text").inner_text().startswith("Cash: ours ends at ")


def test_findings_alerts_and_trips_lead_to_their_rows(open_page: Open, tmp_path: Path) -> None:
    page = open_page(write_report(played("same_fill_two_ids", tmp_path)))
    assert page.locator("#findings tbody tr").count() == 6
    assert page.locator("#alerts tbody tr").count() == 4
    assert "reconcile_id: rc-" in page.locator("#trips tbody tr").first.inner_text()
    page.locator("#trips button").first.click()
    assert "TRIP" in page.locator("#detail").inner_text()
    settle(page)
    assert any(text.startswith("TRIP: ") for text in texts(page))


def test_the_filter_narrows_the_chart_by_text_order_actor_and_type(open_page: Open, demo_page: Path) -> None:
    page = open_page(demo_page)
    everything = shown(page)
    page.fill("#find", "timeout")
    assert shown(page).startswith("24 of ")
    settle(page)
    assert all("timeout" in text for text in texts(page)[6:])
    page.fill("#find", "")
    page.select_option("#actor", "reconciler")
    by_actor = shown(page)
    page.select_option("#kind", label=page.locator("#kind option", has_text="GetSnapshot").inner_text())
    assert everything != by_actor != shown(page)
    settle(page)
    assert set(texts(page)[6:]) == {"GetSnapshot"}
    page.get_by_role("button", name="Show all").click()
    assert shown(page) == everything
    page.fill("#find", "no such thing")
    settle(page)
    assert shown(page).startswith("0 of ")
    assert len(texts(page)) == 6, "the lanes alone"


def test_keys_are_enough(open_page: Open, demo_page: Path) -> None:
    page = open_page(demo_page)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("PlaceOrder")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.focus("#sequence")
    for key in ("ArrowDown", "ArrowDown", "PageDown", "ArrowUp", "+", "-"):
        page.keyboard.press(key)
    before = page.locator("#detail").inner_text()
    page.keyboard.press("End")
    assert page.locator("#detail").inner_text() != before
    page.focus("#lanes")
    page.keyboard.press("ArrowDown")
    first = page.locator("#life").inner_text()
    page.keyboard.press("ArrowDown")
    assert first.startswith("day-00001 ")
    assert page.locator("#life").inner_text() != first
    page.keyboard.press("Enter")
    assert page.locator("#order").input_value().startswith("il-")
    assert not shown(page).startswith("12")
    page.keyboard.press("Escape")
    assert page.locator("#order").input_value() == ""


def test_tab_walks_through_the_page_in_its_order(open_page: Open, race: Path) -> None:
    page = open_page(race)
    walked = []
    for _ in range(20):
        page.keyboard.press("Tab")
        walked.append(page.evaluate("document.activeElement.id"))
    assert [name for name in walked if name] == ["theme", "find", "order", "actor", "kind", "sequence", "lanes", "book"]


def test_light_and_dark_follow_the_system_and_the_button(open_page: Open, race: Path) -> None:
    def background(page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light, dark = open_page(race, color_scheme="light"), open_page(race, color_scheme="dark")
    assert background(light) != background(dark)
    white, black = background(light), background(dark)
    light.click("#theme")
    light.click("#theme")
    assert light.locator("#theme").inner_text() == "Theme: dark"
    assert background(light) == black
    light.click("#theme")
    assert background(light) == white
    light.emulate_media(color_scheme="dark")
    assert background(light) == black


def test_thousands_of_rows_are_scrolled_by_drawing_only_what_is_in_sight(open_page: Open, demo_page: Path) -> None:
    page = open_page(demo_page)
    drawn = []
    for share in (0, 0.3, 0.9, 1):
        page.evaluate(
            "share => { const s = document.getElementById('sequence'); s.scrollTop = share * s.scrollHeight }", share
        )
        settle(page)
        drawn.append(texts(page))
    assert all(len(part) < 60 for part in drawn)
    assert len({tuple(part) for part in drawn}) == 4
    assert any("SESSION_STATE: STOPPING → STOPPED" in text for text in drawn[-1])


@pytest.mark.spec("NFR-1")
def test_hostile_texts_stay_texts(open_page: Open, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)></script><script>alert(2)</script>{a|b}\u2028"
    states = {"client_order_id": evil, "decision_id": evil, "symbol": evil, "side": "BUY", "quantity": evil}
    folder = tmp_path / "by-hand"
    folder.mkdir()
    (folder / "events.jsonl").write_text(
        event_line(1, "ORDER_STATE", **states, filled=evil, to=evil)
        + event_line(2, evil, actor=evil, text=evil)
        + event_line(3, "ALERT", alert=evil)
        + event_line(4, "TRIP", code=evil, message=evil, evidence={evil: evil})
        + event_line(5, "RECON_DIFF", severity=evil, description=evil, symbol=evil, diff_type="POSITION")
        + event_line(6, "ORDER_STATE", **states, fill_quantity="1", to="__proto__"),
        encoding="utf-8",
    )
    page = open_page(write_report(folder))
    assert page.locator("img, script:not([type]) ~ script ~ script").count() == 0
    assert page.locator(".note").first.inner_text().startswith("Drawn from the event log alone")
    assert evil[:20] in page.locator("#trips tbody").inner_text()
    page.select_option("#order", index=1)
    page.focus("#sequence")
    page.keyboard.press("ArrowDown")
    assert evil[:20] in page.locator("#detail").inner_text()
    assert shown(page) == "2 of 6 rows"


def test_a_run_in_which_nothing_happened_has_a_page(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"")
    page = open_page(write_report(tmp_path, tmp_path.parent / "empty.html"))
    assert shown(page) == "0 of 0 rows"
    assert "No order was sent." in page.locator("#lives").inner_text()
