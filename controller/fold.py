"""State as a fold of the journal: ``apply(state, event, at)``, one function per event kind, no decisions and no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from immutables import Map

from controller import events as e
from controller.authority.roster import parse_roster_json
from controller.inputs import Release
from controller.lifecycle import Position
from controller.state import HaltFigures, Ledger, OrderState, Seal, State
from exchange.model import DataSource, Millis, OrderStatus, Side
from exchange.orders import advance
from exchange.ports import VenueName
from gates.measure import Tally
from policies.document import parse_canonical
from policies.ramp import cap_eur
from policies.stage import Stage

DAY_MS = 24 * 3600 * 1000
MOCK = Position(Stage.MOCK)


def apply(state: State, event: e.Event, at: Millis) -> State:
    """The state after one more journal entry. ``at`` is the entry's own time."""
    return replace(_APPLY[type(event)](replace(state, seq=state.seq + 1, at=at), event), at=at)


def fold(state: State, entries: Iterable[tuple[e.Event, Millis]]) -> State:
    """The state after many."""
    for event, at in entries:
        state = apply(state, event, at)
    return state


# Governance


def _governed(state: State, **changes: Any) -> State:
    return replace(state, governance_seq=state.seq, **changes)


def _created(state: State, event: e.DeploymentCreated) -> State:
    return _governed(state, controller_id=event.controller_id, environment=event.environment, stage_since=state.at)


def _void(state: State) -> State:
    # What was proven was proven of something else: a halted deployment can then only be reset.
    return replace(state, halted_from=MOCK if state.position.stage is Stage.HALTED else None, seals=Map())


def _policy(state: State, event: e.PolicyAdopted) -> State:
    state = _void(_governed(state, policy=parse_canonical(event.document.encode()), policy_digest=event.digest))
    return replace(state, tally=_begin(state, state.position))


def _roster(state: State, event: e.RosterAdopted) -> State:
    return _governed(state, roster=parse_roster_json(event.document.encode()), roster_digest=event.digest)


def _release(state: State, event: e.ReleaseAdopted) -> State:
    state = _void(_governed(state, release=Release(event.name, event.version, event.artifact, event.digest)))
    return replace(state, tally=_begin(state, state.position))


def _account(state: State, event: e.AccountBound) -> State:
    ledgers = state.ledgers.set(event.venue, Ledger())
    return _void(_governed(state, accounts=state.accounts.set(event.venue, event.fingerprint), ledgers=ledgers))


def _started(state: State, event: e.ControllerStarted) -> State:
    ledgers = {name: replace(ledger, reconciled_at=None, clean=False) for name, ledger in state.ledgers.items()}
    return replace(
        _end_mock(state),
        epoch=event.epoch,
        started_at=state.at,
        armed=False,
        not_armed_because="the venues are not reconciled yet",
        ledgers=Map({**ledgers, VenueName.MOCK: Ledger()}),
        guard_level="",
        guard_reason="",
    )


def _end_mock(state: State) -> State:
    for order in state.open_on(VenueName.MOCK):
        state = _put(state, replace(order, status=OrderStatus.CANCELED, executed=order.booked, unknown_since=None))
    return state


def _armed(state: State, _: e.Armed) -> State:
    return replace(state, armed=True, not_armed_because="")


def _disarmed(state: State, event: e.Disarmed) -> State:
    return replace(state, armed=False, not_armed_because=event.reason)


def _command_accepted(state: State, event: e.CommandAccepted) -> State:
    return _governed(state, commands=state.commands.set(event.command_id, "accepted"))


def _command_refused(state: State, event: e.CommandRefused) -> State:
    if not event.command_id or event.command_id in state.commands:
        return state
    return replace(state, commands=state.commands.set(event.command_id, event.code))


def _sealed(state: State, event: e.EvidenceSealed) -> State:
    seal = Seal(event.gate, event.evidence, Millis(event.expires_at))
    alive = {digest: other for digest, other in state.seals.items() if other.expires_at > state.at}
    return replace(state, seals=Map({**alive, event.digest: seal}))


def _begin(state: State, here: Position) -> Tally | None:
    # A run starts as trustworthy as can be; every sample can only lower that.
    cap = cap_eur(state.policy, here.stage, here.step) if state.policy else None
    return None if cap is None else Tally.begin(DataSource.LIVE, at=state.at, cap_eur=cap, accelerated=False)


def _stage(state: State, event: e.StageChanged) -> State:
    here = Position(event.stage, event.step)
    before = Position(event.from_stage, event.from_step)
    halted = here.stage is Stage.HALTED
    return _governed(
        state,
        position=here,
        halted_from=before if halted else None,
        halt_cause=event.cause if halted else "",
        halt_reason=event.reason if halted else "",
        halted_at=state.at if halted else None,
        halt_figures=None if halted else state.halt_figures,
        stage_since=state.at,
        tally=_begin(state, here),
        seals=Map(),
        guard_level="",
        guard_reason="",
        outcomes=(),
    )


