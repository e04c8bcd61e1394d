"""The state as the console's views. The operators' port of leader and standby builds its answers with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from controller.authority.wordcode import word_code
from controller.console.closed_symbols import ClosedSymbolView
from controller.console.schema import (
    BalanceView,
    CountersView,
    DocumentView,
    EntryView,
    FillView,
    GateView,
    HaltView,
    HoldingsView,
    LandingView,
    NextEdgeView,
    OrderView,
    OversightView,
    PendingView,
    PolicyView,
    QuoteView,
    ReleaseView,
    RosterView,
    RuleView,
    SampleView,
    StatusView,
    TestnetView,
)
from controller.core import events as e
from controller.core.decisions import attestation, evidence, forgotten, landing, leaving
from controller.core.decisions.absence import missing_proof
from controller.core.decisions.account import holdings_of_bot
from controller.core.decisions.rates import line as rate_line
from controller.core.inputs import Tick
from controller.core.lifecycle import Position
from controller.core.order_state import OrderState
from controller.core.state import State
from controller.journal.chain import Entry
from controller.runtime.api.alerts import acknowledged_view, alert_views
from controller.runtime.api.bot_keys import bot_key_views
from controller.runtime.api.bot_views import bot_views
from controller.runtime.api.drills import drill_view, drill_views, drills_needed, record_view
from controller.runtime.api.flatten import flatten_view, way_out_views
from controller.runtime.api.runs import coverage_view
from controller.runtime.api.summaries import summary
from controller.runtime.api.unreached import unreached_views
from controller.runtime.followers.kept import Sample
from controller.runtime.followers.recent import Counters, RecentHistory
from controller.runtime.venues.markets import Markets
from controller.version import VERSION
from exchange.errors import Halted
from exchange.model import DataSource, Millis, OrderStatus
from exchange.ports import VenueName
from exchange.statement import Statement, fingerprint
from gates.engine import GateResult
from policies import canonical
from policies.authority import Verb, quorum
from policies.ramp import cap_eur, step_count
from policies.schema import Policy


def status_view(
    state: State, history: RecentHistory, markets: Markets, head: str, now: Millis, key_problem: Callable[[str], str]
) -> StatusView:
    """The deployment now. ``key_problem`` says why an issued gateway key does not open the gateway."""
    if state.policy is None or state.release is None or state.roster is None:
        raise Halted("nothing is deployed yet", code="not-deployed", remedy="Wait for the controller to start.")
    policy, venue, here = state.policy, state.watched, state.position
    ledger = state.ledger(venue) if venue else None
    equity = ledger.equity_eur if ledger else None
    seen = markets.measured_now()
    return StatusView(
        controller_id=state.controller_id,
        environment=state.environment,
        gatehouse_version=VERSION,
        epoch=state.epoch,
        armed=state.may_send_orders,
        not_armed_because="" if state.may_send_orders else state.not_armed_because or "it is HALTED, so no order is sent",
        reconciled=state.armed,
        stage=here.stage,
        step=here.step,
        ramp_steps=step_count(policy),
        position=str(here),
        stage_since_ms=state.stage_since,
        halted_from=str(state.halted_from or ""),
        halt_reason=state.halt_reason,
        halt_class=state.halt_class,
        validation_void=state.validation_void,
        pending_demotion=state.pending_demotion.reason if state.pending_demotion is not None else "",
        seq=state.seq,
        head=head,
        venue=state.venue,
        source=ledger.source if ledger else None,
        simulated=ledger is not None and ledger.source is not DataSource.LIVE,
        symbols=policy.symbols,
        cap_eur=cap_eur(policy, here.stage, here.step),
        exposure_eur=ledger.exposure_eur if ledger else None,
        equity_eur=equity,
        day_pnl_eur=_difference(equity, ledger.day_start_eur if ledger else None),
        net_pnl_eur=_difference(equity, state.tally.equity_start if state.tally else None),
        holdings=_holdings(state, policy, venue) if venue is not None else None,
        guard_level=state.guard_level,
        guard_reason=state.guard_reason,
        quote=_quote(policy, markets, venue, now),
        working_orders=sum(1 for order in state.open.values() if order.working),
        unknown_orders=sum(1 for order in state.open.values() if order.status is OrderStatus.UNKNOWN),
        unproven=_unproven(state, now),
        coverage=coverage_view(state, policy, seen, now),
        bots=bot_views(state, policy, seen, now) if markets.watching else (),
        unreached=unreached_views(state, markets.silent_venues()),
        testnet=_testnet(state, policy, seen, now),
        counters=_counters(history.counters),
        policy=PolicyView(name=policy.name, digest=state.policy_digest),
        roster=RosterView(
            digest=state.roster_digest,
            persons=tuple(person.name for person in state.roster.persons),
            version=state.roster.version,
        ),
        release=ReleaseView(name=state.release.name, version=state.release.version, digest=state.release.digest),
        account_fingerprint=state.accounts.get(VenueName.LIVE, ""),
        halt=_halt(state),
        next_edges=_next_edges(state, policy, seen, now),
        now_ms=now,
        pending=pending_view(state),
        oversight=_oversight(state, key_problem),
        ways_out=way_out_views(state, policy, seen, now) if venue is not None else (),
        flatten=flatten_view(state, policy),
        mode=state.mode,
        eur_rate=rate_line(policy.eur_rate, state.rates, now),
        proposals=_proposals(state),
    )


def _holdings(state: State, policy: Policy, venue: VenueName) -> HoldingsView | None:
    totals = state.ledger(venue).totals
    if totals is None:
        return None
    bot = holdings_of_bot(state, policy, venue)
    owner = {asset: total - bot.get(asset, Decimal(0)) for asset, total in sorted(totals.items())}
    return HoldingsView(
        bot={asset: amount for asset, amount in bot.items() if amount},
        owner={asset: amount for asset, amount in owner.items() if amount},
    )


def _proposals(state: State) -> tuple[DocumentView, ...]:
    return tuple(
        DocumentView(document=name, digest=one.digest, changes=one.changes, since_ms=one.at)
        for name, one in sorted(state.proposals.items())
    )


def _next_edges(state: State, policy: Policy, seen: Tick, now: Millis) -> tuple[NextEdgeView, ...]:
    here = state.position
    return tuple(
        NextEdgeView(
            verb=verb,
            target=target.stage,
            step=target.step,
            gate=gate.value,
            persons_needed=quorum(verb, here.stage, state.mode).persons,
            # A standby watches no market, so it cannot say where a move would land.
            landing=_landing(landing.facts(state, policy, verb, target, seen, now)) if seen.markets else (),
            leaves=leaving.left_behind(state, policy, target),
        )
        for verb, target, gate in evidence.gated_moves(state)
    )


def _oversight(state: State, key_problem: Callable[[str], str]) -> OversightView:
    return OversightView(
        alerts=alert_views(state),
        alerts_lost=state.alerts_lost,
        acknowledged=acknowledged_view(state),
        bot_keys=bot_key_views(state, key_problem),
        drill=drill_view(state.drill) if state.drill else None,
        last_drill=record_view(state.last_drill, state.policy) if state.last_drill else None,
        drills=drill_views(state),
        drills_needed=drills_needed(state),
        closed_symbols=tuple(
            ClosedSymbolView(
                venue=one.venue,
                symbol=one.symbol,
                why=one.why,
                orders=one.orders,
                held=one.held,
                since_ms=one.since,
                line=one.line,
            )
            for _, one in sorted(state.closed_symbols.items())
        ),
    )


def _halt(state: State) -> HaltView | None:
    halt = state.halt_figures
    if halt is None:
        return None
    return HaltView(
        breach_to_latch_us=halt.breach_to_latch_us,
        latch_to_cancelled_us=halt.latch_to_cancelled_us,
        cancelled=halt.cancelled,
        verified_empty=halt.verified_empty,
    )


def pending_view(state: State) -> PendingView | None:
    """The command in its cooling-off time, if there is one."""
    pending = state.pending
    if pending is None:
        return None
    return PendingView(
        command_id=pending.command_id,
        verb=pending.verb,
        target=str(pending.target),
        persons=pending.persons,
        reason=pending.reason,
        since_ms=pending.since,
        applies_at_ms=pending.applies_at,
        payload_digest=pending.payload_digest,
        word_code=word_code(pending.payload_digest),
    )


def _landing(found: Sequence[landing.Fact]) -> tuple[LandingView, ...]:
    return tuple(LandingView(sight=fact.sight.value, line=fact.line, ok=fact.ok, age_ms=fact.age_ms) for fact in found)


def gate_view(result: GateResult, verb: Verb, here: Position, target: Position, found: Sequence[landing.Fact] = ()) -> GateView:
    """A gate's result for one edge. ``found`` is what is seen of the venue where the edge ends."""
    return GateView(
        gate=result.gate.value,
        verb=verb,
        from_position=str(here),
        to_position=str(target),
        verdict=result.verdict.value,
        evidence_digest=result.evidence_digest,
        rules=tuple(
            RuleView(
                id=rule.rule,
                metric=rule.metric.value,
                measured=rule.measured,
                op=rule.op.value,
                threshold=rule.threshold,
                unit=rule.unit.value,
                verdict=rule.verdict.value,
                explanation=rule.explanation,
            )
            for rule in result.rules
        ),
        landing=_landing(found),
        attestation=result.attestation.value if result.attestation is not None else "",
    )


