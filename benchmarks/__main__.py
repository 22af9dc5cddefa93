"""``python -m benchmarks [--profile] [--reconcile | --store | --proof | --scrape | --latency | --explore]``: how fast.

Absolute times are noise, so everything is printed beside a bare loop of anyio's ``send_nowait`` and
``receive_nowait`` in the same run, as medians of several rounds. ``--profile`` adds the largest costs of an order.
``--reconcile`` measures a reconcile of many orders instead, beside a bare loop of dict look-ups; ``--store`` durable
claims, beside one bare sync of the same bytes, and the opening of a store of ``--keys`` keys; ``--proof`` a proof of a
long log, beside plain decoding of its lines; ``--scrape`` how long messages wait in a session that is scraped, beside
one that is not; ``--latency`` in real time what lies between a host's submit and the broker's place, beside a bare turn
of the event loop and a bare sync; ``--explore`` whole explored runs, beside a ring of five actors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.explore import print_explore
from benchmarks.kernel import bare_stream_rate, ring_rate
from benchmarks.latency import print_latency
from benchmarks.measure import Rate, median_rate
from benchmarks.orders import largest_costs, order_rates
from benchmarks.proof import print_proof
from benchmarks.reconcile import print_reconcile
from benchmarks.scrape import print_scrape
from benchmarks.store import print_store

_RING_BUDGET = 200_000
_ORDER_BUDGET = 20_000
_SCRAPED_ORDERS_MAX = 1_000
"""Orders in real time take their time."""
_WIDTH = 120
"""Columns where no terminal says how many it has."""


def _sizes(text: str) -> list[int]:
    sizes = text.split(",")
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} (allowed: whole numbers above zero, separated by commas)")
    return [int(size) for size in sizes]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Steps and whole orders per second.")
    parser.add_argument("--orders", type=int, default=20_000, help="orders of one round (default 20000)")
    parser.add_argument("--steps", type=int, default=300_000, help="steps of one round of the ring (default 300000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median counts (default 5)")
    parser.add_argument("--profile", action="store_true", help="show the largest costs of a whole order")
    parser.add_argument("--reconcile", action="store_true", help="measure a reconcile of many orders instead")
    parser.add_argument("--store", action="store_true", help="measure durable claims instead")
    parser.add_argument("--proof", action="store_true", help="measure proofs of 100,000 and 1,000,000 events instead")
    parser.add_argument("--scrape", action="store_true", help="measure hops with and without a scraper instead")
    parser.add_argument("--every", type=float, default=0.1, help="seconds between scrapes of --scrape (default 0.1)")
    parser.add_argument("--explore", action="store_true", help="measure explored runs instead")
    parser.add_argument("--runs", type=int, default=300, help="runs of one round with --explore (default 300)")
    parser.add_argument("--claims", type=int, default=2_000, help="claims of one round with --store (default 2000)")
    parser.add_argument("--keys", type=int, default=20_000, help="keys of the store that --store opens (default 20000)")
    parser.add_argument("--folder", type=Path, help="where stores are made (default: the system's choice)")
    parser.add_argument("--latency", action="store_true", help="measure submit to broker call in real time instead")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each rate of --latency lasts (default 5)")
    parser.add_argument("--loops", default="asyncio,uvloop", help="event loops of --latency, by commas")
    parser.add_argument("--sizes", type=_sizes, default="10000,100000,1000000", help="orders of a reconcile, by commas")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    if options.reconcile:
        print_reconcile(options.sizes, options.rounds, console)
        return
    if options.store:
        print_store(options.claims, options.rounds, console, options.folder, options.keys)
        return
    if options.latency:
        print_latency(options.seconds, tuple(options.loops.split(",")), console, options.folder)
        return
    if options.explore:
        print_explore(options.runs, options.rounds, console)
        return
    if options.proof:
        print_proof([100_000, 1_000_000], console)
        return
    if options.scrape:
        print_scrape(min(options.orders, _SCRAPED_ORDERS_MAX), options.rounds, options.every, console)
        return

    bare = median_rate(options.rounds, lambda: bare_stream_rate(options.steps))
    ring = median_rate(options.rounds, lambda: ring_rate(options.steps))
    steps: list[float] = []
    orders: list[float] = []
    for _ in range(options.rounds):
        by_step, by_order = order_rates(options.orders)
        steps.append(by_step)
        orders.append(by_order)
    rows = [
        Rate("bare anyio stream: put and take", bare, None),
        Rate("ring of five actors: steps", ring, _RING_BUDGET),
        Rate("order pipeline, artifacts on: steps", sorted(steps)[len(steps) // 2], None),
        Rate("order pipeline, artifacts on: whole orders", sorted(orders)[len(orders) // 2], _ORDER_BUDGET),
    ]
    table = Table("what", "per second", "of the bare loop", "budget", "of the budget")
    for row in rows:
        share = "" if row.budget is None else f"{row.per_s / row.budget:.2f}"
        budget = "" if row.budget is None else f"{row.budget:,}"
        table.add_row(row.name, f"{row.per_s:,.0f}", f"{row.per_s / bare:.3f}", budget, share)
    console.print(table)
    if options.profile:
        console.print(largest_costs(options.orders))


if __name__ == "__main__":
    main()
