"""A recording of real fills as the inputs of a proof: what the broker told, and what an engine would have written.

Every recorded order is accepted and filled as the recording says; before each transaction the broker states the
position that it claims. The journal holds the same orders and fills, and both sides begin with the first claim of each
symbol: so what differs in the end is what the recording does not explain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.ids import client_order_id, fingerprint
from interlock.domain.intents import OrderType, TimeInForce
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.order_states import OrderState
from interlock.mocks.recording import RecordedExecution, RecordedOrder, Recording, load_recording
from interlock.prove.cache import cache_bytes
from interlock.prove.folder import ProofFolder
from interlock.prove.model import CONFIG_SCHEMA
from interlock.prove.records import (
    BrokerAccepted,
    BrokerEvent,
    BrokerFill,
    BrokerPosition,
    CacheEntry,
    FillOfVersion,
    OrderVersion,
)

__all__ = ["convert_recording", "line_of"]

_STRATEGY: Final = "recording"
_TTL: Final = timedelta(hours=48)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def line_of(record: BrokerEvent | OrderVersion) -> bytes:
    """Return the line of one record, as the readers like it best."""
    return msgspec.json.encode(record) + b"\n"


def convert_recording(recording_path: Path, out: Path) -> Path:
    """Write ``proof.yaml`` and its three inputs into a new folder, and return the config's path.

    Raises:
        BadInput: the recording cannot be read, or there is something in ``out``.
        StorageError: the disk refused.
    """
    recording = load_recording(recording_path)
    with ProofFolder(out, replaceable=()) as folder:
        _write(folder, "events.jsonl", _events(recording))
        _write(folder, "journal.jsonl", _journal(recording))
        folder.write("cache.jsonl", cache_bytes(_entry(order, recording) for order in recording.orders))
        folder.write("proof.yaml", _config(recording).encode())
        return folder.keep() / "proof.yaml"


def _write(folder: ProofFolder, name: str, records: Iterable[BrokerEvent | OrderVersion]) -> None:
    write = folder.stream(name)
    for record in records:
        write(line_of(record))


def _key(broker_oid: str) -> str:
    return client_order_id(_STRATEGY, _decision(broker_oid))


def _decision(broker_oid: str) -> str:
    return f"rec-{broker_oid}"


def _when(time_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def _fingerprint(order: RecordedOrder) -> str:
    content = (order.symbol, order.side, decimal_text(order.quantity), decimal_text(order.limit_price))
    return fingerprint(_STRATEGY, *content)


def _events(recording: Recording) -> Iterator[BrokerEvent]:
    orders = {order.broker_oid: order for order in recording.orders}
    seq = 0
    for transaction in recording.transactions:
        ts = _when(transaction.time_ns)
        claim = decimal_text(transaction.start_position)
        seq += 1
        yield BrokerPosition(seq, ts, transaction.symbol, claim, None)
        for fill in transaction.fills:
            order = orders.pop(fill.broker_oid, None)
            if order is not None:
                seq += 1
                yield _accepted(seq, ts, order)
            seq += 1
            yield BrokerFill(
                seq,
                ts,
                fill.fill_id,
                _key(fill.broker_oid),
                fill.broker_oid,
                fill.symbol,
                fill.side,
                decimal_text(fill.quantity),
                decimal_text(fill.price),
                decimal_text(fill.fee),
            )


def _accepted(seq: int, ts: datetime, order: RecordedOrder) -> BrokerAccepted:
    quantity, price = decimal_text(order.quantity), decimal_text(order.limit_price)
    return BrokerAccepted(seq, ts, _key(order.broker_oid), order.broker_oid, order.symbol, order.side, quantity, price)


def _journal(recording: Recording) -> Iterator[OrderVersion]:
    orders = {order.broker_oid: order for order in recording.orders}
    versions: dict[str, tuple[int, Decimal]] = {}
    seq = 0
    for fill in recording.fills:
        order = orders[fill.broker_oid]
        if fill.broker_oid not in versions:
            yield _version(seq + 1, order, fill.time_ns, 1, OrderState.SENT)
            yield _version(seq + 2, order, fill.time_ns, 2, OrderState.ACK)
            seq += 2
        version, filled = versions.get(fill.broker_oid, (2, ZERO))
        filled += fill.quantity
        versions[fill.broker_oid] = (version + 1, filled)
        state = OrderState.FILLED if filled == order.quantity else OrderState.PARTIAL
        seq += 1
        yield _version(seq, order, fill.time_ns, version + 1, state, filled, fill)


def _version(
    seq: int,
    order: RecordedOrder,
    time_ns: int,
    version: int,
    state: OrderState,
    filled: Decimal = ZERO,
    fill: RecordedExecution | None = None,
) -> OrderVersion:
    booked = None
    if fill is not None:
        numbers = (decimal_text(fill.quantity), decimal_text(fill.price), decimal_text(fill.fee))
        booked = FillOfVersion(fill.fill_id, *numbers)
    return OrderVersion(
        seq=seq,
        ts=_when(time_ns),
        client_order_id=_key(order.broker_oid),
        version=version,
        decision_id=_decision(order.broker_oid),
        fingerprint=_fingerprint(order),
        symbol=order.symbol,
        side=order.side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=decimal_text(order.quantity),
        limit_price=decimal_text(order.limit_price),
        reference_price=None,
        state=state,
        filled=decimal_text(filled),
        broker_order_id=order.broker_oid,
        fill=booked,
    )


def _entry(order: RecordedOrder, recording: Recording) -> CacheEntry:
    return CacheEntry(
        broker_client_order_id=_key(order.broker_oid),
        decision_id=_decision(order.broker_oid),
        symbol=order.symbol,
        side=order.side,
        size=decimal_text(order.quantity),
        ttl_utc=_when(recording.fills[-1].time_ns) + _TTL,
        status="closed",
        fingerprint=_fingerprint(order),
    )


def _config(recording: Recording) -> str:
    positions = "\n".join(f'    "{symbol}": "{decimal_text(held)}"' for symbol, held in recording.opening_positions)
    return f"""# Made from a recording of {len(recording.fills)} fills. What it does not explain is found as a drift;
# write it under expect.drift once it is understood.
schema: {CONFIG_SCHEMA}
name: recording
shows: a recording of {len(recording.fills)} real fills, every position followed from its first claim to its last
inputs:
  events: events.jsonl
  journal: journal.jsonl
  cache: cache.jsonl
opening:
  positions:
{positions}
tolerances:
  quantity_pct: "0"
expect:
  drift: []
"""
