"""Drills as ``gatehouse status`` and ``gatehouse drill`` show them."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from controller.cli.shared.output import clock, duration, micros, table
from controller.console.drills import DrillView
from controller.console.schema import OversightView


def drill_rows(view: OversightView) -> list[tuple[str, Text | Table | str]]:
    """The drill that runs now, or else the last one, and what every drill last came to."""
    rows: list[tuple[str, Text | Table | str]] = []
    if view.drill is not None:
        rows.append(("drill", drill_text(view.drill)))
    elif view.last_drill is not None:
        rows.append(("last drill", drill_text(view.last_drill)))
    if view.drills or view.drills_needed:
        rows.append(("drills", _drills(view)))
    return rows


def _drills(view: OversightView) -> Table:
    rows = [(one.drill, _result(one), _minute(one.ended_at_ms), figures(one), _minute(one.green_until_ms)) for one in view.drills]
    rows += [
        (one.drill, Text("not run", "yellow"), "-", f"live-ready asks for it within {duration(one.within_ms)}", "-")
        for one in view.drills_needed
    ]
    return table(("drill", "last result", "at (UTC)", "figures", "green until (UTC)"), rows)


def _minute(at_ms: int | None) -> str:
    return "-" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _result(view: DrillView) -> Text:
    if not view.ended_by:
        return Text("green", "green")
    return Text("failed" if view.exercised else "not run", "bold red" if view.exercised else "yellow")


def figures(view: DrillView) -> str:
    """What a drill measured, in short; or what ended it."""
    if view.ended_by:
        return view.ended_by
    parts = [f"{name.replace('_', ' ')} {value}" for name, value in view.measured.items()]
    if view.latch_to_cancelled_us >= 0:
        parts.append(f"latch {micros(view.breach_to_latch_us)}, last cancel {micros(view.latch_to_cancelled_us)}")
    return ", ".join(parts)


def drill_text(view: DrillView) -> Text:
    """A drill in one or two lines, with its measured times once it has ended."""
    where = f"{view.venue} at {view.stage}"
    if view.ended_at_ms is None:
        what = "a halt is being practised" if view.latched else f"a {view.drill} drill runs"
        return Text(f"{what} on {where}; {view.denied} orders denied so far", "bold yellow")
    when = f"{clock(view.ended_at_ms)} UTC on {where}"
    if view.ended_by:
        return Text(f"{when}, {'not completed' if view.exercised else 'not run'}: {view.ended_by}", "bold red")
    if not view.latched:
        return Text(f"{when}: the {view.drill} drill is green: {figures(view)}; {view.denied} orders denied")
    empty = "verified empty" if view.verified_empty else "not verified empty"
    latch, cancel = micros(view.breach_to_latch_us), micros(view.latch_to_cancelled_us)
    return Text(
        f"{when}: asked → latch {latch}, latch → last cancel {cancel}, {view.cancelled} cancelled, {view.denied} denied, {empty}"
    )
