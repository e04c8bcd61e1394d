"""Decisions when time passes: arm, look up unknown orders, sample, judge guards, sell. ``controller.core.decide`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.decisions import (
    absence,
    alert_watch,
    attestation,
    bot_liveness,
    closed_symbols,
    commands,
    drills,
    flatten,
    guards,
    integrity,
    protection,
    rates,
    streams,
)
from controller.core.decisions.account import equity_eur, exposure
from controller.core.decisions.draft import Draft
from controller.core.decisions.sweeps import arm_when_reconciled
from controller.core.effects import LookUp
from controller.core.inputs import Market, Tick
from controller.core.state import State, market_of
from exchange.model import Millis, OrderStatus
from exchange.ports import VenueName
from exchange.stream_life import market_stream
from policies.exposure import Exposure, MissingInput, at_rate
from policies.schema import Policy

SAMPLE_EVERY_MS = 1000


def tick(draft: Draft, input_: Tick) -> None:
    """Do everything that is due now."""
    arm_when_reconciled(draft)
    for order in draft.after.open.values():
        if order.status is OrderStatus.UNKNOWN:
            draft.do(LookUp(order.venue, order.symbol, order.client_id, order.admitted_at))
    absence.read_standing_still(draft)
    policy, venue = draft.after.policy, draft.after.watched
    if policy is not None and venue is not None:
        market = input_.markets.get(market_of(venue))
        if market is not None:
            _sample(draft, policy, venue, market, input_)
        streams.observe(draft, venue, input_)
        integrity.observe(draft, venue, input_)
        guards.judge_guards(draft, policy, venue, market, input_)
    rates.watch(draft)
    if policy is not None:
        closed_symbols.watch(draft, policy, input_.markets)
    if draft.after.flatten is not None:
        flatten.go_on(draft, input_.markets.get(market_of(draft.after.flatten.venue)))
    drills.finish_crash(draft)
    drills.halt_when_overdue(draft)
    alert_watch.watch(draft, input_)
    commands.apply_when_due(draft, input_)


def _sample(draft: Draft, policy: Policy, venue: VenueName, market: Market, input_: Tick) -> None:
    state, now = draft.after, draft.now
    last = max(state.ledger(venue).sampled_at or 0, state.stage_since, state.started_at)
    interval = now - last
    equity = equity_eur(state.ledger(venue), policy, market.quotes, state.rates)
    # The first known equity is sampled at once: it is the day's baseline, and no loss can be judged before.
    first_value = equity is not None and state.ledger(venue).day_start_eur is None
    if interval < SAMPLE_EVERY_MS and not first_value:
        return
    worst = exposure(state, policy, venue, market.quotes, market.rules, now)
    judged = attestation.judge(state, policy, input_, now) if venue in attestation.SIMULATED else None
    why = _uncovered(state, policy, venue, market, input_, now)
    if judged is not None and attestation.needs_attestation(policy, venue):
        why = why or attestation.refusal(judged)
    first = market.quotes.get(policy.symbols[0])
    draft.emit(
        e.Sampled(
            venue=venue,
            source=market.source,
            accelerated=market.accelerated,
            equity_eur=equity,
            exposure_eur=worst.eur if isinstance(worst, Exposure) else None,
            bid=first.bid if first else None,
            ask=first.ask if first else None,
            interval_ms=interval,
            covered=not why,
            uncovered_reason=why,
            clock_offset_ms=input_.clock_offset_ms.get(venue),
            clock_uncertainty_ms=input_.clock_uncertainty_ms.get(venue, 0),
            attested=None if judged is None else judged.attested,
            unprotected=protection.why_not(state, policy, market, equity, input_, now),
            statement_at=None if judged is None else judged.at or state.ledger(venue).statement_at,
        )
    )


def _uncovered(state: State, policy: Policy, venue: VenueName, market: Market, input_: Tick, now: Millis) -> str:
    limit = policy.limits.quote_max_age_ms
    for symbol in policy.symbols:
        quote = market.quotes.get(symbol)
        if quote is None:
            return f"no valid order book for {symbol}{streams.trouble(input_, market_of(venue), market_stream(symbol))}"
        if now - quote.received_at > limit:
            return f"the quote for {symbol} is older than {limit} ms"
    if isinstance(missing := at_rate(policy, state.rates, now), MissingInput):
        return missing.message
    if not state.armed:
        return state.not_armed_because or "not armed"
    if not state.ledger(venue).clean:
        return "reconciliation is not clean"
    return _unseen(state) or drills.withholds_orders(state) or bot_liveness.why_not_all(state, policy, input_.bots, now)


def _unseen(state: State) -> str:
    """Why the guards do not see enough; empty when they do."""
    if not state.unseen:
        return ""
    why = f": {state.guard_reason}" if state.guard in state.unseen else ""
    return f"nothing new is seen for {', '.join(state.unseen)}{why}"
