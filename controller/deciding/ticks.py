"""Time passing: sample the deployment, watch its guards, chase outcomes that are still open."""

from __future__ import annotations

from collections.abc import Mapping

from controller import events as e
from controller.deciding import commands, moves
from controller.deciding.draft import Draft
from controller.deciding.sweeps import arm
from controller.deciding.views import equity_eur, exposure
from controller.effects import CancelAll, LookUp
from controller.inputs import Market, Tick
from controller.state import State, market_of
from exchange.model import Millis, OrderStatus
from exchange.ports import VenueName
from policies.exposure import Exposure
from policies.guards import Breach, Level, Placements, Reading, Readings, watch
from policies.schema import Policy
from policies.stage import Stage

SAMPLE_EVERY_MS = 1000
BOT_SILENT_MS = 10_000
"""A bot that asked for nothing in this long is not connected, and the time does not count as covered."""


def ticked(draft: Draft, given: Tick) -> None:
    """Everything that is due."""
    arm(draft)
    for order in draft.after.open.values():
        if order.status is OrderStatus.UNKNOWN:
            draft.do(LookUp(order.venue, order.symbol, order.client_id))
    policy, venue = draft.after.policy, draft.after.watched
    if policy is not None and venue is not None:
        market = given.markets.get(market_of(venue))
        if market is not None:
            _sample(draft, policy, venue, market, given)
        if draft.after.position.stage is not Stage.HALTED:
            _watch(draft, policy, venue, market, given)
    commands.due(draft)


def _sample(draft: Draft, policy: Policy, venue: VenueName, market: Market, given: Tick) -> None:
    state, now = draft.after, draft.now
    last = max(state.ledger(venue).sampled_at or 0, state.stage_since, state.started_at)
    interval = now - last
    equity = equity_eur(state.ledger(venue), policy, market.quotes)
    # The first known equity of an account is its baseline for the day, at once; no loss can be judged before it.
    first_value = equity is not None and state.ledger(venue).day_start_eur is None
    if interval < SAMPLE_EVERY_MS and not first_value:
        return
    worst = exposure(state, policy, venue, market.quotes, market.rules, now)
    why = _uncovered(state, policy, venue, market, given.bot_seen_at, now)
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
            uncovered_because=why,
            clock_offset_ms=given.clock_offset_ms.get(venue),
        )
    )


def _uncovered(state: State, policy: Policy, venue: VenueName, market: Market, bot_seen_at: Millis | None, now: Millis) -> str:
    limit = policy.limits.quote_max_age_ms
    for symbol in policy.symbols:
        quote = market.quotes.get(symbol)
        if quote is None:
            return f"no trustworthy book for {symbol}"
        if now - quote.received_at > limit:
            return f"the quote for {symbol} is {now - quote.received_at} ms old"
    if not state.armed:
        return state.not_armed_because or "not armed"
    if not state.ledger(venue).clean:
        return "reconciliation is not clean"
    if bot_seen_at is None or now - bot_seen_at > BOT_SILENT_MS:
        return "the bot is not connected"
    return ""


def _watch(draft: Draft, policy: Policy, venue: VenueName, market: Market | None, given: Tick) -> None:
    state = draft.after
    readings = _readings(state, policy, venue, market, given, draft.now)
    breaches = watch(readings, policy, stage=state.position.stage, step=state.position.step, now=draft.now)
    worst = breaches[0] if breaches else None
    # Flattening by itself is not covered: whatever asks for it halts.
    if worst is not None and worst.level >= Level.FLATTEN:
        moves.breach(draft, venue, worst)
        return
    _stand(draft, venue, worst)


def _stand(draft: Draft, venue: VenueName, worst: Breach | None) -> None:
    level = worst.level.name if worst else ""
    if level == draft.after.guard_level:
        return
    draft.emit(e.GuardLevelChanged(level=level, reason=worst.message if worst else ""))
    if worst is not None and worst.level >= Level.CANCEL_ALL:
        draft.do(CancelAll(venue, moves.symbols(draft), because=worst.message))


def _readings(state: State, policy: Policy, venue: VenueName, market: Market | None, given: Tick, now: Millis) -> Readings:
    ledger = state.ledger(venue)
    equity = equity_eur(ledger, policy, market.quotes) if market else None
    offset = given.clock_offset_ms.get(venue)
    since = Millis(max(state.stage_since, state.started_at))
    measured = Reading(equity, now) if equity is not None else None
    if measured is None and ledger.valued_eur is not None and ledger.valued_at is not None and ledger.valued_at >= since:
        measured = Reading(ledger.valued_eur, ledger.valued_at)
    compared_at = ledger.reconciled_at if ledger.reconciled_at is not None or not ledger.breaks else now
    horizon = now - policy.guards.reject_rate.window_ms
    recent = [accepted for when, accepted in state.outcomes if when > horizon]
    unknown = [now - order.unknown_since for order in state.open.values() if order.unknown_since is not None]
    return Readings(
        since=since,
        equity_eur=measured,
        day_start_equity_eur=Reading(ledger.day_start_eur, now) if ledger.day_start_eur is not None else measured,
        peak_equity_eur=Reading(ledger.peak_eur, now) if ledger.peak_eur is not None else measured,
        quote_age_ms=_quote_age(market.seen_at if market else {}, policy, now),
        reconciliation_breaks=Reading(len(ledger.breaks), compared_at) if compared_at is not None else None,
        placements=Reading(Placements(len(recent), recent.count(False)), now),
        oldest_unknown_ms=Reading(max(unknown, default=0), now),
        clock_offset_ms=Reading(offset, now) if offset is not None else None,
    )


def _quote_age(seen_at: Mapping[str, Millis], policy: Policy, now: Millis) -> Reading[int] | None:
    if any(symbol not in seen_at for symbol in policy.symbols):
        return None
    return Reading(max(max(0, now - seen_at[symbol]) for symbol in policy.symbols), now)
