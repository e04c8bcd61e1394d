"""A whole journal folded at once; gatehouse itself takes one entry after another."""

from __future__ import annotations

from collections.abc import Iterable

from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.state import State
from exchange.model import Millis


def fold(state: State, entries: Iterable[tuple[e.Event, Millis]]) -> State:
    """The state after many entries."""
    for event, at in entries:
        state = apply(state, event, at)
    return state
