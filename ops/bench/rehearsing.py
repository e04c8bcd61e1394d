"""Measures a rehearsal beside NautilusTrader: ``python -m ops.bench.rehearsing [--hours H] [--seed N]``.

Both play a market in steps of one second with as many orders. They do not do the same: a rehearsal runs two venues, the gateway,
limits, guards, reconciliation and a durable journal behind every order, and the peer an order book and an account. The peer needs
Python 3.12 or newer with ``nautilus_trader``; ``NAUTILUS_PYTHON`` names it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "NAUTILUS_PYTHON"
ROOT = Path(__file__).parents[2]
_PEER = Path(__file__).with_name("nautilus_peer.py")
_SEED = 7


@dataclass(frozen=True, slots=True)
class Took:
    """What playing took. ``steps`` are seconds of market data."""

    steps: float
    orders: int
    cpu_s: float
    peak_mib: int

    @property
    def rate(self) -> float:
        """Steps a second of CPU."""
        return self.steps / self.cpu_s

    def row(self, name: str) -> str:
        """A row of the table."""
        hour_s = self.cpu_s / self.steps * 3600
        return f"| {name} | {self.steps:,.0f} | {self.orders:,} | {self.rate:,.0f} | {hour_s:.2f} | {self.peak_mib} |"


def rehearsed(directory: Path, hours: float, seed: int) -> Took:
    """A rehearsal in a process of its own, on bars that are made for it."""
    tape, deployment = directory / "bars.csv", directory / "deployment"
    write_bars(tape, int(hours * 60 * 2) + 120)
    words = ["rehearse", str(deployment), "--tape", str(tape), "--hours", str(hours), "--seed", str(seed), "-o", "json"]
    subprocess.run([sys.executable, "-m", "controller", *words], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    found: Mapping[str, Any] = json.loads((deployment / "rehearsal.json").read_text(encoding="utf-8"))
    return Took(found["virtual_s"], found["counts"]["orders-sent"], found["cpu_s"], found["peak_mib"])


def write_bars(path: Path, minutes: int) -> None:
    """Bars of a market that wanders, the same each time."""
    rng, price = random.Random(_SEED), 46_000.0
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("timestamp", "open", "high", "low", "close", "volume"))
        for number in range(minutes):
            opened, price = price, max(1_000.0, price + rng.uniform(-40, 40))
            high, low = max(opened, price) + rng.uniform(0, 10), min(opened, price) - rng.uniform(0, 10)
            at = 1_640_995_200_000 + number * 60_000
            rows.writerow((at, *(f"{one:.2f}" for one in (opened, high, low, price)), "50"))


def peer_python(environment: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> str:
    """A Python that has ``nautilus_trader``. Raises ``LookupError``, which says why there is none."""
    named = environment.get(VARIABLE)
    for python in [named] if named else [found for minor in (14, 13, 12) if (found := which(f"python3.{minor}"))]:
        try:
            subprocess.run([python, "-c", "import nautilus_trader"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    tried = f"{named} has no nautilus_trader" if named else "no python3.12 or newer on the PATH has nautilus_trader"
    raise LookupError(f"{tried}; set {VARIABLE} to a Python that has it")


def peer(python: str, steps: int, orders: int) -> Took:
    """NautilusTrader with as many steps and orders, in a process of its own."""
    done = subprocess.run([python, str(_PEER), str(steps), str(orders)], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return Took(found["bars"], found["orders"], found["cpu_s"], found["peak_mib"])


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.rehearsing", description="A rehearsal beside NautilusTrader.")
    parser.add_argument("--hours", type=float, default=0.5, help="covered hours that the validation needs")
    parser.add_argument("--seed", type=int, default=_SEED)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rehearsing-") as directory:
        ours = rehearsed(Path(directory), options.hours, options.seed)
    print(
        "| what | steps of 1 s | orders | steps a second of CPU | CPU-s an hour of market | peak MiB |\n|---|---|---|---|---|---|"
    )
    print(ours.row("gatehouse rehearse"))
    try:
        theirs = peer(peer_python(os.environ), int(ours.steps), ours.orders)
    except LookupError as missing:
        print(f"\nNautilusTrader was not run: {missing}.")
        return
    print(theirs.row("NautilusTrader BacktestEngine"))
    print(f"\nours / peer: {ours.rate / theirs.rate:.3f}")


if __name__ == "__main__":
    main()
