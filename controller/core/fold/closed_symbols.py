"""How events about closed symbols change the state. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.effects import AlertKind
from controller.core.fold.alerts import raise_alert
from controller.core.state import ClosedSymbol, State
from exchange.ports import VenueName
from policies.values import replace


def key_of(venue: VenueName, symbol: str) -> str:
    """The key of a symbol in ``State.closed_symbols``."""
    return f"{venue} {symbol}"


def title_of(event: e.SymbolClosed) -> str:
    """The title of the alert about it."""
    return f"{event.symbol} is closed on {event.venue}"


def closed(state: State, event: e.SymbolClosed) -> State:
    """Remember a symbol that closed, and raise an alert."""
    found = ClosedSymbol(event.venue, event.symbol, event.why, event.orders, event.held, state.at)
    state = replace(state, closed_symbols=state.closed_symbols.set(key_of(event.venue, event.symbol), found))
    return raise_alert(state, AlertKind.SYMBOL, title_of(event), found.line)


def reopened(state: State, event: e.SymbolReopened) -> State:
    """Forget it. The alert stays until a person acknowledges it."""
    return replace(state, closed_symbols=state.closed_symbols.delete(key_of(event.venue, event.symbol)))
