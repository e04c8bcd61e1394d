"""How the console words alerts, keys and drills, a line each. The page's ``alerts.js`` words them the same way."""

from __future__ import annotations

from controller.console.alerts import AcknowledgedView, AlertView
from controller.console.bot_keys import BotKeyView
from controller.console.drills import DrillView
from controller.console.wording import instant, microseconds


def alert_line(alert: AlertView) -> str:
    """What it is, and since when."""
    often = f" ({alert.times} times)" if alert.times > 1 else ""
    return f"{alert.title}{often}: {alert.detail} · since {instant(alert.at_ms)} UTC"


def key_line(key: BotKeyView) -> str:
    """Why a key does not work."""
    return f"{key.bot}'s gateway key is not usable: {key.problem}"


def acknowledged_line(seen: AcknowledgedView | None) -> str:
    """Who answered for the last alert."""
    if seen is None:
        return "Nothing was acknowledged yet."
    return f"Last acknowledged: {seen.id} {seen.title}, by {', '.join(seen.persons)} at {instant(seen.at_ms)} UTC."


def drill_line(drill: DrillView | None) -> str:
    """What the last practised halt measured, or what ended it."""
    if drill is None:
        return "No halt was practised yet."
    where = f"{drill.venue} at {drill.stage}"
    if drill.ended_at_ms is None:
        return f"A halt is being practised on {where}; {drill.denied} orders denied so far."
    when = f"{instant(drill.ended_at_ms)} UTC on {where}"
    if drill.ended_by:
        return f"Last drill: {when}, not completed: {drill.ended_by}."
    empty = "✔ verified empty" if drill.verified_empty else "✖ not verified empty"
    return (
        f"Last drill: {when}: asked to latch {microseconds(drill.breach_to_latch_us)}, latch to all cancelled "
        f"{microseconds(drill.latch_to_cancelled_us)}, {drill.cancelled} cancelled, {drill.denied} denied, {empty}."
    )
