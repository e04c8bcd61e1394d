"""Runs the benches and prints one table: ``python -m ops.bench [--rounds N] [--only NAME …] [--size X] [--json FILE] [--keep]``.

After the table it says what moved against the kept run (``last.json``) by more than noise, and which goals were met. It ends with 1
only when a bench could not run; a goal that was missed fails nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.bench import (
    client_path,
    fan_out,
    governance,
    growth,
    halting,
    imports,
    journal_settings,
    kept,
    memory,
    order_path,
    order_tracing,
    orders_at_once,
    performance,
    replaying,
    signing,
    transport,
    venue_orders,
)
from ops.bench.charts import stages_chart
from ops.bench.compare import report
from ops.bench.measure import Contest, not_run, row_of, run
from ops.bench.page import keep
from ops.bench.showing import Progress, Row, summary, table

CONTESTS = {
    one.name: one
    for one in (
        order_path.CONTEST,
        order_path.TLS,
        orders_at_once.CONTEST,
        order_tracing.CONTEST,
        governance.CONTEST,
        halting.CONTEST,
        halting.SAVING,
        governance.VERIFY,
        journal_settings.CONTEST,
        client_path.DEPTH,
        client_path.ORDERS,
        transport.CONTEST,
        signing.CONTEST,
        fan_out.CONTEST,
        imports.CONTEST,
        memory.CONTEST,
        growth.CONTEST,
        venue_orders.CONTEST,
        venue_orders.KEPT,
        replaying.CONTEST,
        performance.CONTEST,
    )
}
STAGES = {one.name: one.stages for one in CONTESTS.values() if one.stages}


def measured(contest: Contest, rounds: int, size: float) -> list[Row]:
    """The rows of one bench. One that cannot run says why in each of them."""
    progress = Progress(sys.stdout, contest.name)
    try:
        outcomes = run(contest, rounds, size, progress)
    except Exception as error:  # noqa: BLE001 - the others still run, and this one is shown as not measured
        outcomes = not_run(contest, f"{type(error).__name__}: {error}")
    progress.done()
    return [row_of(contest.name, one) for one in outcomes]


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, with what may not go together refused."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description="Ratios measured in one run.")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds, after one warm-up round")
    parser.add_argument("--size", type=float, default=1.0, help="how much work a round does; the goals are for 1")
    parser.add_argument("--only", nargs="*", choices=sorted(CONTESTS), default=list(CONTESTS), help="run only these benches")
    parser.add_argument("--json", type=Path, help="also write the run to this file")
    parser.add_argument("--chart", type=Path, help="also draw the stages of an order into this SVG file")
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="?",
        const=kept.LAST,
        default=kept.LAST,
        help="the run to compare with, instead of the kept one",
    )
    parser.add_argument("--keep", action="store_true", help="keep the run in ops/bench/last.json, with its charts and its page")
    chosen = parser.parse_args(arguments)
    if chosen.keep and (set(chosen.only) != set(CONTESTS) or chosen.size != 1):
        parser.error("only a whole run of size 1 is kept")
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, print."""
    chosen = options(arguments)
    before = kept.load()
    rows: list[Row] = []
    for name in chosen.only:
        rows += measured(CONTESTS[name], chosen.rounds, chosen.size)
    done: dict[str, Any] = kept.run_of(rows, rounds=chosen.rounds, size=chosen.size, before=before)
    print(f"{kept.described(done)}\n\n{table(rows)}\n")
    if chosen.compare.exists():
        print(report(kept.read(chosen.compare), done)[0] + "\n")
    if chosen.size != 1:
        print(f"The goals are for size 1; this run has size {chosen.size:g}.")
    print(summary(rows, STAGES))
    if chosen.json:
        kept.write(done, chosen.json)
    if chosen.chart:
        chosen.chart.write_text(stages_chart(rows), encoding="utf-8")
    failed = any(row["missing"] for row in rows)
    if chosen.keep and failed:
        print("The run is not kept, because a bench could not run.")
    elif chosen.keep:
        keep(done)
    sys.exit(failed)


if __name__ == "__main__":
    main()
