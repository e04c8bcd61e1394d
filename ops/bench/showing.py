"""What a run prints: progress while it goes on, the table, and a summary of the goals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

Row = Mapping[str, Any]
"""One line of a run as ``--json`` writes it (``measure.row_of``)."""

STAGE, FLOOR = ", stage: ", ", floor: "
"""What the names of lines have that show one stage of an order, and what the machine needs at least."""
_QUIET_S = 2
"""For so long nothing needs to be said where lines cannot be overwritten."""


class Progress:
    """Says what runs now: on one line of a terminal, elsewhere on a line of its own when nothing was said for two seconds."""

    def __init__(self, out: TextIO, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._name, self._clock = out, name, clock
        self._said = float("-inf")
        self._overwrites = out.isatty()

    def __call__(self, step: str) -> None:
        """A step begins."""
        if self._overwrites:
            self._out.write(f"\r\033[K… {self._name}: {step}")
        elif self._clock() - self._said >= _QUIET_S:
            self._out.write(f"… {self._name}: {step}\n")
            self._said = self._clock()
        self._out.flush()

    def done(self) -> None:
        """The bench has ended."""
        if self._overwrites:
            self._out.write("\r\033[K")


def table(rows: Sequence[Row]) -> str:
    """The results as a Markdown table."""
    lines = ["| what | ours | peer in the same run | ours / peer | goal | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        ours = f"{spread_text(row['ours'])} {row['unit']}".rstrip() if row["ours"] else f"not measured: {_cell(row['missing'])}"
        peer = f"{spread_text(row['peer'])} ({row['peer_name']})" if row["peer"] else ""
        ratio = spread_text(row["ratio"]) if row["ratio"] else ""
        met = {None: "", True: "yes", False: "**no**"}[row["met"]]
        lines.append(f"| {row['what']} | {ours} | {peer} | {ratio} | {'; '.join(row['goals'])} | {met} |")
    return "\n".join(lines)


def summary(rows: Sequence[Row], stages: Mapping[str, str]) -> str:
    """How many goals are met, and each line that missed one, with the longest stage and the floors that explain it.

    ``stages`` says for a bench which bench's stages and floors those are.
    """
    judged = [row for row in rows if row["goals"]]
    failed = [row for row in judged if not row["ours"]]
    missed = [row for row in judged if row["ours"] and not row["met"]]
    counts = [f"{len(judged) - len(missed) - len(failed)} of {len(judged)} lines with a goal met it", f"{len(missed)} missed it"]
    if failed:
        counts.append(f"{len(failed)} could not be measured")
    lines = [", ".join(counts) + "."]
    explained = set()
    for row in missed:
        lines.append(f"missed: {row['what']}: {_figure(row)}, goal {'; '.join(row['goals'])}")
        bench = stages.get(row["bench"], "")
        if bench not in explained:
            explained.add(bench)
            lines += _explained(rows, bench)
    lines += [f"not measured: {row['what']}: {row['missing']}" for row in failed]
    return "\n".join(lines)


def spread_text(spread: Mapping[str, float]) -> str:
    """``1234 [1200..1300]``: the median, the least and the most."""
    return f"{short(spread['median'])} [{short(spread['min'])}..{short(spread['max'])}]"


def short(value: float) -> str:
    """Three digits, or all before the decimal point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _figure(row: Row) -> str:
    ratio = f", {short(row['ratio']['median'])} × the peer" if row["ratio"] else ""
    return f"{short(row['ours']['median'])} {row['unit']}".rstrip() + ratio


def stages_in(rows: Sequence[Row], bench: str) -> dict[str, Mapping[str, float]]:
    """The stages of an order that a bench measured, by name."""
    return _named(rows, bench, STAGE)


def _named(rows: Sequence[Row], bench: str, mark: str) -> dict[str, Mapping[str, float]]:
    mine = [row for row in rows if row["bench"] == bench and mark in row["what"] and row["ours"]]
    return {row["what"].partition(mark)[2]: row["ours"] for row in mine}


def _explained(rows: Sequence[Row], bench: str) -> list[str]:
    stages = {name: spread["median"] for name, spread in stages_in(rows, bench).items()}
    if not stages:
        return []
    longest = max(stages, key=lambda name: stages[name])
    floors = [f"{name} {short(spread['median'])} µs" for name, spread in _named(rows, bench, FLOOR).items()]
    return [
        f"    longest stage in the controller: {longest}, {short(stages[longest])} of {short(sum(stages.values()))} µs",
        f"    floor of the machine: {'; '.join(floors)}",
    ]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")
