"""A proof of a long log: events per second beside plain decoding of the same lines, and memory as the log grows.

Orders come one after the other and fill in one piece or two, fifty of them open at any time; the journal has the same.
So there are about 1.4 journal records for each event of the broker, all of which a proof reads too. Each size runs in a
process of its own, whose largest memory is that of the proof.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from interlock.prove import prove_config
from interlock.prove.cache import cache_bytes

__all__ = ["ProofRate", "print_proof", "proof_rate", "write_logs"]

_OPEN: Final = 50
_FINGERPRINT: Final = "0" * 64
_MIB: Final = 1024 if sys.platform != "darwin" else 1024 * 1024
"""How many of the units in which the system tells memory make a MiB."""

_CONFIG: Final = """schema: ProofConfig/1
name: benchmark
shows: many orders that both sides agree on
inputs: {events: events.jsonl, journal: journal.jsonl, cache: cache.jsonl}
instruments:
  - {symbol: EURUSD, pip_size: "0.0001"}
expect:
  stale: 0
"""


class ProofRate(msgspec.Struct, frozen=True):
    """One proof of so many events, and plain decoding of the same file; memory is the largest of its process."""

    events: int
    records: int
    proof_s: float
    msgspec_s: float
    json_s: float
    peak_mib: float


class _Log:
    """Writes numbered records; one order in five hundred brings the time on by a second."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._file = path.open("w", encoding="ascii")

    def add(self, schema: str, order: int, content: str) -> None:
        self.count += 1
        second = order // 500
        stamp = f"2026-01-05T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
        self._file.write(f'{{"schema":"{schema}","seq":{self.count},"ts":"{stamp}",{content}}}\n')

    def close(self) -> None:
        self._file.close()


def write_logs(folder: Path, events: int) -> int:
    """Write a proof with about so many events into ``folder`` and return how many records both logs have."""
    log, journal = _Log(folder / "events.jsonl"), _Log(folder / "journal.jsonl")
    orders = max(1, events * 2 // 5)
    for at in range(orders + _OPEN):
        if at < orders:
            _send(log, journal, at, at)
        if at >= _OPEN:
            _fill(log, journal, at - _OPEN, at)
    log.close()
    journal.close()
    (folder / "cache.jsonl").write_bytes(cache_bytes(()))
    (folder / "proof.yaml").write_text(_CONFIG, encoding="ascii")
    return log.count + journal.count


def _content(order: int) -> tuple[str, str, str]:
    """Return key, side and price of an order; prices move as they do on a quiet day."""
    return f"il-{order:024x}", ("BUY", "SELL")[order % 2], f"1.{10000 + order * 7 % 500}"


def _send(log: _Log, journal: _Log, order: int, at: int) -> None:
    key, side, price = _content(order)
    what = f'"symbol":"EURUSD","side":"{side}","quantity":"100000","limit_price":"{price}"'
    _version(journal, order, at, 1, "SENT", "0", "null")
    log.add("BrokerAccepted/1", at, f'"client_order_id":"{key}","broker_order_id":"b-{order}",{what}')
    _version(journal, order, at, 2, "ACK", "0", "null")


def _fill(log: _Log, journal: _Log, order: int, at: int) -> None:
    key, side, price = _content(order)
    pieces = ("100000",) if order % 2 else ("40000", "60000")
    for number, quantity in enumerate(pieces, start=1):
        what = f'"quantity":"{quantity}","price":"{price}","fee":"0.5"'
        ids = f'"execution_id":"x-{order}-{number}"'
        names = f'"client_order_id":"{key}","broker_order_id":"b-{order}","symbol":"EURUSD","side":"{side}"'
        log.add("BrokerFill/1", at, f"{ids},{names},{what}")
        is_last = number == len(pieces)
        filled, state = ("100000", "FILLED") if is_last else (quantity, "PARTIAL")
        _version(journal, order, at, 2 + number, state, filled, f"{{{ids},{what}}}")


def _version(journal: _Log, order: int, at: int, version: int, state: str, filled: str, fill: str) -> None:
    key, side, price = _content(order)
    journal.add(
        "OrderVersion/1",
        at,
        f'"client_order_id":"{key}","version":{version},"decision_id":"d-{order}","fingerprint":"{_FINGERPRINT}",'
        f'"symbol":"EURUSD","side":"{side}","order_type":"LIMIT","time_in_force":"GTC","quantity":"100000",'
        f'"limit_price":"{price}","reference_price":null,"state":"{state}","filled":"{filled}",'
        f'"broker_order_id":"b-{order}","fill":{fill}',
    )


def proof_rate(events: int) -> ProofRate:
    """Generate a proof, run it in this process, and decode its events plainly."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        records = write_logs(folder, events)
        started = perf_counter()
        outcome = prove_config(folder / "proof.yaml", folder / "out")
        proof_s = perf_counter() - started
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
        assert outcome.as_expected, outcome.reasons
        with (folder / "events.jsonl").open("rb") as log:
            told = sum(1 for _ in log)
        plain = [_decoding_s(folder / "events.jsonl", decode) for decode in (msgspec.json.decode, json.loads)]
    return ProofRate(told, records, proof_s, plain[0], plain[1], peak_mib)


def _decoding_s(path: Path, decode: Callable[[bytes], object]) -> float:
    started = perf_counter()
    with path.open("rb") as log:
        for line in log:
            decode(line)
    return perf_counter() - started


def _in_a_process(events: int) -> ProofRate:
    command = [sys.executable, "-m", "benchmarks.proof", str(events)]
    answer = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - this very file
    return msgspec.json.decode(answer.stdout, type=ProofRate)


def print_proof(sizes: list[int], console: Console, measure: Callable[[int], ProofRate] = _in_a_process) -> None:
    """Measure proofs of these sizes and print them."""
    table = Table("events", "records of both logs", "events/s", "records/s", "of msgspec", "of json", "peak memory")
    for rate in map(measure, sizes):
        table.add_row(
            f"{rate.events:,}",
            f"{rate.records:,}",
            f"{rate.events / rate.proof_s:,.0f}",
            f"{rate.records / rate.proof_s:,.0f}",
            f"{rate.msgspec_s / rate.proof_s:.3f}",
            f"{rate.json_s / rate.proof_s:.3f}",
            f"{rate.peak_mib:,.0f} MiB",
        )
    console.print(table)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(proof_rate(int(sys.argv[1]))))
