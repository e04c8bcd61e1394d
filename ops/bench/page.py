"""Writes what ``ops/docs/bench.md`` shows of the kept run: its table between two marks, and two charts beside the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.bench import kept
from ops.bench.charts import goals_chart, stages_chart
from ops.bench.showing import table

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "bench.md"
BEGIN, END = "<!-- the kept run -->", "<!-- the end of the kept run -->"


def charts(run: Mapping[str, Any]) -> dict[str, str]:
    """The SVG files of a run, by their names in ``ops/docs``."""
    return {
        "bench-goals.svg": goals_chart(run["rows"]),
        "bench-stages.svg": stages_chart(run["rows"]),
        "bench-stages-tls.svg": stages_chart(run["rows"], "order-path-tls"),
    }


def page(text: str, run: Mapping[str, Any]) -> str:
    """The page with this run: when and where, and the lines that have a goal."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    judged = [row for row in run["rows"] if row["goals"]]
    return f"{before}{BEGIN}\n{kept.described(run)}\n\n{table(judged)}\n{END}{after}"


def keep(run: Mapping[str, Any]) -> None:
    """Keep a run: ``last.json``, its charts, and the table of the page."""
    kept.write(run, kept.LAST)
    for name, drawn in charts(run).items():
        (DOCS / name).write_text(drawn, encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), run), encoding="utf-8")