# Guards


def _breach(state: State, _: e.BreachDetected) -> State:
    return state


def _level(state: State, event: e.GuardLevelChanged) -> State:
    return replace(state, guard_level=event.level, guard_reason=event.reason)


def _measured(state: State, event: e.HaltMeasured) -> State:
    figures = HaltFigures(
        event.cause, event.breach_to_latch_us, event.latch_to_cancelled_us, event.cancelled, verified_empty=event.verified_empty
    )
    return replace(state, halt_figures=figures)


# Orders


def _counted(state: State, count: Callable[[Tally], Tally]) -> State:
    return replace(state, tally=count(state.tally)) if state.tally is not None else state


def _put(state: State, order: OrderState) -> State:
    order = replace(order, updated_at=state.at)
    live = state.open.delete(order.client_id) if order.client_id in state.open else state.open
    return replace(
        state,
        orders=state.orders.set(order.client_id, order),
        open=live if order.settled else live.set(order.client_id, order),
    )


def _admitted(state: State, event: e.OrderAdmitted) -> State:
    assert state.policy is not None
    order = OrderState(
        number=state.order_number + 1,
        client_id=event.client_id,
        bot=event.bot,
        bot_client_id=event.bot_client_id,
        venue=event.venue,
        stage=event.stage,
        symbol=event.symbol,
        side=event.side,
        type=event.type,
        quantity=event.quantity,
        quote_quantity=event.quote_quantity,
        price=event.price,
        admitted_at=state.at,
        updated_at=state.at,
        epoch=state.epoch,
    )
    horizon = state.at - state.policy.limits.order_rate.per_ms
    ids = state.by_bot_id
    return replace(
        _put(_counted(state, Tally.with_order), order),
        order_number=order.number,
        by_bot_id=ids.set((event.bot, event.bot_client_id), event.client_id) if event.bot_client_id else ids,
        admissions=(*(when for when in state.admissions if when > horizon), state.at),
    )


def _denied(state: State, _: e.OrderDenied) -> State:
    return _counted(state, Tally.with_denial)


def _settled(state: State, order: OrderState) -> State:
    """The outcome of an order that was UNKNOWN is proven: the run remembers how long that took."""
    since = order.unknown_since
    return state if since is None else _counted(state, lambda tally: tally.with_settled(state.at - since))


def _outcome(state: State, *, accepted: bool) -> State:
    assert state.policy is not None
    horizon = state.at - state.policy.guards.reject_rate.window_ms
    recent = (outcome for outcome in state.outcomes if outcome[0] > horizon)
    return replace(state, outcomes=(*recent, (state.at, accepted)))


def _acked(state: State, event: e.OrderAcked) -> State:
    order = state.orders[event.client_id]
    known = order.status not in {OrderStatus.ADMITTED, OrderStatus.UNKNOWN}
    status = order.status if known else OrderStatus.NEW
    put = _put(state, replace(order, status=status, order_id=event.order_id, unknown_since=None))
    return _outcome(_settled(put, order), accepted=True)


def _rejected(state: State, event: e.OrderRejected) -> State:
    order = state.orders[event.client_id]
    following = advance(order.status, OrderStatus.REJECTED)
    put = _put(state, replace(order, status=following, refusal=f"{event.code} {event.message}", unknown_since=None))
    return _counted(_outcome(_settled(put, order), accepted=False), Tally.with_reject)


def _unknown(state: State, event: e.OrderUnknown) -> State:
    order = state.orders[event.client_id]
    following = advance(order.status, OrderStatus.UNKNOWN)
    since = state.at if following is OrderStatus.UNKNOWN and order.unknown_since is None else order.unknown_since
    return _put(state, replace(order, status=following, unknown_since=since, refusal=event.reason))


def _missed(state: State, event: e.LookupMissed) -> State:
    order = state.orders[event.client_id]
    return _put(state, replace(order, misses=order.misses + 1))


def _reported(state: State, event: e.OrderReported) -> State:
    order = state.orders[event.client_id]
    return _put(
        _settled(state, order),
        replace(
            order,
            status=advance(order.status, event.status),
            order_id=event.order_id or order.order_id,
            executed=max(order.executed, event.executed),
            executed_quote=max(order.executed_quote, event.executed_quote),
            unknown_since=None,
            misses=0,
        ),
    )


