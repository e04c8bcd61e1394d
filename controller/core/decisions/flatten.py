"""Decisions about a flatten: sell what gatehouse bought, also while HALTED. ``governance``, ``guards`` and ``ticks`` call it.

A flatten is folded state, and every tick takes it one step further, so it goes on after a crash. First every open order is
cancelled, and the venue has to show that none is left. Then one order at a time sells a part of what gatehouse bought: an
immediate-or-cancel order, priced at the best bid less a distance that grows while orders do not fill (``policies.schema.Flatten``).
Each is judged by the rules of a bot's sale (``policies.limits.check_exit``). An order whose outcome is not known holds up the next
one until the venue proves what became of it.

It ends when nothing that can be sold is left, when its time is over, or when the deployment halts or leaves the venue. A halt
always ends it: a person who halts wants no more orders, and may sign another flatten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext

from controller.authority.command import Command
from controller.core import events as e
from controller.core.decisions import moves
from controller.core.decisions.account import account_view, bought
from controller.core.decisions.draft import Draft
from controller.core.decisions.flatten_end import end
from controller.core.decisions.orders import next_client_id
from controller.core.effects import Alert, AlertKind, CancelAll, PlaceExit
from controller.core.fold.flatten import SELLER
from controller.core.inputs import Market
from controller.core.state import Flatten, State
from exchange.errors import Refused
from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Quote, Side, SymbolRules
from exchange.ports import VenueName
from policies.eur import lowest
from policies.exposure import missing_quote, missing_rules
from policies.guards import Breach
from policies.limit_types import Admit, Deny, LimitContext
from policies.limits import check_exit
from policies.numbers import WIDE, text
from policies.schema import Flatten as Schedule
from policies.schema import Policy

ALL = "all"
"""The subject of a ``flatten`` command about every symbol."""

BECAUSE = "gatehouse sells what it bought"
_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the venue's market shows now."""

    quotes: Mapping[str, Quote]
    rules: Mapping[str, SymbolRules]


@dataclass(frozen=True, slots=True)
class _Size:
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class _Sale:
    """The next order of a flatten."""

    intent: OrderIntent
    widening: int
    verdict: Admit


