"""How what happened to the streams of the venue in use changes the state. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.state import State
from gates.streams import StreamRun, Streams
from policies.values import replace


def observed(state: State, event: e.StreamsObserved) -> State:
    """Keep what was observed in the tally of the run."""
    if state.tally is None or event.venue is not state.watched:
        return state
    runs = tuple(StreamRun(**one.model_dump()) for one in event.streams)
    return replace(state, tally=replace(state.tally, streams=Streams(state.at, runs)))


def restarted(state: State) -> State:
    """A process took over: its streams are new, and nobody watched the old ones since the last sample."""
    if state.tally is None or not state.tally.streams.runs:
        return state
    return replace(state, tally=replace(state.tally, streams=state.tally.streams.restarted(state.tally.last_at)))
