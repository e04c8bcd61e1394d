"""Bot keys, alerts and drills as ``gatehouse status`` shows them."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from controller.cli.shared.output import clock, micros
from controller.console.drills import DrillView
from controller.console.schema import OversightView


def oversight_rows(view: OversightView) -> list[tuple[str, Text | Table | str]]:
    """What a human must look after: outstanding alerts, keys that do not work, and the last drill."""
    rows: list[tuple[str, Text | Table | str]] = []
    if view.alerts:
        rows.append(("alerts", _alerts(view)))
    if (seen := view.acknowledged) is not None:
        who = ", ".join(seen.persons)
        rows.append(("acknowledged", f"{seen.id} {seen.title}, by {who} at {clock(seen.at_ms)} UTC"))
    if view.bot_keys:
        rows.append(("bot keys", _keys(view)))
    if view.drill is not None:
        rows.append(("drill", drill_text(view.drill)))
    elif view.last_drill is not None:
        rows.append(("last drill", drill_text(view.last_drill)))
    return rows


def drill_text(view: DrillView) -> Text:
    """A drill in a line or two; the figures are the measured ones or none."""
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


def _alerts(view: OversightView) -> Text:
    lines = [
        f"{one.id}  {one.kind}: {one.title}{f' ({one.times} times)' if one.times > 1 else ''}: {one.detail}" for one in view.alerts
    ]
    if view.alerts_lost:
        lines.append(f"and {view.alerts_lost} older ones, in the journal")
    lines.append("somebody must answer for each: `gatehouse ack-alert ID --key KEY --reason …`")
    return Text("\n".join(lines), "bold red")


def _keys(view: OversightView) -> Text:
    lines = []
    for one in view.bot_keys:
        if one.revoked:
            lines.append(Text(f"{one.bot}  {one.key}  revoked", "dim"))
        elif one.problem:
            lines.append(Text(f"{one.bot}  {one.key}  not usable: {one.problem}", "bold red"))
        else:
            lines.append(Text(f"{one.bot}  {one.key}  in use"))
    return Text("\n").join(lines)
