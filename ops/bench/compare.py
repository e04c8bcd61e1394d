"""Compares a run of the benches with one that was kept: ``python -m ops.bench.compare [BEFORE.json] AFTER.json``.

It prints what moved by more than the noise of both runs and ends with 1 when something became worse. Without BEFORE the kept run,
``ops/bench/last.json``, is compared. ``--chart FILE.svg`` draws the stages of an order of AFTER. The files are those of ``--json``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.bench import kept
from ops.bench.charts import stages_chart
from ops.bench.showing import Row, short

LEAST = 0.05
"""A median that moved by less than this share is noise in any case: memory and code are arranged anew in each run."""


@dataclass(frozen=True, slots=True)
class Move:
    """A line whose ranges in two runs do not meet: its medians before and after, and whether it became worse."""

    what: str
    before: float
    after: float
    worse: bool

    @property
    def text(self) -> str:
        """``worse: …``, as it is printed."""
        return f"{'worse' if self.worse else 'better'}: {self.what}: {short(self.before)} → {short(self.after)}"


def moved(before: Sequence[Row], after: Sequence[Row]) -> list[Move]:
    """What moved by more than noise: the range of all rounds after it lies wholly beside the range before it.

    Ratios to the peer of the same run are compared, and figures where a line has no peer. More is better for rates alone.
    """
    known, found = {row["what"]: row for row in before}, []
    for row in after:
        old, name = known.get(row["what"]), "ratio" if row["ratio"] is not None else "ours"
        if old is None or old[name] is None or row[name] is None:
            continue
        was, now = old[name], row[name]
        if was["min"] <= now["max"] and now["min"] <= was["max"]:
            continue
        if abs(now["median"] - was["median"]) < LEAST * abs(was["median"]):
            continue
        more = now["median"] > was["median"]
        found.append(Move(row["what"], was["median"], now["median"], more is not (row["unit"] == "/s")))
    return found


def why_not(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Why two runs cannot be compared; empty when they can."""
    if before["size"] != after["size"]:
        return f"one has size {before['size']:g} and the other {after['size']:g}"
    return ""


def report(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, bool]:
    """What is printed about two runs, and whether something became worse."""
    if why := why_not(before, after):
        return f"Not compared with the kept run: {why}.", False
    moves = moved(before["rows"], after["rows"])
    lines = [f"Compared with the run of {kept.described(before)}"]
    differs = [name for name in before["machine"] if before["machine"][name] != after["machine"].get(name)]
    if differs:
        lines.append(f"It was measured with other: {', '.join(differs)}. Ratios may differ for that reason.")
    gone = sorted({row["what"] for row in before["rows"]} - {row["what"] for row in after["rows"]})
    ran = {row["bench"] for row in after["rows"]}
    lines += [f"no longer measured: {row['what']}" for row in before["rows"] if row["what"] in gone and row["bench"] in ran]
    lines += [one.text for one in moves] or ["Nothing moved by more than noise."]
    return "\n".join(lines), any(one.worse for one in moves)


def main() -> None:
    """Parse, compare or draw."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.compare", description="What moved between two runs.")
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN.json", help="the kept run, then the new one; or only the new one"
    )
    parser.add_argument("--chart", type=Path, help="draw the stages of an order of the last run into this SVG file")
    options = parser.parse_args()
    runs = [kept.read(path) for path in options.runs]
    if options.chart:
        options.chart.write_text(stages_chart(runs[-1]["rows"]), encoding="utf-8")
        if len(runs) < 2:
            return
    text, worse = report(runs[0] if len(runs) > 1 else kept.read(kept.LAST), runs[-1])
    print(text)
    sys.exit(worse)


if __name__ == "__main__":
    main()