def gate_view_of_text(result: str, verb: Verb, here: Position, target: Position) -> GateView | None:
    """The same from a journalled gate result; ``None`` for an empty one."""
    if not result:
        return None
    document = canonical.decode(result.encode())
    return GateView(
        gate=document["gate"],
        verb=verb,
        from_position=str(here),
        to_position=str(target),
        verdict=document["verdict"],
        evidence_digest=document["evidence_digest"],
        attestation=document.get("attestation", ""),
        rules=tuple(
            RuleView(
                id=rule["rule"],
                metric=rule["metric"],
                measured=rule["measured"],
                op=rule["op"],
                threshold=rule["threshold"],
                unit=rule["unit"],
                verdict=rule["verdict"],
                explanation=rule["explanation"],
            )
            for rule in document["rules"]
        ),
    )


def order_view(order: OrderState) -> OrderView:
    """One order."""
    return OrderView(
        client_id=order.client_id,
        bot=order.bot,
        bot_client_id=order.bot_client_id,
        venue=order.venue,
        stage=order.stage,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        price=order.price,
        quantity=order.quantity,
        quote_quantity=order.quote_quantity,
        executed=order.executed,
        status=order.status,
        at_ms=order.admitted_at,
    )


def fill_view(fill: e.FillBooked) -> FillView:
    """One fill."""
    return FillView(
        venue=fill.venue,
        trade_id=fill.trade_id,
        client_id=fill.client_id,
        symbol=fill.symbol,
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        quote=fill.quote,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        maker=fill.maker,
        at_ms=fill.traded_at,
    )


