"""Alerts as ``gatehouse status`` shows them. ``status_view`` calls this."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from controller.cli.shared.output import clock
from controller.console.schema import OversightView


def alert_rows(view: OversightView) -> list[tuple[str, Text | Table | str]]:
    """The alerts that no one has acknowledged, the symbols that are closed at a venue, and the last acknowledged alert."""
    rows: list[tuple[str, Text | Table | str]] = []
    if view.alerts:
        rows.append(("alerts", _alerts(view)))
    if view.closed_symbols:
        rows.append(("closed symbols", Text("\n".join(one.line for one in view.closed_symbols), "bold red")))
    if (last := view.acknowledged) is not None:
        who = ", ".join(last.persons)
        rows.append(("acknowledged", f"{last.id} {last.title}, by {who} at {clock(last.at_ms)} UTC"))
    return rows


def _alerts(view: OversightView) -> Text:
    lines = [
        f"{one.id}  {one.kind}: {one.title}{f' ({one.times} times)' if one.times > 1 else ''}: {one.detail}" for one in view.alerts
    ]
    if view.alerts_lost:
        lines.append(f"and {view.alerts_lost} older ones, listed only in the journal")
    lines.append("acknowledge each one: `gatehouse ack-alert ID --key KEY --reason …`")
    return Text("\n".join(lines), "bold red")
