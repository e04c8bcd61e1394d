"""One line of text for an alert, a key, a drill or no bot. The page's template uses it; the scripts write the same lines."""

from __future__ import annotations

from controller.console.alerts import AcknowledgedView, AlertView
from controller.console.bot_keys import BotKeyView
from controller.console.bot_view import BotView
from controller.console.drills import DrillView
from controller.console.role import StandbyView
from controller.console.wording import instant, microseconds


def alert_line(alert: AlertView) -> str:
    """The alert, and since when it is outstanding."""
    often = f" ({alert.times} times)" if alert.times > 1 else ""
    return f"{alert.title}{often}: {alert.detail} · since {instant(alert.at_ms)} UTC"


def key_line(key: BotKeyView) -> str:
    """Why a key does not work."""
    return f"{key.bot}'s gateway key is not usable: {key.problem}"


def acknowledged_line(alert: AcknowledgedView | None) -> str:
    """Who acknowledged the last alert."""
    if alert is None:
        return "No alert was acknowledged yet."
    return f"Last acknowledged: {alert.id} {alert.title}, by {', '.join(alert.persons)} at {instant(alert.at_ms)} UTC."


def drill_line(drill: DrillView | None) -> str:
    """What the last drill measured, or what ended it."""
    if drill is None:
        return "No drill was run yet."
    where = f"{drill.venue} at {drill.stage}"
    if drill.ended_at_ms is None:
        return f"A {drill.drill} drill runs on {where}; {drill.denied} orders denied so far."
    when = f"{instant(drill.ended_at_ms)} UTC on {where}"
    if drill.ended_by:
        return f"Last drill: {when}, {drill.drill}, not completed: {drill.ended_by}."
    if not drill.latched:
        figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in drill.measured.items())
        return f"Last drill: {when}, {drill.drill}: {figures}; {drill.denied} denied."
    empty = "✔ verified empty" if drill.verified_empty else "✖ not verified empty"
    return (
        f"Last drill: {when}: request to latch {microseconds(drill.breach_to_latch_us)}, latch to all orders cancelled "
        f"{microseconds(drill.latch_to_cancelled_us)}, {drill.cancelled} cancelled, {drill.denied} denied, {empty}."
    )


def bot_class(bot: BotView) -> str:
    """How a bot is coloured: bad when it is missed."""
    if bot.live:
        return "good"
    return "bad" if bot.counts else "muted"


def no_bots_line(standby: StandbyView | None) -> str:
    """Why no bot is listed."""
    if standby is not None:
        return "A standby hears no bot."
    return "No bot has a gateway key, so no time is covered. `gatehouse keys bot` makes one."


def no_silence_line(standby: StandbyView | None) -> str:
    """Why no venue is listed."""
    return "A standby asks no venue." if standby is not None else "No venue failed to answer when it was last asked."
