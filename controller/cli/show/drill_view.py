"""Drills as ``gatehouse status`` and ``gatehouse drill`` show them."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from controller.cli.shared.output import clock, micros
from controller.console.drills import DrillView
from controller.console.schema import OversightView


def drill_rows(view: OversightView) -> list[tuple[str, Text | Table | str]]:
    """The drill that runs now, or else the last one."""
    if view.drill is not None:
        return [("drill", drill_text(view.drill))]
    return [("last drill", drill_text(view.last_drill))] if view.last_drill is not None else []


def drill_text(view: DrillView) -> Text:
    """A drill in one or two lines, with its measured times once it has ended."""
    where = f"{view.venue} at {view.stage}"
    if view.ended_at_ms is None:
        return Text(f"a halt is being practised on {where}; {view.denied} orders denied so far", "bold yellow")
    if view.ended_by:
        return Text(f"{clock(view.ended_at_ms)} UTC on {where}, not completed: {view.ended_by}", "bold red")
    empty = "verified empty" if view.verified_empty else "not verified empty"
    latch, cancel = micros(view.breach_to_latch_us), micros(view.latch_to_cancelled_us)
    return Text(
        f"{clock(view.ended_at_ms)} UTC on {where}: asked → latch {latch}, latch → last cancel {cancel}, "
        f"{view.cancelled} cancelled, {view.denied} denied, {empty}"
    )