def _filled(state: State, event: e.FillBooked) -> State:
    ledger = state.ledgers[event.venue]
    ledger = replace(
        ledger,
        totals=_settle(ledger.totals or Map(), event, state),
        trades=ledger.trades.set(event.trade_id, event.client_id),
        fills_booked=ledger.fills_booked + 1,
        cursor=Millis(max(ledger.cursor, event.venue_at)),
    )
    state = _counted(replace(state, ledgers=state.ledgers.set(event.venue, ledger)), Tally.with_fill)
    order = state.orders.get(event.client_id)
    if order is None:
        return state
    booked = order.booked + event.quantity
    return _put(
        state,
        replace(
            order,
            booked=booked,
            booked_quote=order.booked_quote + event.quote,
            executed=max(order.executed, booked),
            executed_quote=max(order.executed_quote, order.booked_quote + event.quote),
        ),
    )


def _settle(totals: Map[str, Decimal], event: e.FillBooked, state: State) -> Map[str, Decimal]:
    assert state.policy is not None
    quote = state.policy.eur_rate.asset
    base = event.symbol.removesuffix(quote)
    sign = 1 if event.side is Side.BUY else -1
    for asset, change in ((base, sign * event.quantity), (quote, -sign * event.quote), (event.fee_asset, -event.fee)):
        totals = totals.set(asset, totals.get(asset, Decimal(0)) + change)
    return totals


def _cancel_requested(state: State, event: e.CancelRequested) -> State:
    return _put(state, replace(state.orders[event.client_id], cancel_requested=True))


# Reconciliation and measurement


def _baselined(state: State, event: e.BalancesBaselined) -> State:
    ledger = replace(
        state.ledgers[event.venue],
        totals=Map(event.totals),
        trades=Map(dict.fromkeys(event.known_trades, "")),
        fills_booked=len(event.known_trades),
        cursor=Millis(event.cursor),
    )
    return replace(state, ledgers=state.ledgers.set(event.venue, ledger))


def _reconciled(state: State, event: e.Reconciled) -> State:
    ledger = state.ledgers[event.venue]
    ledger = replace(ledger, reconciled_at=state.at, clean=event.clean, breaks=event.breaks, suspected=event.suspected)
    state = replace(state, ledgers=state.ledgers.set(event.venue, ledger))
    if event.venue is not state.watched or state.tally is None:
        return state
    return replace(state, tally=state.tally.with_reconciliation(len(event.breaks)))


def _sampled(state: State, event: e.Sampled) -> State:
    ledger = state.ledgers[event.venue]
    ledger = replace(ledger, source=event.source, equity_eur=event.equity_eur, exposure_eur=event.exposure_eur, sampled_at=state.at)
    if event.equity_eur is not None:
        day = state.at // DAY_MS
        new_day = day != ledger.day or ledger.day_start_eur is None
        ledger = replace(
            ledger,
            day=day,
            day_start_eur=event.equity_eur if new_day else ledger.day_start_eur,
            peak_eur=event.equity_eur if ledger.peak_eur is None else max(ledger.peak_eur, event.equity_eur),
        )
    state = replace(state, ledgers=state.ledgers.set(event.venue, ledger))
    if event.venue is not state.watched or state.tally is None:
        return state
    unknown = [order.unknown_since for order in state.open.values() if order.unknown_since is not None]
    tally = state.tally.with_source(event.source, accelerated=event.accelerated)
    if event.clock_offset_ms is not None:
        tally = tally.with_clock(event.clock_offset_ms)
    tally = tally.with_sample(
        event.equity_eur,
        covered=event.covered,
        interval_ms=event.interval_ms,
        at=state.at,
        unknown_open=len(unknown),
        oldest_unknown_ms=max((state.at - since for since in unknown), default=0),
    )
    return replace(state, tally=tally)


_APPLY: dict[type[e.Event], Callable[[State, Any], State]] = {
    e.DeploymentCreated: _created,
    e.PolicyAdopted: _policy,
    e.RosterAdopted: _roster,
    e.ReleaseAdopted: _release,
    e.AccountBound: _account,
    e.ControllerStarted: _started,
    e.Armed: _armed,
    e.Disarmed: _disarmed,
    e.CommandAccepted: _command_accepted,
    e.CommandRefused: _command_refused,
    e.EvidenceSealed: _sealed,
    e.StageChanged: _stage,
    e.BreachDetected: _breach,
    e.GuardLevelChanged: _level,
    e.HaltMeasured: _measured,
    e.OrderAdmitted: _admitted,
    e.OrderDenied: _denied,
    e.OrderAcked: _acked,
    e.OrderRejected: _rejected,
    e.OrderUnknown: _unknown,
    e.LookupMissed: _missed,
    e.OrderReported: _reported,
    e.FillBooked: _filled,
    e.CancelRequested: _cancel_requested,
    e.BalancesBaselined: _baselined,
    e.Reconciled: _reconciled,
    e.Sampled: _sampled,
}
