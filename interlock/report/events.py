"""What the event log of a run tells: rows for the chart, the lives of orders, alerts, trips and findings.

Read as if it were hostile: bounded lines, known schema, the first thing wrong named by its line. Texts are redacted
once more on the way, so that a log from elsewhere shows no more than ours would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec

from interlock.domain.errors import BadInput, UnknownSchema
from interlock.domain.ids import canonical_json
from interlock.domain.money import ZERO, decimal_text
from interlock.report.describe import line_of
from interlock.report.model import Alert, Finding, OrderLane, Point, Row, Span, Trip
from interlock.runtime.jsonl import open_regular
from interlock.runtime.recorder import EVENT_SCHEMA
from interlock.runtime.redaction import redact, scrub

__all__ = ["EVENTS", "Event", "alerts_of", "findings_of", "lanes_of", "read_events", "row_of", "traded", "trips_of"]

EVENTS: Final = "events.jsonl"

_LINE_BYTES_MAX: Final = 1 << 20
_EVENTS_MAX: Final = 2_000_000
_EVIDENCE_CHARS_MAX: Final = 2_000
_DIFF: Final = "RECON_DIFF"


class Event(msgspec.Struct, frozen=True):
    """One line of the log."""

    actor: str
    event_type: str
    payload: dict[str, Any]
    run_id: str
    schema: str
    seq: int
    strategy_id: str
    ts_sim: int
    ts_utc: str

    def word(self, name: str) -> str:
        """Return one field of the payload as scrubbed text, "" where it is not there."""
        value = self.payload.get(name)
        return "" if value is None else scrub(str(value))


def read_events(folder: Path) -> list[Event]:
    """Return every event of a run.

    Raises:
        BadInput: there is no log, or it is damaged.
        UnknownSchema: it is of a release that this one does not read.
    """
    path = folder / EVENTS
    decode = msgspec.json.Decoder(Event).decode
    events: list[Event] = []
    try:
        with open_regular(path) as stream:
            for number in range(1, _EVENTS_MAX + 2):
                line = stream.readline(_LINE_BYTES_MAX + 1)
                if not line:
                    return events
                if number > _EVENTS_MAX or len(line) > _LINE_BYTES_MAX or not line.endswith(b"\n"):
                    what = "too many lines, a line too long, or half-written"
                    raise BadInput(f"{path}:{number}", what, "the events of a run that ended")
                event = decode(line)
                if event.schema != EVENT_SCHEMA:
                    raise UnknownSchema(
                        f"{path}:{number}", f"has the schema {scrub(event.schema[:80])!r}", EVENT_SCHEMA
                    )
                events.append(event)
    except FileNotFoundError:
        raise BadInput(str(path), "is missing", "the folder of a run, such as out/finish_c/c2/demo-seed7") from None
    except OSError as error:
        raise BadInput(str(path), f"cannot be read: {error.strerror}", "a readable file") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        where = f"{path}:{len(events) + 1}"
        raise BadInput(where, f"is damaged: {scrub(str(error))}", f"an event as {EVENT_SCHEMA} has it") from error
    return events


def row_of(event: Event, step: int) -> Row:
    """Return an event as a row of the chart."""
    payload, kind = dict(event.payload), event.event_type
    way = "fault" if kind == "FAULT" else "event"
    lead = ""
    if kind in ("ORDER_STATE", "SESSION_STATE"):
        lead = f"{event.word('from')} → {event.word('to')} "
        payload = {name: value for name, value in payload.items() if name not in ("from", "to")}
    elif kind == "FAULT":
        lead = f"{event.word('fault')} "
        payload.pop("fault", None)
    text = (lead + line_of(payload)).strip()
    actor, order = scrub(event.actor), event.word("client_order_id")
    return Row(step, event.ts_sim, actor, "", way, scrub(kind), order, text, event.seq)


def lanes_of(events: Iterable[Event]) -> list[OrderLane]:
    """Return the life of every order, in the order in which they were first heard of."""
    lanes: dict[str, OrderLane] = {}
    for event in events:
        key = event.word("client_order_id")
        if event.event_type != "ORDER_STATE" or not key:
            continue
        if key not in lanes:
            decision, symbol, side, quantity = map(event.word, ("decision_id", "symbol", "side", "quantity"))
            lanes[key] = OrderLane(key, decision, symbol, side, quantity, [])
        lanes[key].spans.append(Span(event.ts_sim, event.word("to"), event.word("filled")))
    return list(lanes.values())


def alerts_of(events: Iterable[Event], told: frozenset[tuple[str, str]]) -> list[Alert]:
    """Return every alert that was raised; ``told`` names those that people heard of, by name and time."""
    return [
        Alert(
            event.ts_sim,
            event.seq,
            event.word("alert"),
            line_of({name: value for name, value in event.payload.items() if name not in ("alert", "run_id")}),
            (event.word("alert"), event.ts_utc) in told,
        )
        for event in events
        if event.event_type == "ALERT"
    ]


def trips_of(events: Iterable[Event]) -> list[Trip]:
    """Return every trip with its evidence."""
    return [
        Trip(event.ts_sim, event.seq, event.word("code"), event.word("message"), list(_evidence(event)))
        for event in events
        if event.event_type == "TRIP"
    ]


def findings_of(events: Iterable[Event]) -> list[Finding]:
    """Return the findings that the events name: the top ones of each reconcile."""
    return [finding_of(event.payload, event.ts_sim, event.seq) for event in events if event.event_type == _DIFF]


def finding_of(diff: dict[str, Any], t_ns: int, seq: int) -> Finding:
    """Return one diff of a reconcile, as a log tells it."""
    shown = redact(diff)
    clean = shown if isinstance(shown, dict) else {}
    details = clean.get("details")

    def word(name: str) -> str:
        value = clean.get(name)
        return "" if value is None else str(value)

    return Finding(
        t_ns=t_ns,
        seq=seq,
        severity=word("severity"),
        type=word("diff_type"),
        kind=str(details.get("kind", "")) if isinstance(details, dict) else "",
        symbol=word("symbol"),
        order=word("client_order_id"),
        ours=word("internal"),
        theirs=word("external"),
        text=word("description"),
        resolved=clean.get("resolved") is True,
    )


def traded(events: Iterable[Event]) -> dict[str, list[Point]]:
    """Return by symbol what was bought less what was sold since the beginning, from the fills in the log."""
    held: dict[str, Decimal] = {}
    points: dict[str, list[Point]] = {}
    for event in events:
        symbol, quantity = event.word("symbol"), _number(event.payload.get("fill_quantity"))
        if event.event_type != "ORDER_STATE" or not symbol or quantity is None:
            continue
        before = held.get(symbol, ZERO)
        held[symbol] = before + quantity if event.word("side") == "BUY" else before - quantity
        points.setdefault(symbol, [(0, "0")]).append((event.ts_sim, decimal_text(held[symbol])))
    return points


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _evidence(event: Event) -> Iterator[tuple[str, str]]:
    evidence = redact(event.payload.get("evidence"))
    if isinstance(evidence, dict):
        for name, value in sorted(evidence.items()):
            text = value if isinstance(value, str) else canonical_json(value).decode()
            yield str(name), text[:_EVIDENCE_CHARS_MAX]
