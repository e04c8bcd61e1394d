"""What a fill or an end does to an order, its account and its history, and the events that tell of it.

Events of one step come in the order MEXC pushes them: the order, the deal, then the account's movements (mexc-spot-v3.md §7.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from exchange.model import Fill, Millis, OrderStatus, Side
from exchange.testnet.accounts import Account, BalanceChange, Reason, fee_on, with_fee
from exchange.testnet.events import BalanceChanged, EngineEvent, Evidence, Filled, OrderChanged
from exchange.testnet.registry import Registry
from exchange.testnet.resting import LiveOrder

_ZERO = Decimal(0)


class Settlement:
    """Carries out fills and ends. ``events`` collects what happened until somebody takes it."""

    __slots__ = ("_accounts", "_registry", "events")

    def __init__(self, accounts: Mapping[str, Account], registry: Registry) -> None:
        self._accounts = accounts
        self._registry = registry
        self.events: list[EngineEvent] = []

    def take(self) -> list[EngineEvent]:
        """The events since this was last called."""
        taken = self.events
        self.events = []
        return taken

    def changed(self, order: LiveOrder, at: Millis) -> None:
        """Tell of an order's state."""
        order.updated_at = at
        self.events.append(OrderChanged(order.account, order.view(), at))

    def moved(self, account: str, change: BalanceChange, at: Millis) -> None:
        """Tell of a balance."""
        self.events.append(BalanceChanged(account, change, at))

    def fill(self, order: LiveOrder, price: Decimal, quantity: Decimal, *, maker: bool, evidence: Evidence, at: Millis) -> None:
        """Trade ``quantity`` of an open order at ``price``; the fee is in the quote asset on both sides (mexc-spot-v3.md §6)."""
        rules = order.rules
        notional = price * quantity
        fee = fee_on(notional, rules.maker_fee if maker else rules.taker_fee)
        order.executed += quantity
        order.executed_quote += notional
        order.fills += 1
        order.last_quantity = quantity
        order.maker = maker
        done = not order.wanted(price)
        order.status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        needed = _ZERO if done else required(order)
        released = order.reserved - needed
        order.reserved = needed
        account = self._accounts[order.account]
        if order.side is Side.BUY:
            changes = account.bought(rules.base, rules.quote, quantity=quantity, notional=notional, fee=fee, released=released)
        else:
            changes = account.sold(rules.base, rules.quote, quantity=quantity, notional=notional, fee=fee)
            if left := released - quantity:
                changes.append(account.release(rules.base, left, Reason.RETURNED))
        fill = Fill(
            trade_id=self._registry.trade_id(order),
            order_id=order.order_id,
            client_id=order.client_id,
            symbol=rules.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            quote=notional,
            fee=fee,
            fee_asset=rules.quote,
            maker=maker,
            at=at,
        )
        self._registry.record(order.account, fill, evidence)
        if done:
            self._registry.close(order)
        self.changed(order, at)
        self.events.append(Filled(order.account, fill, evidence, at))
        for change in changes:
            self.moved(order.account, change, at)

    def cancel(self, order: LiveOrder, at: Millis) -> None:
        """End an open order where it stands; what it has locked is free again."""
        order.status = OrderStatus.PARTIALLY_CANCELED if order.executed else OrderStatus.CANCELED
        self._registry.close(order)
        self.changed(order, at)
        if order.reserved:
            asset = order.rules.quote if order.side is Side.BUY else order.rules.base
            self.moved(order.account, self._accounts[order.account].release(asset, order.reserved, Reason.CANCELED), at)
            order.reserved = _ZERO


def required(order: LiveOrder) -> Decimal:
    """What an open order must have locked: a BUY its rest at the limit price with the higher fee, a SELL the rest itself."""
    if order.side is Side.SELL:
        # A SELL by quote quantity keeps its whole cushion until it ends: falling prices may need it.
        return order.reserved - (order.last_quantity or _ZERO) if order.quantity is None else order.quantity - order.executed
    rate = max(order.rules.maker_fee, order.rules.taker_fee)
    if order.quantity is None:
        return with_fee((order.quote_quantity or _ZERO) - order.executed_quote, rate)
    return with_fee(order.price * (order.quantity - order.executed), rate)
