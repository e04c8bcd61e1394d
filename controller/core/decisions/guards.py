"""The always-on guards: what they read, what stands, and what each response does (``policies.response``).

A soft breach costs one rung, once an episode (ADR 15). Whether it is still the same episode is read from the journal, never from a
timer, so a restart in the middle changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from controller.authority.command import Command
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import drills, moves
from controller.core.decisions.account import equity_eur
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, CancelAll
from controller.core.inputs import Market, Tick
from controller.core.lifecycle import Position
from controller.core.state import State, venue_of
from exchange.errors import Refused
from exchange.model import Millis, Quote, SymbolRules
from exchange.ports import VenueName
from policies.authority import Verb
from policies.guards import Breach, GuardMeasurements, Level, Placements, Reading, watch
from policies.response import (
    DAY_MS,
    HARD,
    RESPONSES,
    SOFT,
    SOFT_MEMORY_MS,
    Response,
    passes_when,
    rung_below,
    same_episode,
)
from policies.schema import Policy
from policies.stage import Stage

LIVE, VALIDATED = Position(Stage.LIVE_EUR10), Position(Stage.VALIDATED)


def watched(draft: Draft, policy: Policy, venue: VenueName, market: Market | None, given: Tick) -> None:
    """Judge every guard now and do what the table says.

    HALTED is watched as the stage a resume could lead to; there a breach is only recorded, and refuses the resume.
    """
    state = draft.after
    here = state.position
    as_if = here if here.stage is not Stage.HALTED else LIVE if venue is VenueName.LIVE else VALIDATED
    breaches = watch(_readings(state, policy, venue, market, given, draft.now), policy, as_if.stage, as_if.step, draft.now)
    worst = breaches[0] if breaches else None
    response = RESPONSES[here.stage][worst.level] if worst is not None else None
    # A practised halt that a breach interrupts is a real one, and takes with it what the breach would have taken.
    if worst is not None and (response in HARD or (response in SOFT and state.drill is not None)):
        moves.breach(draft, venue, worst)
        return
    if worst is not None and state.drill is not None:
        drills.broken(draft, worst)
        return
    begins = response in SOFT and _another(state, draft.now)
    _stand(draft, venue, worst)
    if worst is not None and begins:
        _soften(draft, venue, worst)
    _step_down(draft, policy, market)


def _stand(draft: Draft, venue: VenueName, worst: Breach | None) -> None:
    state = draft.after
    level = worst.level.name if worst else ""
    guard = worst.guard if worst else None
    calms = state.episode is not None and state.episode.calm_since is None and (worst is None or worst.level < Level.CANCEL_ALL)
    if (level, guard) == (state.guard_level, state.guard) and not calms:
        return
    rises = level != state.guard_level
    draft.emit(e.GuardLevelChanged(level=level, reason=worst.message if worst else "", guard=guard.value if guard else ""))
    if worst is not None and worst.level >= Level.CANCEL_ALL and rises and state.position.stage is not Stage.HALTED:
        draft.do(CancelAll(venue, moves.symbols(draft), because=worst.message))


# Soft breaches


def _another(state: State, now: Millis) -> bool:
    """Whether a soft breach now is not the last one still, and that one's rung has been taken."""
    episode = state.episode
    return episode is None or not (episode.owed or same_episode(episode.since, episode.calm_since, now))


def _soften(draft: Draft, venue: VenueName, worst: Breach) -> None:
    draft.emit(moves.detected(venue, worst))
    target = _rung_below(draft)
    how = "" if _at_once(draft.after) else " once the live account is empty"
    draft.do(Alert(AlertKind.BREACH, f"{worst.guard} breached: {draft.after.position} → {target}{how}", worst.message))


def _step_down(draft: Draft, policy: Policy, market: Market | None) -> None:
    """Take the rung that is owed. What is held at the live venue is left only when nothing is held there."""
    state = draft.after
    if state.episode is None or not state.episode.owed or state.position.stage is Stage.HALTED:
        return
    if _at_once(state) or (market is not None and empty(state, policy, VenueName.LIVE, market.quotes, market.rules)):
        moves.go(draft, Verb.DEMOTE, _rung_below(draft), cause=Cause.SOFT_BREACH, reason=state.episode.reason)


def _at_once(state: State) -> bool:
    return RESPONSES[state.position.stage][Level.CANCEL_ALL] is not Response.LEAVE_EMPTY


def _rung_below(draft: Draft) -> Position:
    here = draft.after.position
    again = any(draft.now - at < SOFT_MEMORY_MS for at in draft.after.softened)
    stage, step = rung_below(here.stage, here.step, again=again)
    return Position(stage, step)


