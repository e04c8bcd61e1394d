"""The state as a fold of the journal: ``apply(state, event, at)``, one function per kind of event, no decisions and no I/O.

Called by every draft of a decision, and by recovery, replay and the auditor, which rebuild a state from journal entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from immutables import Map

from controller.authority.roster import parse_roster_json
from controller.core import events as e
from controller.core.compact_map import CompactMap
from controller.core.fold import (
    alerts,
    bot_keys,
    budget,
    closed_symbols,
    drills,
    flatten,
    guards,
    integrity,
    lost_runs,
    orders,
    rates,
    shadow,
    signals,
    steps,
    streams,
)
from controller.core.fold.positions import at_risk
from controller.core.inputs import Release
from controller.core.lifecycle import Position
from controller.core.order_state import OrderState
from controller.core.our_books import OurBooks
from controller.core.state import HaltFigures, Ledger, Measured, Pending, Proposal, Seal, SignedAuthority, State
from exchange.model import DataSource, Millis, OrderStatus
from exchange.ports import VenueName
from exchange.wire.errors import ErrorCode
from gates.computed import Statistic
from gates.measure import Tally
from policies import canonical
from policies.authority import CHANGES_ROSTER, KEEPS_PENDING, MOVES_UP
from policies.document import parse_journalled
from policies.drills import DrillKind
from policies.eur import lowest
from policies.guards import ClockOffset
from policies.ramp import cap_eur
from policies.stage import Stage
from policies.values import replace

DAY_MS = 24 * 3600 * 1000
MOCK = Position(Stage.MOCK)


def apply(state: State, event: e.Event, at: Millis) -> State:
    """Return the state after one more journal entry. ``at`` is the entry's own time."""
    before = replace(state, seq=state.seq + 1, at=at)
    return lost_runs.noted(before, _APPLY[type(event)](before, event), event)


# Governance


def _governed(state: State, **changes: Any) -> State:
    return replace(state, governance_seq=state.seq, **changes)


def _created(state: State, event: e.DeploymentCreated) -> State:
    entry = canonical.encode({"at": state.at, "kind": event.kind, "body": event.model_dump(mode="json")})
    return _governed(
        state,
        genesis=canonical.digest(entry).removeprefix("sha256:"),
        controller_id=event.controller_id,
        environment=event.environment,
        gatehouse_version=event.gatehouse_version,
        stage_since=state.at,
        watched_since=state.at,
    )


def _void_evidence(state: State, changed: str) -> State:
    return drills.void(replace(guards.void(state, changed), seals=Map()))


def _policy(state: State, event: e.PolicyAdopted) -> State:
    policy = parse_journalled(event.document.encode())
    # What was attested under one key says nothing about another.
    testnet = replace(state.ledger(VenueName.TESTNET), statement_at=None)
    state = replace(state, ledgers=state.ledgers.set(VenueName.TESTNET, testnet))
    state = rates.policy_adopted(state, state.policy, policy)
    state = _void_evidence(_governed(state, policy=policy, policy_digest=event.digest), "policy")
    policy_file = state.policy_file if event.command_id else event.digest
    state = replace(state, tally=_new_tally(state, state.position), policy_file=policy_file, policy_approved="")
    return _settled(state, "policy", event.digest)


def _policy_approved(state: State, event: e.PolicyApproved) -> State:
    return _governed(state, policy_approved=event.digest)


def _proposed(state: State, event: e.DocumentProposed) -> State:
    proposal = Proposal(event.digest, event.changes, state.at)
    state = replace(state, proposals=state.proposals.set(event.document, proposal))
    return _of_another_bot(state, event.document)


def _withdrawn(state: State, event: e.ProposalWithdrawn) -> State:
    state = replace(state, proposals=state.proposals.delete(event.document))
    return _of_another_bot(state, event.document)


def _of_another_bot(state: State, document: str) -> State:
    """Evidence is about one bot. While its release is in question, nothing that was measured counts."""
    if document != "release":
        return state
    return replace(_void_evidence(_governed(state), "release"), tally=_new_tally(state, state.position))