def balance_views(state: State) -> tuple[BalanceView, ...]:
    """Every known total of every venue."""
    return tuple(
        BalanceView(venue=venue, asset=asset, total=total)
        for venue, ledger in sorted(state.ledgers.items())
        for asset, total in sorted((ledger.totals or {}).items())
    )


def sample_view(sample: Sample) -> SampleView:
    """One point of the charts."""
    return SampleView(
        at=sample.at,
        equity=sample.equity,
        exposure=sample.exposure,
        cap=sample.cap,
        covered=sample.covered,
        stage=sample.stage,
    )


def entry_view(entry: Entry, event: e.Event) -> EntryView:
    """One journal entry."""
    return EntryView(
        seq=entry.seq,
        at_ms=entry.at,
        epoch=entry.epoch,
        kind=entry.kind,
        hash=entry.hash,
        summary=summary(event),
        body=event.model_dump(mode="json"),
    )


def _difference(value: Decimal | None, start: Decimal | None) -> Decimal | None:
    return value - start if value is not None and start is not None else None


def _quote(policy: Policy, markets: Markets, venue: VenueName | None, now: Millis) -> QuoteView | None:
    quote = markets.quotes(venue).get(policy.symbols[0]) if venue else None
    if quote is None:
        return None
    return QuoteView(symbol=quote.symbol, bid=quote.bid, ask=quote.ask, age_ms=max(0, now - quote.received_at))


def _testnet(state: State, policy: Policy, seen: Tick, now: Millis) -> TestnetView | None:
    if not seen.markets:
        return None
    judged, key, asked = attestation.judge(state, policy, seen, now), policy.testnet.key, seen.testnet
    found = asked.found if asked is not None and isinstance(asked.found, Statement) else None
    return TestnetView(
        attested=judged.attested,
        age_ms=None if judged.at is None else max(0, now - judged.at),
        why=judged.impostor or judged.contradiction or judged.why,
        key="" if key is None else fingerprint(key),
        instance="" if found is None else found.instance,
        run=None if found is None else found.run,
    )


def _unproven(state: State, now: Millis) -> tuple[str, ...]:
    lines = (missing_proof(state, order, now) or forgotten.line(state, order) for order in state.open.values())
    return tuple(sorted(filter(None, lines)))


def _counters(counters: Counters) -> CountersView:
    return CountersView(
        orders=counters.orders,
        fills=counters.fills,
        denied=counters.denied,
        rejected=counters.rejected,
        unknown=counters.unknown,
        cancels=counters.cancels,
        commands=counters.commands,
        refusals=counters.refusals,
        breaches=counters.breaches,
    )