def empty(state: State, policy: Policy, venue: VenueName, quotes: Mapping[str, Quote], rules: Mapping[str, SymbolRules]) -> bool:
    """Nothing is left at a venue that needs watching: no order unsettled, no holding large enough to be sold.

    A holding without a price or rules counts as large.
    """
    ledger = state.ledger(venue)
    if ledger.totals is None or not ledger.clean or state.open_on(venue):
        return False
    for symbol in policy.symbols:
        held = ledger.totals.get(symbol.removesuffix(policy.eur_rate.asset), Decimal(0))
        if held and (symbol not in quotes or symbol not in rules or held * quotes[symbol].bid >= rules[symbol].min_notional):
            return False
    return True


# A step up


def check_rise(state: State, command: Command) -> None:
    """Whoever proposed a step up before a soft breach has not answered for it: while its rung is owed, that step is not taken.

    Raises:
        Refused: ``rung-owed``.
    """
    if command.verb not in {Verb.ADVANCE, Verb.RAMP} or state.episode is None or not state.episode.owed:
        return
    if command.not_before_ms <= state.episode.since:
        raise Refused(
            f"the deployment is leaving {state.position} after a breach: {state.episode.reason}",
            code="rung-owed",
            remedy="Let it sell what it holds and step down, or look at the breach and propose the step again.",
        )


# A resume


def check_resume(state: State, policy: Policy, target: Position, now: Millis) -> None:
    """Refuse a resume that a guard would undo at once, and say which one and when it passes.

    Raises:
        Refused: ``guard-stands``.
    """
    venue = venue_of(target.stage)
    if venue is None:
        return
    row = RESPONSES[Stage.HALTED]
    found = [(one.guard, one.message) for one in _remembered(state, policy, venue, target, now) if row[one.level] is Response.BAR]
    if venue is state.watched and state.guard is not None and row[Level[state.guard_level]] is Response.BAR:
        found.append((state.guard, state.guard_reason))
    if found:
        guard, message = found[0]
        raise Refused(
            f"guard {guard} still stands and would stop the deployment again at once: {message}",
            code="guard-stands",
            remedy=passes_when(guard, now),
        )


def _remembered(state: State, policy: Policy, venue: VenueName, target: Position, now: Millis) -> tuple[Breach, ...]:
    # What the last samples say of an account that may not be the one watched now. The peak starts anew, as after every halt.
    ledger = state.ledger(venue)
    equity = Reading(ledger.valued_eur, now) if ledger.valued_eur is not None else None
    today = ledger.day == now // DAY_MS and ledger.day_start_eur is not None
    readings = GuardMeasurements(
        since=now,
        equity_eur=equity,
        day_start_equity_eur=Reading(ledger.day_start_eur, now) if today and ledger.day_start_eur is not None else equity,
        peak_equity_eur=equity,
        reconciliation_breaks=Reading(len(ledger.breaks), now),
        oldest_unknown_ms=_oldest_unknown(state, now),
    )
    return watch(readings, policy, target.stage, target.step, now)


# What the guards look at


def _readings(state: State, policy: Policy, venue: VenueName, market: Market | None, given: Tick, now: Millis) -> GuardMeasurements:
    ledger = state.ledger(venue)
    equity = equity_eur(ledger, policy, market.quotes) if market else None
    offset = given.clock_offset_ms.get(venue)
    since = Millis(max(state.stage_since, state.started_at))
    measured = Reading(equity, now) if equity is not None else None
    if measured is None and ledger.valued_eur is not None and ledger.valued_at is not None and ledger.valued_at >= since:
        measured = Reading(ledger.valued_eur, ledger.valued_at)
    # Whoever ends a halt answers for the fall that led to it, so it does not stand against the resume.
    peak = ledger.peak_eur if state.position.stage is not Stage.HALTED else None
    compared_at = ledger.reconciled_at if ledger.reconciled_at is not None or not ledger.breaks else now
    horizon = now - policy.guards.reject_rate.window_ms
    recent = [accepted for when, accepted in state.outcomes if when > horizon]
    return GuardMeasurements(
        since=since,
        equity_eur=measured,
        day_start_equity_eur=Reading(ledger.day_start_eur, now) if ledger.day_start_eur is not None else measured,
        peak_equity_eur=Reading(peak, now) if peak is not None else measured,
        quote_age_ms=_quote_age(market.seen_at if market else {}, policy, now),
        reconciliation_breaks=Reading(len(ledger.breaks), compared_at) if compared_at is not None else None,
        placements=Reading(Placements(len(recent), recent.count(False)), now),
        oldest_unknown_ms=_oldest_unknown(state, now),
        clock_offset_ms=Reading(offset, now) if offset is not None else None,
    )


def _oldest_unknown(state: State, now: Millis) -> Reading[int]:
    ages = [now - order.unknown_since for order in state.open.values() if order.unknown_since is not None]
    return Reading(max(ages, default=0), now)


def _quote_age(seen_at: Mapping[str, Millis], policy: Policy, now: Millis) -> Reading[int] | None:
    if any(symbol not in seen_at for symbol in policy.symbols):
        return None
    return Reading(max(max(0, now - seen_at[symbol]) for symbol in policy.symbols), now)