def _settled(state: State, document: str, digest: str) -> State:
    """Forget the proposal of a document that has come into force."""
    proposal = state.proposals.get(document)
    return state if proposal is None or proposal.digest != digest else replace(state, proposals=state.proposals.delete(document))


def _roster(state: State, event: e.RosterAdopted) -> State:
    roster = parse_roster_json(event.document.encode())
    rosters = state.rosters.set(event.digest, roster.version)
    return _governed(state, roster=roster, roster_digest=event.digest, rosters=rosters)


def _release(state: State, event: e.ReleaseAdopted) -> State:
    release = Release(event.name, event.version, event.artifact, event.digest)
    state = _void_evidence(_governed(state, release=release), "release")
    release_file = state.release_file if event.command_id else release
    state = replace(state, tally=_new_tally(state, state.position), release_file=release_file)
    return _settled(state, "release", event.digest)


def _account(state: State, event: e.AccountBound) -> State:
    ledgers = state.ledgers.set(event.venue, Ledger())
    return _void_evidence(_governed(state, accounts=state.accounts.set(event.venue, event.fingerprint), ledgers=ledgers), "account")


def _started(state: State, event: e.ControllerStarted) -> State:
    if event.gatehouse_version != state.gatehouse_version:
        state = _void_evidence(_governed(state, gatehouse_version=event.gatehouse_version), "version of gatehouse")
        state = replace(state, tally=_new_tally(state, state.position))
    state = integrity.restarted(streams.restarted(state))
    ledgers = {name: replace(ledger, reconciled_at=None, clean=False) for name, ledger in state.ledgers.items()}
    return replace(
        drills.restarted(guards.restarted(_end_mock(state))),
        epoch=event.epoch,
        witnesses=event.witnesses,
        started_at=state.at,
        armed=False,
        not_armed_because="the venues are not reconciled yet",
        ledgers=Map({**ledgers, VenueName.MOCK: Ledger()}),
    )


def _end_mock(state: State) -> State:
    for order in state.open_on(VenueName.MOCK):
        state = orders.put(state, _over(order, OrderStatus.CANCELED))
    return state


def _end_forgotten(state: State, client_ids: Iterable[str]) -> State:
    for order in (state.orders[client_id] for client_id in client_ids):
        # As of an order that is proven absent: if the venue shows it after all, that is a contradiction, and halts.
        over = _over(order, OrderStatus.CANCELED if order.booked else OrderStatus.REJECTED)
        if not order.booked:
            over = replace(over, reject_code=ErrorCode.NO_SUCH_ORDER, reject_message="the venue began anew and does not know it")
        state = orders.put(state, over)
    return state


def _over(order: OrderState, status: OrderStatus) -> OrderState:
    """An order whose venue has forgotten it, with what is booked of it."""
    return replace(order, status=status, executed=order.booked, unknown_since=None, unknown_reason="")


def _armed(state: State, _: e.Armed) -> State:
    return replace(state, armed=True, not_armed_because="")


def _disarmed(state: State, event: e.Disarmed) -> State:
    return replace(state, armed=False, not_armed_because=event.reason)


def _command_accepted(state: State, event: e.CommandAccepted) -> State:
    was_pending = state.pending is not None and state.pending.command_id == event.command_id
    pending = None if was_pending else state.pending
    commands = state.commands.set(event.command_id, "accepted")
    accepted = replace(state, commands=commands, pending=pending, authority=_authority(state.authority, event))
    return accepted if event.verb in KEEPS_PENDING else _governed(accepted)


def _authority(authority: SignedAuthority, event: e.CommandAccepted) -> SignedAuthority:
    if event.verb in MOVES_UP:
        return SignedAuthority((*authority.before, *authority.after), event.envelope)
    if event.verb in CHANGES_ROSTER:
        return replace(authority, after=(*authority.after, event.envelope))
    return authority


def _command_pending(state: State, event: e.CommandPending) -> State:
    # A waiting command moves nothing yet, so commands that others signed stay valid: a halt, a demotion, a revocation.
    pending = Pending(
        command_id=event.command_id,
        verb=event.verb,
        target=Position(event.target_stage, event.target_step),
        payload_digest=event.payload_digest,
        persons=event.persons,
        envelope=event.envelope,
        reason=event.reason,
        since=state.at,
        applies_at=Millis(event.applies_at),
    )
    return replace(state, commands=state.commands.set(event.command_id, "pending"), pending=pending)