@dataclass(frozen=True, slots=True)
class _Wait:
    """Why no order can be sent now: the rule, and a sentence."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Done:
    """Nothing of a symbol is left that can be sold. ``why`` is empty when nothing is left at all."""

    why: str = ""


# Start


def check(state: State, policy: Policy, subject: str) -> None:
    """Check that a flatten can start now. Raises ``Refused`` when it cannot."""
    check_idle(state)
    if policy.flatten is None:
        raise Refused(
            "the policy in force does not say how to sell",
            code="no-flatten-schedule",
            remedy="Add a section [flatten] to the policy, then sign `gatehouse set-policy FILE --key KEY --reason WHY`.",
        )
    if subject != ALL and subject not in policy.symbols:
        raise Refused(
            f"{subject[:32]} is not a symbol of the policy",
            code="no-such-symbol",
            remedy=f"Name one of {', '.join(policy.symbols)}, or no symbol for all of them.",
        )
    venue = state.watched
    if venue is None or not any(bought(state, policy, venue, symbol) for symbol in _symbols(policy, subject)):
        raise Refused(
            f"gatehouse holds nothing that it bought{'' if subject == ALL else f' of {subject}'} on {venue or 'any venue'}",
            code="nothing-to-sell",
            remedy="Nothing is left to sell. What the account held before is not gatehouse's to sell.",
        )


def check_idle(state: State) -> None:
    """Check that no flatten is running: no move up, no drill and no second flatten starts during one. Raises ``Refused``."""
    if state.flatten is not None:
        raise Refused(
            "a flatten is running",
            code="flatten-running",
            remedy="Wait until `gatehouse status` shows that it has ended, or end it with `gatehouse halt`.",
        )


def start(draft: Draft, command: Command) -> None:
    """Start a flatten that a person signed for."""
    venue, policy = draft.after.watched, draft.after.policy
    assert venue is not None, "a flatten is refused where nothing is held"
    assert policy is not None, "a command is refused without a policy"
    _begin(
        draft,
        e.FlattenStarted(
            command_id=command.command_id,
            subject=command.subject,
            venue=venue,
            symbols=_symbols(policy, command.subject),
            reason=command.reason,
        ),
    )


def start_after(draft: Draft, policy: Policy, venue: VenueName, found: Breach) -> None:
    """Start a flatten because a guard was breached whose ``on_breach`` says so. The deployment is HALTED already."""
    held = tuple(symbol for symbol in policy.symbols if bought(draft.after, policy, venue, symbol))
    if held and policy.flatten is not None and draft.after.flatten is None:
        _begin(draft, e.FlattenStarted(guard=found.guard.value, venue=venue, symbols=held, reason=found.message[:500]))


def _begin(draft: Draft, event: e.FlattenStarted) -> None:
    draft.emit(event)
    draft.do(CancelAll(event.venue, moves.symbols(draft), because=BECAUSE))
    draft.do(Alert(AlertKind.FLATTEN, f"a flatten of {', '.join(event.symbols)} on {event.venue} has started", event.reason))


def _symbols(policy: Policy, subject: str) -> tuple[str, ...]:
    return policy.symbols if subject == ALL else (subject,)


# After a restart


def restarted(draft: Draft) -> None:
    """Go on with a flatten after a restart: cancel once more, because the last process may have stopped before it did."""
    if draft.after.flatten is not None:
        draft.do(CancelAll(draft.after.flatten.venue, moves.symbols(draft), because=BECAUSE))


# One step


def go_on(draft: Draft, market: Market | None) -> None:
    """Take the flatten one step further: send the next order, note what it waits for, or end it."""
    state = draft.after
    flatten, policy = state.flatten, state.policy
    if flatten is None or policy is None:
        return
    schedule = policy.flatten
    if schedule is None:
        end(draft, "the policy in force does not say how to sell")
        return
    if draft.now - flatten.since >= schedule.give_up_after_ms:
        why = held_up(state, flatten) or "the market did not take the orders within the distances of flatten.widen_bps"
        end(draft, f"It gave up after {schedule.give_up_after_ms // 1000} s: {why}")
        return
    if (outstanding := _outstanding(state, flatten)) is not None:
        if outstanding.rule:
            _note(draft, flatten, outstanding)
        return
    newest = max((one.at for one in flatten.slices.values()), default=None)
    if newest is None or draft.now - newest >= schedule.every_ms:
        _sell(draft, flatten, policy, schedule, market)


def held_up(state: State, flatten: Flatten) -> str:
    """Why the flatten does not go on: what it waits for, or why its last order never reached the market. Empty while it goes on."""
    last = state.orders.get(flatten.last)
    refused = last.reject_message if last is not None and last.status is OrderStatus.REJECTED else ""
    return flatten.waits or refused


def _outstanding(state: State, flatten: Flatten) -> _Wait | None:
    """What has to end before the next order. The rule is empty for an order that was only just sent."""
    unsettled = state.open_on(flatten.venue)
    unknown = next((order for order in unsettled if order.status is OrderStatus.UNKNOWN), None)
    if unknown is not None:
        return _Wait("unknown-order", f"the outcome of order {unknown.client_id} is not known yet")
    if any(order.bot != SELLER for order in unsettled) or not flatten.clear:
        return _Wait("cancels", f"{flatten.venue} has not shown yet that no order is open there")
    if unsettled:
        return _Wait("", "")
    return None if state.armed else _Wait("not-armed", state.not_armed_because)


def _sell(draft: Draft, flatten: Flatten, policy: Policy, schedule: Schedule, market: Market | None) -> None:
    state, waiting = draft.after, None
    shown = _Shown(market.quotes, market.rules) if market is not None else _Shown({}, {})
    rests: list[str] = []
    for symbol in flatten.symbols:
        step = _next_sale(state, flatten, policy, schedule, symbol, shown, draft.now)
        if isinstance(step, _Sale):
            _admit(draft, flatten, step)
            return
        if isinstance(step, _Wait):
            waiting = waiting or step
        elif step.why:
            rests.append(step.why)
    if waiting is not None:
        _note(draft, flatten, waiting)
    else:
        end(draft, "; ".join(rests) or "Everything was sold.", complete=True)


def _note(draft: Draft, flatten: Flatten, wait: _Wait) -> None:
    # Only a new reason is journalled: the numbers in it change with every tick.
    if wait.rule != flatten.waits_rule:
        draft.emit(e.FlattenWaits(rule=wait.rule, reason=wait.reason))


def obstacle(state: State, policy: Policy, quotes: Mapping[str, Quote], rules: Mapping[str, SymbolRules], now: Millis) -> str:
    """What a flatten that began now would wait for, or what it could not sell; empty when it could sell at once."""
    venue, schedule = state.watched, policy.flatten
    if venue is None or schedule is None:
        return ""
    planned = Flatten("", ALL, "", venue, policy.symbols, "", now)
    for symbol in policy.symbols:
        step = _next_sale(state, planned, policy, schedule, symbol, _Shown(quotes, rules), now)
        if isinstance(step, _Wait):
            return step.reason
        if isinstance(step, _Done) and step.why:
            return step.why
    return ""


def _next_sale(
    state: State, flatten: Flatten, policy: Policy, schedule: Schedule, symbol: str, shown: _Shown, now: Millis
) -> _Sale | _Wait | _Done:
    held = bought(state, policy, flatten.venue, symbol)
    if not held:
        return _Done()
    quote, rules = shown.quotes.get(symbol), shown.rules.get(symbol)
    missing = missing_rules(symbol, rules) or missing_quote(symbol, quote, policy, now)
    if missing is not None or quote is None or rules is None:
        return _Wait(f"{symbol} {missing.input if missing else 'quote'}", missing.message if missing else "there is no market data")
    # A wide distance may lower the order's value below the venue's minimum; then the widest that does not is used.
    widest = _widening(state, flatten, schedule, symbol)
    slice_most = schedule.slice_eur_max * lowest(policy.eur_rate, state.rates)
    sizes = ((step, _size(held, slice_most, schedule, quote, rules, step)) for step in range(widest, -1, -1))
    widening, size = next(((step, found) for step, found in sizes if found is not None), (0, None))
    if size is None:
        return _Done(f"{text(held)} of {symbol} is left: it is worth less than the venue's minimum of one order.")
    intent = OrderIntent(
        symbol=symbol,
        side=Side.SELL,
        type=OrderType.IMMEDIATE_OR_CANCEL,
        client_id=next_client_id(state),
        quantity=size.quantity,
        price=size.price,
    )
    context = LimitContext(
        account=account_view(state, policy, flatten.venue),
        rules=shown.rules,
        quotes=shown.quotes,
        admitted_at=state.admissions,
        rates=state.rates,
    )
    here = state.position
    verdict = check_exit(intent, context, policy, stage=here.stage, step=here.step, now=now)
    if isinstance(verdict, Deny):
        return _Wait(f"{symbol} {verdict.rule}", verdict.message)
    return _Sale(intent, widening, verdict)


def _widening(state: State, flatten: Flatten, schedule: Schedule, symbol: str) -> int:
    """The step of ``widen_bps`` for the next order: one wider if the market did not take all of the last one."""
    last = flatten.slices.get(symbol)
    if last is None:
        return 0
    order = state.orders[last.client_id]
    if order.status is OrderStatus.REJECTED:
        # The market has not seen it.
        return min(last.widening, len(schedule.widen_bps) - 1)
    if order.quantity is not None and order.executed >= order.quantity:
        return 0
    return min(last.widening + 1, len(schedule.widen_bps) - 1)


def _size(held: Decimal, slice_most: Decimal, schedule: Schedule, quote: Quote, rules: SymbolRules, widening: int) -> _Size | None:
    """The quantity and the price of the next order, or ``None`` when what is held is too small for any order."""
    with localcontext(WIDE):
        price = (quote.bid * (1 - schedule.widen_bps[widening] / _BPS)).quantize(rules.tick_size, rounding=ROUND_CEILING)
        if price <= 0:
            return None

        def sellable(quantity: Decimal) -> bool:
            return quantity > 0 and quantity >= rules.min_quantity and quantity * price >= rules.min_notional

        most = rules.quantise_quantity(min(slice_most, rules.max_notional) / price)
        whole = rules.quantise_quantity(held)
        quantity = min(whole, most)
        half = rules.quantise_quantity(whole / 2)
        if quantity < whole and not sellable(whole - quantity) and sellable(half):
            # What would be left could not be sold any more: sell half now and half next.
            quantity = half
        return _Size(quantity, price) if sellable(quantity) else None


def _admit(draft: Draft, flatten: Flatten, sale: _Sale) -> None:
    here, intent, verdict = draft.after.position, sale.intent, sale.verdict
    draft.emit(
        e.OrderAdmitted(
            client_id=intent.client_id,
            bot=SELLER,
            bot_client_id="",
            venue=flatten.venue,
            stage=here.stage,
            step=here.step,
            symbol=intent.symbol,
            side=intent.side,
            type=intent.type,
            quantity=intent.quantity,
            quote_quantity=None,
            price=intent.price,
            exposure_eur=verdict.exposure.eur,
            cap_eur=verdict.cap_eur,
            bid=verdict.quote.bid,
            ask=verdict.quote.ask,
        )
    )
    draft.emit(e.FlattenSliced(client_id=intent.client_id, symbol=intent.symbol, widening=sale.widening))
    draft.do(PlaceExit(flatten.venue, intent))
