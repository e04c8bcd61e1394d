"""Decisions about the always-on guards: measure, judge, respond (``policies.response``). Called by ``ticks`` and ``commands``.

While a guard does not see what it judges by, time does not count as covered. Without real money that cancels and never demotes, and
halts only where the policy says when (ADR 39).

A soft breach demotes the deployment by one step or stage, once per breach window (ADR 15). The breach window is part of the folded
state, not a timer, so a restart does not change it.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.authority.command import Command
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import alerts, attestation, drills, flatten, moves
from controller.core.decisions.account import bought, equity_eur
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, CancelAll
from controller.core.inputs import Market, Tick
from controller.core.lifecycle import Position
from controller.core.state import Ledger, State, venue_of
from exchange.errors import Refused
from exchange.model import Millis, Quote, SymbolRules
from exchange.ports import VenueName
from policies.authority import MOVES_UP, Verb
from policies.guards import Breach, GuardMeasurements, GuardName, Level, Measured, Placements, breached_guards, reducing_after
from policies.response import (
    DAY_MS,
    DEMOTION_MEMORY_MS,
    HARD,
    RESPONSES,
    SOFT,
    Response,
    demotion_target,
    in_same_breach_window,
    passes_when,
    response_to,
)
from policies.schema import Policy
from policies.stage import WITHOUT_REAL_MONEY, Stage

LIVE, VALIDATED = Position(Stage.LIVE_EUR10), Position(Stage.VALIDATED)


def judge_guards(draft: Draft, policy: Policy, venue: VenueName, market: Market | None, tick: Tick) -> None:
    """Judge every guard and respond as the table says.

    While HALTED the guards are judged as for the stage a resume could lead to. A breach is then only recorded, and it refuses the
    resume.
    """
    state = draft.after
    here = state.position
    as_if = judged_as(state, venue)
    breaches = breached_guards(
        guard_measurements(state, policy, venue, market, tick, draft.now), policy, as_if.stage, as_if.step, draft.now
    )
    # What a drill practises is recorded like any other restriction; everything else is judged without it.
    drill = drills.breaking(state)
    judged = breaches if drill is None else drills.unexpected(drill, breaches, armed=state.armed)
    worst = judged[0] if judged else None
    response = response_to(here.stage, worst.level, unseen=worst.unseen_ms is not None) if worst is not None else None
    # A breach during a drill makes it a real halt; a breach that would also demote or void the validation is handled as a breach.
    if worst is not None and (response in HARD or (response in SOFT and drill is not None)):
        moves.breach(draft, venue, worst)
        if worst.level is Level.FLATTEN:
            flatten.start_after(draft, policy, venue, worst)
        return
    if worst is not None and drill is not None:
        drills.breached(draft, worst)
        return
    worst = breaches[0] if breaches else None
    opens_window = response in SOFT and _opens_breach_window(state, draft.now)
    _record_level(draft, venue, breaches, reducing_after(breaches, frozenset(state.reducing)))
    if worst is not None and opens_window:
        _record_soft_breach(draft, venue, worst)
    _demote_if_pending(draft, policy, market)


def judged_as(state: State, venue: VenueName) -> Position:
    """The position whose limits the guards judge by: while HALTED the one that a resume could lead to."""
    here = state.position
    return here if here.stage is not Stage.HALTED else LIVE if venue is VenueName.LIVE else VALIDATED


def _record_level(draft: Draft, venue: VenueName, breaches: tuple[Breach, ...], reducing: frozenset[GuardName]) -> None:
    state, worst = draft.after, breaches[0] if breaches else None
    unseen = tuple(sorted(breach.guard for breach in breaches if breach.unseen_ms is not None))
    level = worst.level.name if worst else ""
    guard = worst.guard if worst else None
    window = state.breach_window
    becomes_calm = window is not None and window.calm_since is None and (worst is None or worst.level < Level.CANCEL_ALL)
    same = (level, guard, reducing, unseen) == (state.guard_level, state.guard, frozenset(state.reducing), state.unseen)
    if same and not becomes_calm:
        return
    level_changes = level != state.guard_level
    draft.emit(
        e.GuardLevelChanged(
            level=level,
            reason=worst.message if worst else "",
            guard=guard.value if guard else "",
            reducing=tuple(sorted(reducing)),
            unseen=unseen,
        )
    )
    _announce_pause(draft, venue, state, worst)
    _announce_impostor(draft, state, breaches)
    if worst is not None and worst.level >= Level.CANCEL_ALL and level_changes and state.position.stage is not Stage.HALTED:
        draft.do(CancelAll(venue, moves.symbols(draft), because=worst.message))


def _announce_pause(draft: Draft, venue: VenueName, before: State, worst: Breach | None) -> None:
    """Tell people once when blindness cancels without real money, and once when it is over."""
    here, was = draft.after.position.stage, before.guard_level
    if here not in WITHOUT_REAL_MONEY:
        return
    paused = bool(was) and Level[was] is Level.CANCEL_ALL and bool(before.unseen)
    pauses = worst is not None and worst.level is Level.CANCEL_ALL and worst.unseen_ms is not None
    if worst is not None and pauses and not paused:
        draft.do(Alert(AlertKind.PAUSED, f"{venue} is not seen: orders are cancelled, coverage is paused", worst.message))
    elif paused and not pauses:
        gap = draft.after.tally.gap_ms if draft.after.tally is not None else 0
        draft.do(Alert(AlertKind.PAUSED, f"{venue} is seen again", f"the open gap in the coverage is {gap} ms"))


def _announce_impostor(draft: Draft, before: State, breaches: tuple[Breach, ...]) -> None:
    """Tell people once when somebody else answers as the testnet; the alert stays until a person acknowledges it."""
    found = next((one for one in breaches if one.guard is GuardName.TESTNET_IDENTITY and one.unseen_ms is not None), None)
    if found is None or GuardName.TESTNET_IDENTITY in before.unseen:
        return
    title = "another testnet answers at the testnet's address"
    alerts.raise_once(draft, AlertKind.ATTESTATION, title, found.message)
    draft.do(Alert(AlertKind.ATTESTATION, title, found.message))


# Soft breaches


def _opens_breach_window(state: State, now: Millis) -> bool:
    """Whether a soft breach now opens a new breach window: the last one is over, and its demotion has happened."""
    window = state.breach_window
    return window is None or not (window.demotion_pending or in_same_breach_window(window.since, window.calm_since, now))


def _record_soft_breach(draft: Draft, venue: VenueName, worst: Breach) -> None:
    draft.emit(moves.detected(venue, worst))
    target = _demotion_target(draft)
    how = "" if _demotes_at_once(draft.after) else " once the live account is empty"
    draft.do(Alert(AlertKind.BREACH, f"{worst.guard} breached: {draft.after.position} → {target}{how}", worst.message))


def _demote_if_pending(draft: Draft, policy: Policy, market: Market | None) -> None:
    """Make the pending demotion. LIVE_€10 is left only when the live account is empty."""
    state = draft.after
    window = state.pending_demotion
    if window is None or state.position.stage is Stage.HALTED:
        return
    if _demotes_at_once(state) or (market is not None and is_empty(state, policy, VenueName.LIVE, market.quotes, market.rules)):
        moves.go(draft, Verb.DEMOTE, _demotion_target(draft), cause=Cause.SOFT_BREACH, reason=window.reason)


def _demotes_at_once(state: State) -> bool:
    return RESPONSES[state.position.stage][Level.CANCEL_ALL] is not Response.LEAVE_EMPTY


def _demotion_target(draft: Draft) -> Position:
    here = draft.after.position
    again = bool(draft.after.revoked) or any(draft.now - at < DEMOTION_MEMORY_MS for at in draft.after.demoted_at)
    stage, step = demotion_target(here.stage, here.step, again=again)
    return Position(stage, step)


def is_empty(state: State, policy: Policy, venue: VenueName, quotes: Mapping[str, Quote], rules: Mapping[str, SymbolRules]) -> bool:
    """Whether a venue account needs no more guarding: every order is settled, and nothing that was bought is large enough to sell.

    A holding without a price or symbol rules counts as large enough.
    """
    ledger = state.ledger(venue)
    if ledger.totals is None or not ledger.clean or state.open_on(venue):
        return False
    for symbol in policy.symbols:
        held = bought(state, policy, venue, symbol)
        if held and (symbol not in quotes or symbol not in rules or held * quotes[symbol].bid >= rules[symbol].min_notional):
            return False
    return True


# A move up


def check_validation(state: State, verb: Verb) -> None:
    """Refuse every move up of a validation that is revoked (``controller.core.decisions.shadow``). No signature lifts it.

    Raises:
        Refused: ``validation-revoked``.
    """
    if state.revoked and verb in MOVES_UP:
        raise Refused(
            f"the validation is revoked: {state.revoked}",
            code="validation-revoked",
            remedy="The deployment steps down to TESTNET_VALIDATING by itself; validate again from there.",
        )


def check_move_up(state: State, command: Command) -> None:
    """Refuse a move up that was proposed before a soft breach, while the demotion of that breach is pending.

    Raises:
        Refused: ``demotion-pending``.
    """
    window = state.pending_demotion
    if command.verb not in {Verb.ADVANCE, Verb.RAMP} or window is None:
        return
    if command.not_before_ms <= window.since:
        raise Refused(
            f"the deployment is leaving {state.position} after a breach: {window.reason}",
            code="demotion-pending",
            remedy="Wait until the deployment is demoted, or review the breach and propose the command again.",
        )


# A resume


def check_resume(state: State, policy: Policy, target: Position, now: Millis) -> None:
    """Refuse a resume that a guard would stop again at once; the error says which guard and when it passes.

    Raises:
        Refused: ``guard-stands``.
    """
    venue = venue_of(target.stage)
    if venue is None:
        return
    row = RESPONSES[Stage.HALTED]
    breaches = _breaches_of_last_samples(state, policy, venue, target, now)
    found = [(one.guard, one.message) for one in breaches if row[one.level] is Response.BAR]
    if venue is state.watched and state.guard is not None and row[Level[state.guard_level]] is Response.BAR:
        found.append((state.guard, state.guard_reason))
    if found:
        guard, message = found[0]
        raise Refused(
            f"guard {guard} is still breached and would stop the deployment again at once: {message}",
            code="guard-stands",
            remedy=passes_when(guard, now),
        )


def _breaches_of_last_samples(state: State, policy: Policy, venue: VenueName, target: Position, now: Millis) -> tuple[Breach, ...]:
    # Judges the last samples of the target's account, which may not be sampled now. The peak starts anew, as after every halt.
    ledger = state.ledger(venue)
    equity = Measured(ledger.valued_eur, now) if ledger.valued_eur is not None else None
    today = ledger.day == now // DAY_MS and ledger.day_start_eur is not None
    measurements = GuardMeasurements(
        since=now,
        equity_eur=equity,
        day_start_equity_eur=Measured(ledger.day_start_eur, now) if today and ledger.day_start_eur is not None else equity,
        peak_equity_eur=equity,
        reconciliation_breaks=Measured(len(ledger.breaks), now),
        oldest_unknown_ms=_oldest_unknown(state, now),
    )
    return breached_guards(measurements, policy, target.stage, target.step, now)


# Measurements


def guard_measurements(
    state: State, policy: Policy, venue: VenueName, market: Market | None, tick: Tick, now: Millis
) -> GuardMeasurements:
    """Everything the guards of a venue are judged by at ``now``. The operators' port shows it too."""
    ledger = state.ledger(venue)
    equity = equity_eur(ledger, policy, market.quotes, state.rates) if market else None
    offset = tick.clock_offset_ms.get(venue)
    since = Millis(max(state.stage_since, state.started_at))
    measured = Measured(equity, now) if equity is not None else None
    if measured is None and ledger.valued_eur is not None and ledger.valued_at is not None and ledger.valued_at >= since:
        measured = Measured(ledger.valued_eur, ledger.valued_at)
    # The persons who sign a resume accept the drawdown so far, so it does not refuse the resume.
    peak = ledger.peak_eur if state.position.stage is not Stage.HALTED else None
    compared_at = ledger.reconciled_at if ledger.reconciled_at is not None or not ledger.breaks else now
    horizon = now - policy.guards.reject_rate.window_ms
    recent = [accepted for when, accepted in state.outcomes if when > horizon]
    judged = attestation.judge(state, policy, tick, now) if venue in attestation.SIMULATED else None
    return GuardMeasurements(
        since=since,
        equity_eur=measured,
        day_start_equity_eur=Measured(ledger.day_start_eur, now) if ledger.day_start_eur is not None else measured,
        peak_equity_eur=Measured(peak, now) if peak is not None else measured,
        quote_age_ms=_quote_age(market.seen_at if market else {}, policy, now),
        reconciliation_breaks=Measured(len(ledger.breaks), compared_at) if compared_at is not None else None,
        placements=Measured(Placements(len(recent), recent.count(False)), now),
        oldest_unknown_ms=_oldest_unknown(state, now),
        clock_offset_ms=Measured(offset, now) if offset is not None else None,
        clock_uncertainty_ms=tick.clock_uncertainty_ms.get(venue, 0),
        clock_good=tick.clock_good.get(venue),
        clock_since=Millis(max(state.watched_since, state.started_at)),
        reducing=frozenset(state.reducing),
        unknown_seen_ms=_longest_unknown_seen(state, now),
        unreconciled_seen_ms=_answered(ledger, Millis(max(since, ledger.baselined_at, ledger.reconciled_at or since))),
        compared_since=ledger.baselined_at,
        gap_ms=state.tally.gap_ms + max(0, now - state.tally.last_at) if state.tally is not None else None,
        impostor=judged.impostor if judged is not None else "",
        denied=judged.contradiction if judged is not None else "",
    )


def _oldest_unknown(state: State, now: Millis) -> Measured[int]:
    ages = [now - order.unknown_since for order in state.open.values() if order.unknown_since is not None]
    return Measured(max(ages, default=0), now)


def _longest_unknown_seen(state: State, now: Millis) -> int:
    """The longest time that an outcome has been unknown while its venue answered. The live venue counts as answering always."""
    unknown = [(order.venue, order.unknown_since) for order in state.open.values() if order.unknown_since is not None]
    live = [now - since for venue, since in unknown if venue is VenueName.LIVE]
    return max((*live, *(_answered(state.ledger(venue), since) for venue, since in unknown)), default=0)


def _answered(ledger: Ledger, since: Millis) -> int:
    """How long a venue has answered since then without a break, up to the last reading of its account."""
    return 0 if ledger.read_at is None else max(0, ledger.read_at - max(since, ledger.read_since))


def _quote_age(seen_at: Mapping[str, Millis], policy: Policy, now: Millis) -> Measured[int] | None:
    if any(symbol not in seen_at for symbol in policy.symbols):
        return None
    return Measured(max(max(0, now - seen_at[symbol]) for symbol in policy.symbols), now)
