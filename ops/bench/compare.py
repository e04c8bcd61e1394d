"""Compares a run of the benches with one that was kept, and draws the stages of an order from a run's JSON.

``python -m ops.bench.compare BEFORE.json AFTER.json`` prints what moved by more than the noise of both runs and ends with 1 when
something became worse; ``python -m ops.bench.compare --chart FILE.svg RUN.json`` draws. Both read what ``--json`` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

_STAGE = "order, stage: "
_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 760, 24, 230, 130, 46


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
        return f"{'worse' if self.worse else 'better'}: {self.what}: {self.before:.3g} → {self.after:.3g}"


def moved(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Move]:
    """What moved by more than noise: the range of all rounds after it lies wholly beside the range before it.

    Ratios to the peer of the same run are compared, and figures where a line has no peer. More is better for rates alone.
    """
    known, found = {row["what"]: row for row in before}, []
    for row in after:
        old = known.get(row["what"])
        name = "ratio" if row["ratio"] is not None else "ours"
        if old is None or old[name] is None:
            continue
        was, now = old[name], row[name]
        if was["min"] <= now["max"] and now["min"] <= was["max"]:
            continue
        more = now["median"] > was["median"]
        found.append(Move(row["what"], was["median"], now["median"], more is not (row["unit"] == "/s")))
    return found


def chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """The stages of one order as SVG, one bar below the other, each beginning where the one before it ends."""
    stages = [(row["what"].removeprefix(_STAGE), row["ours"]) for row in rows if row["what"].startswith(_STAGE)]
    whole = sum(spread["median"] for _, spread in stages) or 1.0
    height, span, begun = _TOP + _ROW * len(stages) + 12, _WIDTH - _LEFT - _RIGHT, 0.0
    title = f"One governed order in the controller, by stage: {whole:,.0f} µs (sum of the medians)"
    parts = [f'<text x="12" y="26" font-size="15" font-weight="600">{escape(title)}</text>']
    for place, (name, spread) in enumerate(stages):
        y, x = _TOP + _ROW * place, _LEFT + span * begun / whole
        wide, begun = max(1.0, span * spread["median"] / whole), begun + spread["median"]
        note = f"{spread['median']:,.0f} µs, {spread['median'] / whole:.0%}"
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        hint = f"{spread['min']:,.0f} to {spread['max']:,.0f} µs"
        parts.append(
            f'<rect x="{x:.1f}" y="{y + 3}" width="{wide:.1f}" height="16" rx="2" fill="#2f6f9f"><title>{hint}</title></rect>'
        )
        parts.append(f'<text x="{x + wide + 6:.1f}" y="{y + 15}" fill="#555">{note}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif" '
        f'font-size="12" role="img" aria-label="{escape(title)}"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def main() -> None:
    """Parse, compare or draw."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.compare", description="What moved between two runs.")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN.json", help="the kept run, then the new one; one for a chart")
    parser.add_argument("--chart", type=Path, help="draw the stages of an order of the last run into this SVG file")
    options = parser.parse_args()
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in options.runs]
    if options.chart:
        options.chart.write_text(chart(runs[-1]), encoding="utf-8")
    if len(runs) < 2:
        return
    moves = moved(runs[0], runs[-1])
    print("\n".join(one.text for one in moves) or "nothing moved by more than noise")
    sys.exit(any(one.worse for one in moves))


if __name__ == "__main__":
    main()
