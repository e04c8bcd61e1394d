"""How what was measured of the books and calls of the venue in use changes the state. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.state import State
from gates.integrity import BookRun, CallRun, Integrity, Use
from policies.values import replace


def observed(state: State, event: e.IntegrityObserved) -> State:
    """Keep what was observed in the tally of the run."""
    if state.tally is None or event.venue is not state.watched:
        return state
    calls = CallRun(**{**event.calls.model_dump(), "use": tuple(Use(*one) for one in sorted(event.calls.use.items()))})
    found = Integrity(state.at, calls, tuple(BookRun(**one.model_dump()) for one in event.books))
    return replace(state, tally=replace(state.tally, integrity=found))


def restarted(state: State) -> State:
    """A process took over: it counts its slots anew."""
    if state.tally is None or state.tally.integrity == Integrity():
        return state
    return replace(state, tally=replace(state.tally, integrity=state.tally.integrity.restarted()))