def _command_voided(state: State, event: e.CommandVoided) -> State:
    return _governed(state, commands=state.commands.set(event.command_id, "voided"), pending=None)


def _command_refused(state: State, event: e.CommandRefused) -> State:
    if not event.command_id or event.command_id in state.commands:
        return state
    return replace(state, commands=state.commands.set(event.command_id, event.code))


def _sealed(state: State, event: e.EvidenceSealed) -> State:
    seal = Seal(event.gate, event.evidence, Millis(event.expires_at))
    if event.look and state.tally is not None:
        state = replace(state, tally=state.tally.with_look())
    unexpired = {digest: other for digest, other in state.seals.items() if other.expires_at > state.at}
    return replace(state, seals=Map({**unexpired, event.digest: seal}))


def _new_tally(state: State, here: Position) -> Tally | None:
    # A run starts as LIVE and not accelerated; a sample from a weaker source lowers that.
    cap = cap_eur(state.policy, here.stage, here.step) if state.policy else None
    if state.policy is None or cap is None:
        return None
    rate = lowest(state.policy.eur_rate, state.rates)
    return Tally.begin(DataSource.LIVE, at=state.at, cap_eur=cap, accelerated=False, quote_per_eur=rate)


def _stage(state: State, event: e.StageChanged) -> State:
    here = Position(event.stage, event.step)
    before = Position(event.from_stage, event.from_step)
    halted = here.stage is Stage.HALTED
    state = guards.moved(alerts.moved(drills.ended_by_move(state, event), event), event)
    if before.stage is Stage.HALTED:
        # The persons who signed the resume accepted the drawdown so far; the next one is measured from here.
        state = replace(state, ledgers=Map({name: replace(ledger, peak_eur=None) for name, ledger in state.ledgers.items()}))
    watched = state.watched
    moved = _governed(
        state,
        position=here,
        halted_from=before if halted else None,
        halt_cause=event.cause if halted else None,
        halt_reason=event.reason if halted else "",
        halt_figures=None if halted else state.halt_figures,
        stage_since=state.at,
        tally=_new_tally(state, here),
        seals=Map(),
        outcomes=(),
    )
    if here.stage is Stage.TESTNET_VALIDATING and state.release is not None and state.release.digest not in state.variants:
        moved = replace(moved, variants=state.variants.set(state.release.digest, state.at))
    moved = shadow.moved(budget.budgeted(moved, event))
    return moved if moved.watched is watched else replace(moved, watched_since=moved.at)


# Guards


def _measured(state: State, event: e.HaltMeasured) -> State:
    figures = HaltFigures(
        event.cause, event.breach_to_latch_us, event.latch_to_cancelled_us, event.cancelled, verified_empty=event.verified_empty
    )
    return replace(state, halt_figures=figures)


# Reconciliation and measurement


def _baselined(state: State, event: e.BalancesBaselined) -> State:
    ledger = replace(
        state.ledgers[event.venue],
        totals=Map(event.totals),
        trades=CompactMap.of(event.known_trades),
        fills_booked=len(event.known_trades),
        cursor=Millis(event.cursor),
        recent=(),
        baselined_at=state.at,
        books=OurBooks(after=state.order_number),
        statement_at=None,
    )
    return replace(state, ledgers=state.ledgers.set(event.venue, ledger))


def _rebaselined(state: State, event: e.Rebaselined) -> State:
    # What was measured of the account before is no evidence about the account as it is now.
    state = steps.rebaselined(_end_forgotten(state, event.lost_orders), event)
    return replace(state, tally=_new_tally(state, state.position)) if event.venue is state.watched else state


def _account_checked(state: State, event: e.AccountChecked) -> State:
    tally = state.tally
    return state if tally is None else replace(state, tally=tally.with_account(event.checks, event.failures))


