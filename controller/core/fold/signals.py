"""How what the bot decides, in the run and in a replay, changes the state. ``controller.core.fold`` calls it.

Nothing is kept for a bot that offers no replay.
"""

from __future__ import annotations

from controller.core import events as e
from controller.core.fold.flatten import SELLER
from controller.core.state import State
from exchange.model import Millis
from gates.signals import Compared, Signals, compare, decision_of
from policies.values import replace


def _tolerance_ms(state: State) -> int | None:
    performance = None if state.policy is None else state.policy.performance
    return None if performance is None or performance.replay is None else performance.replay.tolerance_ms


def decided(state: State, event: e.OrderAdmitted | e.OrderDenied) -> State:
    """The bot asked for an order. What gatehouse sells by itself is no decision of the bot."""
    tally = state.tally
    if tally is None or _tolerance_ms(state) is None or event.bot == SELLER:
        return state
    return _kept(state, tally.signals.with_decision(state.at, event.symbol, event.side.value))


def denied_again(state: State, event: e.OrdersDeniedAgain) -> State:
    """The bot asked for orders that were denied like one before."""
    tally = state.tally
    if tally is None or _tolerance_ms(state) is None:
        return state
    return _kept(state, tally.signals.with_denied_again(Millis(event.since), state.at, event.symbol, event.count))


def replayed(state: State, event: e.SignalsReplayed) -> State:
    """Compare. The newest replay of a run stands for it."""
    tally, tolerance_ms = state.tally, _tolerance_ms(state)
    if tally is None or tolerance_ms is None or tally.series.started_at != event.run_started_at:
        return state
    as_of = Millis(event.as_of)
    if event.error:
        return _kept(state, replace(tally.signals, compared=Compared(as_of, error=event.error)))
    found = compare(
        tally.signals,
        map(decision_of, event.decisions),
        tuple((Millis(begin), Millis(end)) for begin, end in event.spans),
        started_at=tally.started_at,
        as_of=as_of,
        tolerance_ms=tolerance_ms,
    )
    return _kept(state, replace(tally.signals, compared=found))


def _kept(state: State, signals: Signals) -> State:
    assert state.tally is not None
    return replace(state, tally=replace(state.tally, signals=signals))
