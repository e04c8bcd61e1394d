"""Applies a fill or a cancel to an order, its account and its history, and collects the events. ``VenueMarket`` calls it.

Events of one step come in the order MEXC pushes them: the order, the deal, then the account's movements (mexc-spot-v3.md §7.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from exchange.matching.accounts import BalanceChange, LedgerAccount, MovementReason, with_fee
from exchange.matching.events import BalanceChanged, EngineEvent, Filled, FillEvidence, OrderChanged
from exchange.matching.fees import FeePolicy
from exchange.matching.registry import Registry
from exchange.matching.resting import LiveOrder
from exchange.model import Fill, Millis, OrderStatus, Side

_ZERO = Decimal(0)


class Settlement:
    """Applies fills and cancels. ``events`` collects the events until ``take`` is called."""

    __slots__ = ("_accounts", "_fees", "_registry", "events")

    def __init__(self, accounts: Mapping[str, LedgerAccount], registry: Registry, fees: FeePolicy) -> None:
        self._accounts = accounts
        self._fees = fees
        self._registry = registry
        self.events: list[EngineEvent] = []

    def take(self) -> list[EngineEvent]:
        """The events since this was last called."""
        taken = self.events
        self.events = []
        return taken

    def changed(self, order: LiveOrder, at: Millis) -> None:
        """Add an event with an order's state."""
        order.updated_at = at
        self.events.append(OrderChanged(order.account, order.view(), at))

    def moved(self, account: str, change: BalanceChange, at: Millis) -> None:
        """Add an event with a balance change."""
        self.events.append(BalanceChanged(account, change, at))

    def fill(self, order: LiveOrder, price: Decimal, quantity: Decimal, *, maker: bool, evidence: FillEvidence, at: Millis) -> None:
        """Trade ``quantity`` of an open order at ``price`` and charge the fee."""
        rules, account = order.rules, self._accounts[order.account]
        notional = price * quantity
        fee = self._fees.charge(account, rules, notional, maker=maker)
        order.executed += quantity
        order.executed_quote += notional
        order.fills += 1
        order.last_quantity = quantity
        order.maker = maker
        done = not order.wanted(price)
        order.status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        fill = Fill(
            trade_id=self._registry.trade_id(order),
            order_id=order.order_id,
            client_id=order.client_id,
            symbol=rules.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            quote=notional,
            fee=fee.amount,
            fee_asset=fee.asset,
            maker=maker,
            at=at,
        )
        changes = _settle(order, account, fill, _ZERO if done else required(order))
        self._registry.record(order.account, fill, evidence)
        if done:
            self._registry.close(order)
        self.changed(order, at)
        self.events.append(Filled(order.account, fill, evidence, at))
        for change in changes:
            self.moved(order.account, change, at)

    def cancel(self, order: LiveOrder, at: Millis) -> None:
        """End an open order; its locked amount becomes free again."""
        order.status = OrderStatus.PARTIALLY_CANCELED if order.executed else OrderStatus.CANCELED
        self._registry.close(order)
        self.changed(order, at)
        if order.reserved:
            asset = order.rules.quote if order.side is Side.BUY else order.rules.base
            self.moved(order.account, self._accounts[order.account].release(asset, order.reserved, MovementReason.CANCELED), at)
            order.reserved = _ZERO


def _settle(order: LiveOrder, account: LedgerAccount, fill: Fill, needed: Decimal) -> list[BalanceChange]:
    """Move the balances of a fill, and keep ``needed`` locked for the rest of the order."""
    rules = order.rules
    released, order.reserved = order.reserved - needed, needed
    in_quote = fill.fee if fill.fee_asset == rules.quote else _ZERO
    if order.side is Side.BUY:
        changes = account.bought(
            rules.base, rules.quote, quantity=fill.quantity, notional=fill.quote, fee=in_quote, released=released
        )
    else:
        changes = account.sold(rules.base, rules.quote, quantity=fill.quantity, notional=fill.quote, fee=in_quote)
        if left := released - fill.quantity:
            changes.append(account.release(rules.base, left, MovementReason.RETURNED))
    if fill.fee and fill.fee_asset != rules.quote:
        changes.append(account.charge(fill.fee_asset, fill.fee))
    return changes


def required(order: LiveOrder) -> Decimal:
    """What an open order must lock: a BUY its remainder at the limit price with the higher fee, a SELL its remaining quantity."""
    if order.side is Side.SELL:
        # A SELL by quote quantity keeps its whole locked amount until it ends, because falling prices may need it.
        return order.reserved - (order.last_quantity or _ZERO) if order.quantity is None else order.quantity - order.executed
    rate = max(order.rules.maker_fee, order.rules.taker_fee)
    if order.quantity is None:
        return with_fee((order.quote_quantity or _ZERO) - order.executed_quote, rate)
    return with_fee(order.price * (order.quantity - order.executed), rate)