def _reconciled(state: State, event: e.Reconciled) -> State:
    ledger = state.ledgers[event.venue]
    at = _taken_at(state, event)
    agreed_at = at if event.clean else ledger.reconciled_at
    ledger = replace(
        ledger,
        reconciled_at=agreed_at,
        agreed_at=at if event.clean else ledger.agreed_at,
        clean=event.clean,
        breaks=event.breaks,
        suspected=event.suspected,
        gaps=tuple(Map(gap) for gap in event.gaps),
        pending=event.pending,
        read_at=at,
        read_since=_read_since(state, ledger, event, at),
    )
    state = alerts.reconciled(state, event)
    state = flatten.reconciled(replace(state, ledgers=state.ledgers.set(event.venue, ledger)), event)
    if event.venue is not state.watched or state.tally is None:
        return state
    return replace(state, tally=state.tally.with_reconciliation(len(event.breaks), event.count))


def _taken_at(state: State, event: e.Sampled | e.Reconciled) -> Millis:
    """When the newest measurement of an entry was made: with the entry, or before it if it was held back (ADR 42)."""
    return state.at if event.taken_at is None else Millis(event.taken_at)


def _read_since(state: State, ledger: Ledger, event: e.Reconciled, at: Millis) -> Millis:
    """Since when the account has been read without a break, with the reading now. Readings in one entry have no break (ADR 42)."""
    most = state.policy.guards.reconciliation.max_age_ms if state.policy is not None else 0
    unbroken = ledger.read_at is not None and (event.count > 1 or at - ledger.read_at <= most)
    return ledger.read_since if unbroken else at


def _certain_offset(state: State, event: e.Sampled) -> int | None:
    """The clock offset that is certain, or ``None`` when the sample cannot tell on which side of the limit it is."""
    if event.clock_offset_ms is None or state.policy is None:
        return None
    offset = ClockOffset(event.clock_offset_ms, event.clock_uncertainty_ms)
    return offset.least if offset.tells(state.policy.guards.clock_offset.halt_ms) else None


def _sampled(state: State, event: e.Sampled) -> State:
    ledger, at = state.ledgers[event.venue], _taken_at(state, event)
    ledger = replace(ledger, source=event.source, equity_eur=event.equity_eur, exposure_eur=event.exposure_eur, sampled_at=at)
    if event.equity_eur is not None:
        day = at // DAY_MS
        new_day = day != ledger.day or ledger.day_start_eur is None
        ledger = replace(
            ledger,
            valued_eur=event.equity_eur,
            valued_at=at,
            day=day,
            day_start_eur=event.equity_eur if new_day else ledger.day_start_eur,
            peak_eur=event.equity_eur if ledger.peak_eur is None else max(ledger.peak_eur, event.equity_eur),
        )
    clock = _certain_offset(state, event)
    if clock is not None:
        ledger = replace(ledger, clock_judged_at=at)
    if event.statement_at is not None:
        ledger = replace(ledger, statement_at=Millis(event.statement_at))
    state = replace(state, ledgers=state.ledgers.set(event.venue, ledger))
    if event.venue is not state.watched or state.tally is None:
        return state
    unknown = [order.unknown_since for order in state.open.values() if order.unknown_since is not None]
    tally = state.tally.with_source(event.source, accelerated=event.accelerated)
    # In a drill of the clock the offset is made up, so it is no measurement of the run.
    practised = state.drill is not None and state.drill.kind is DrillKind.CLOCK
    if clock is not None and not practised:
        tally = tally.with_clock(clock, event.count)
    uncovered = event.uncovered_reason or ("" if event.equity_eur is not None else "the account cannot be valued")
    held = at_risk(state, ledger)
    tally = tally.with_protection(event.unprotected, held=held, interval_ms=event.interval_ms, at=at, count=event.count)
    tally = tally.with_sample(
        event.equity_eur,
        covered=event.covered,
        attested=bool(event.attested),
        interval_ms=event.interval_ms,
        at=at,
        unknown_open=len(unknown),
        oldest_unknown_ms=max((at - since for since in unknown), default=0),
        count=event.count,
        mid=None if event.bid is None or event.ask is None else (event.bid + event.ask) / 2,
        why=uncovered,
    )
    return replace(state, tally=tally, uncovered=uncovered)


