"""The web app without a network: sources that are made up, and requests handed to the app in this process."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.types import ASGIApp

from interlock.observe import Health, Readiness, Status
from interlock.observe.views import AlertLine, OrderLine, PositionLine, StoreLine

__all__ = ["HOST", "PATHS", "TOKEN", "MadeUp", "a_folder", "ask", "raw"]

HOST = "look.test"
PATHS = ("/health", "/ready", "/status", "/metrics", "/report", "/openapi.json")
# Put together here, so that no scanner of repositories takes it for a real one.
TOKEN = "Tq4" + "Zk3wQ9xLr7Vb3TzK8mWc4NdP"

_NOON = "2026-01-01T12:00:00.000000000Z"


class MadeUp:
    """A source that says what it was told to say, or raises it, and counts how often it was asked."""

    def __init__(self, *, well: bool = True, text: str = "", error: Exception | None = None) -> None:
        self.well = well
        self.text = text
        self.error = error
        self.asked: list[str] = []

    def health(self) -> Health:
        """Return whether the session is well."""
        self._ask("health")
        reasons = () if self.well else (self.text or "broker_silent",)
        return Health("DRYRUN_ACTIVE", _NOON, None, 0, int(not self.well), self.well, reasons)

    def ready(self) -> Readiness:
        """Return whether intents are taken."""
        self._ask("ready")
        return Readiness(self.well, () if self.well else (self.text or "kill switch",))

    def status(self) -> Status:
        """Return what an operator has to know."""
        self._ask("status")
        return Status(
            run_id=self.text or "small-seed0",
            session_id="small",
            strategy_id="strat_demo",
            as_of_ts=_NOON,
            state="DRYRUN_ACTIVE",
            status="RUNNING",
            reason=self.text,
            engine_restart_reason="first_start",
            kill_switch=0,
            kill_switch_reason="",
            rejects=(),
            trips=(),
            in_doubt=(OrderLine("il-1", "BTC/EUR", "BUY", "UNKNOWN", Decimal("0.10"), Decimal(0), _NOON, self.text),),
            in_doubt_left_out=0,
            open_orders=(),
            open_orders_left_out=0,
            positions=(PositionLine("BTC/EUR", Decimal("1.50")),),
            cash=Decimal("1000.25"),
            limits=(),
            last_reconcile=None,
            observed_findings=0,
            alerts=(AlertLine("ALERT_RECONCILE_DIVERGENCE", 1),),
            alerts_held_back=0,
            alerts_dropped=0,
            store=StoreLine(durable=False, records=3),
            next_steps=(),
        )

    def metrics(self, *, openmetrics: bool = False) -> bytes:
        """Return one counter."""
        self._ask("metrics")
        end = b"# EOF\n" if openmetrics else b""
        return b"# HELP orders_place_total x\n# TYPE orders_place_total counter\norders_place_total 3.0\n" + end

    def _ask(self, question: str) -> None:
        self.asked.append(question)
        if self.error is not None:
            raise self.error


class Raw(msgspec.Struct, frozen=True):
    """What an app sent to one ASGI request, byte for byte."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(app: ASGIApp, path: str, method: str = "GET", **wanted: Any) -> httpx.Response:
    """Send one request to an app in this process and return its answer."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        return await client.request(method, path, **wanted)


async def raw(app: ASGIApp, method: str, path: str, headers: Mapping[str, str] | None = None) -> Raw:
    """Hand an app a request that a well-behaved client would not send."""
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {"host": HOST}).items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": b"",
        "root_path": "",
        "headers": fields,
        "client": ("192.0.2.1", 1),
        "server": (HOST, 80),
    }
    await app(scope, receive, send)
    start, *bodies = sent
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return Raw(start["status"], names, b"".join(body.get("body", b"") for body in bodies))


def a_folder(folder: Path) -> Path:
    """Make something with the files of a run, for sources that do not look inside."""
    for name in ("events.jsonl", "audit.jsonl", "metrics.json", "run.json"):
        (folder / name).write_text("{}\n", encoding="utf-8")
    return folder
