"""Runs the benches and prints one table: ``python -m ops.bench [--rounds N] [--only NAME …] [--size X] [--json FILE]``."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from ops.bench import (
    client_path,
    fan_out,
    governance,
    halting,
    imports,
    order_path,
    performance,
    replaying,
    signing,
    transport,
    venue_orders,
)
from ops.bench.measure import Outcome, run, table, write_json

CONTESTS = {
    one.name: one
    for one in (
        venue_orders.CONTEST,
        venue_orders.KEPT,
        client_path.DEPTH,
        client_path.ORDERS,
        signing.CONTEST,
        replaying.CONTEST,
        governance.CONTEST,
        governance.VERIFY,
        order_path.CONTEST,
        transport.CONTEST,
        halting.CONTEST,
        halting.SAVING,
        fan_out.CONTEST,
        imports.CONTEST,
        performance.CONTEST,
    )
}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description="Ratios measured in one run.")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds, after one warm-up round")
    parser.add_argument("--size", type=float, default=1.0, help="how much work a round does; the goals are for 1")
    parser.add_argument("--only", nargs="*", choices=sorted(CONTESTS), default=list(CONTESTS), help="run only these benches")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    options = parser.parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {options.rounds} rounds\n")
    outcomes: list[Outcome] = []
    for name in options.only:
        print(f"… {name}", flush=True)
        outcomes += run(CONTESTS[name], options.rounds, options.size)
    print("\n" + table(outcomes))
    if options.json:
        write_json(outcomes, options.json)


if __name__ == "__main__":
    main()