def _run_measured(state: State, event: e.RunMeasured) -> State:
    figures = tuple(Statistic(one.name, one.value, one.samples, one.detail) for one in event.figures)
    return replace(state, measured=Measured(Millis(event.run_started_at), Millis(event.as_of), figures, event.error))


_APPLY: dict[type[e.Event], Callable[[State, Any], State]] = {
    e.DeploymentCreated: _created,
    e.PolicyAdopted: _policy,
    e.PolicyApproved: _policy_approved,
    e.DocumentProposed: _proposed,
    e.ProposalWithdrawn: _withdrawn,
    e.RosterAdopted: _roster,
    e.ReleaseAdopted: _release,
    e.AccountBound: _account,
    e.ControllerStarted: _started,
    e.Armed: _armed,
    e.Disarmed: _disarmed,
    e.CommandAccepted: _command_accepted,
    e.CommandRefused: _command_refused,
    e.CommandPending: _command_pending,
    e.CommandVoided: _command_voided,
    e.EvidenceSealed: _sealed,
    e.StageChanged: _stage,
    e.BreachDetected: lambda state, event: guards.breached(alerts.breached(state, event), event),
    e.GuardLevelChanged: lambda state, event: drills.guard_level(guards.level(alerts.guard_level(state, event), event), event),
    e.HaltMeasured: _measured,
    e.OrderAdmitted: orders.admitted,
    e.OrderDenied: lambda state, event: drills.order_denied(orders.denied(state, event), event),
    e.OrdersDeniedAgain: orders.denied_again,
    e.OrderAcked: orders.acked,
    e.OrderRejected: orders.rejected,
    e.OrderUnknown: lambda state, event: drills.order_unknown(orders.unknown(state, event), event),
    e.LookupMissed: orders.missed,
    e.OrderReported: orders.reported,
    e.FillBooked: lambda state, event: flatten.filled(orders.filled(state, event), event),
    e.CancelRequested: orders.cancel_requested,
    e.FillRepeated: orders.repeated,
    e.CancelAccepted: lambda state, _: state,
    e.CancelRejected: lambda state, _: state,
    e.BalancesBaselined: _baselined,
    e.Rebaselined: _rebaselined,
    e.CapitalMoved: lambda state, event: alerts.capital_moved(steps.moved(state, event), event),
    e.Reconciled: _reconciled,
    e.AccountChecked: _account_checked,
    e.Sampled: _sampled,
    e.RunMeasured: _run_measured,
    e.SignalsReplayed: signals.replayed,
    e.SymbolClosed: closed_symbols.closed,
    e.SymbolReopened: closed_symbols.reopened,
    e.EurRateRead: rates.rate_read,
    e.EurRateSet: rates.rate_set,
    e.BotKeysAdopted: bot_keys.keys_adopted,
    e.BotKeyIssued: bot_keys.key_issued,
    e.BotKeyRevoked: bot_keys.key_revoked,
    e.AlertRaised: alerts.alert_raised,
    e.AlertAcknowledged: alerts.acknowledged,
    e.AlertCleared: alerts.alert_cleared,
    e.AlertEscalated: alerts.escalated,
    e.AlertHandedOver: alerts.handed_over,
    e.ArchiveApproved: lambda state, _: state,
    e.JournalArchived: lambda state, _: state,
    e.DrillStarted: drills.drill_started,
    e.DrillLatched: drills.drill_latched,
    e.DrillFinished: lambda state, event: alerts.drill_finished(drills.drill_finished(state, event), event),
    e.DrillFailed: lambda state, event: alerts.drill_failed(drills.drill_failed(state, event), event),
    e.FlattenStarted: flatten.started,
    e.FlattenSliced: flatten.sliced,
    e.FlattenWaits: flatten.waits,
    e.FlattenEnded: flatten.ended,
    e.WatchdogLogAbsorbed: lambda state, event: drills.watchdog_fired(
        replace(state, watchdog_seq=event.seq, watchdog_head=event.hash), event
    ),
    e.OrdersTested: shadow.tested,
    e.ShadowCompared: shadow.compared,
    e.ValidationRevoked: shadow.revoked,
    e.StreamsObserved: streams.observed,
    e.IntegrityObserved: integrity.observed,
}
