"""Which venues do not answer and what waits for them, for ``status_view``."""

from __future__ import annotations

from collections.abc import Mapping

from controller.console.unreached_view import UnreachedView
from controller.console.wording import instant
from controller.core.state import State, market_of
from controller.runtime.venues.clocks import Silence
from exchange.ports import VenueName


def unreached_views(state: State, silent: Mapping[VenueName, Silence]) -> tuple[UnreachedView, ...]:
    """Every venue that does not answer."""
    return tuple(
        UnreachedView(
            venue=name,
            since_ms=one.since,
            why=one.why,
            line=f"{name} has not answered since {instant(one.since)} UTC: {one.why}. {_waits(state, name)}",
            orders_wait=_is_used(state, name) or _has_the_market(state, name),
        )
        for name, one in sorted(silent.items())
    )


def _waits(state: State, venue: VenueName) -> str:
    if _is_used(state, venue):
        return "It is in use: nothing is admitted there until it answers"
    if _has_the_market(state, venue):
        return f"{state.watched} trades on its market: no order has a price and no time is covered until it answers"
    steps = "The step to the testnet stays" if venue is VenueName.TESTNET else "Every step to real money stays"
    return f"{state.position} does not need it. {steps} closed until it answers"


def _is_used(state: State, venue: VenueName) -> bool:
    return state.watched is venue or any(order.venue is venue for order in state.open.values())


def _has_the_market(state: State, venue: VenueName) -> bool:
    return state.watched is not None and market_of(state.watched) is venue
