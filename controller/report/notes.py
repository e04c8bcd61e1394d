"""Says in one line what an entry means that belongs under "faults and drills" of a report. ``collect`` calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controller.core import events as e
from controller.core.causes import Cause
from controller.core.state import State
from controller.report.run import Note
from exchange.model import Millis
from policies.drills import DrillKind
from policies.stage import Stage

_Words = tuple[str, str] | None


def note_of(seq: int, at: Millis, event: e.Event, before: State) -> Note | None:
    """The note of an entry; ``None`` for an ordinary one. ``before`` is the state before it."""
    write = _WRITTEN.get(type(event))
    words = write(event, before) if write is not None else None
    if words is None:
        return None
    return Note(seq, at, "drill" if type(event) in _DRILLS else "fault", *words)


def _guard_level(event: e.GuardLevelChanged, _: State) -> _Words:
    return (f"guard {event.guard or 'level'} at {event.level}", event.reason) if event.level else None


def _measured(event: e.HaltMeasured, _: State) -> _Words:
    if event.breach_to_latch_us < 0:
        return None
    return "a halt was measured", _halt_words(event.breach_to_latch_us, event.cancelled, empty=event.verified_empty)


def _moved(event: e.StageChanged, before: State) -> _Words:
    if event.stage is not Stage.HALTED and event.cause not in {Cause.SOFT_BREACH, Cause.CHANGED_DEPLOYMENT}:
        return None
    return f"moved from {before.position} to {event.stage.value}", event.reason


def _started(event: e.ControllerStarted, before: State) -> _Words:
    return ("the controller started again", f"epoch {event.epoch}, gatehouse {event.gatehouse_version}") if before.epoch else None


def _drill_passed(event: e.DrillFinished, _: State) -> _Words:
    figures = [f"{name} {value}" for name, value in sorted(event.measured.items())]
    if event.drill in {DrillKind.HALT, DrillKind.KILL}:
        figures.insert(0, _halt_words(event.breach_to_latch_us, event.cancelled, empty=event.verified_empty))
    return f"drill {event.drill.value} passed", "; ".join(figures) or "every proof was found"


def _halt_words(latch_us: int, cancelled: int, *, empty: bool) -> str:
    shown = "the venue then showed no open order" if empty else "it was not shown that the venue has no open order"
    latched = f"{latch_us} µs until no order could leave" if latch_us >= 0 else "no time was measured"
    return f"{latched}, {cancelled} cancelled, {shown}"


_DRILLS = frozenset({e.DrillStarted, e.DrillFinished, e.DrillFailed})
_WRITTEN: dict[type[e.Event], Callable[[Any, State], _Words]] = {
    e.BreachDetected: lambda event, _: (f"guard {event.guard} was breached", event.message),
    e.GuardLevelChanged: _guard_level,
    e.HaltMeasured: _measured,
    e.OrderUnknown: lambda event, _: ("the outcome of an order was not known", f"{event.client_id}: {event.reason}"),
    e.Reconciled: lambda event, _: ("our books and the venue's differed", "; ".join(event.breaks)) if event.breaks else None,
    e.ControllerStarted: _started,
    e.Disarmed: lambda event, _: ("no permits were issued", event.reason),
    e.AlertRaised: lambda event, _: (event.title, event.detail),
    e.SymbolClosed: lambda event, _: (f"{event.symbol} closed at its venue", event.why),
    e.WatchdogLogAbsorbed: lambda event, _: ("the watchdog cancelled", "the controller was silent") if event.fired else None,
    e.Rebaselined: lambda event, _: ("a person accepted other balances", f"worth {event.shift_eur:f} EUR more than our books"),
    e.CapitalMoved: lambda event, _: ("money came in or went out", f"{event.shift_eur:f} EUR, neither gain nor loss"),
    e.CommandRefused: lambda event, _: (f"a command was refused: {event.verb or 'unreadable'}", f"{event.code}: {event.message}"),
    e.StageChanged: _moved,
    e.DrillStarted: lambda event, _: (f"drill {event.drill.value} started", f"on {event.venue.value}"),
    e.DrillFinished: _drill_passed,
    e.DrillFailed: lambda event, _: (f"drill {event.drill.value} ended without a result", event.reason),
}
"""How a note of each kind of entry reads: what happened, and the figures or the reason."""
