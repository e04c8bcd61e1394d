"""A bot that trusts its private stream: it reads REST once, folds every push into what it knows, and says what it believes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from controller.gateway.port import GatewayPort, Window
from exchange.model import Balance, Fill, Millis, OrderReport, OrderStatus
from exchange.wire.orders import venue_status
from exchange.wire.push import BalanceUpdate
from exchange.wire.push_decode import decode_push

ALWAYS = Window(Millis(0), Millis(10**15))
MOST = 100_000
OPEN = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})

Shown = tuple[OrderStatus, Decimal, Decimal, Decimal, Decimal]


def shown(report: OrderReport) -> Shown:
    """What a bot sees of an order."""
    return venue_status(report.status), report.price, report.quantity, report.executed, report.executed_quote


@dataclass
class ReaderSocket:
    """Implements ``WebSocket``; ``unread`` stops the reader."""

    unread: bool = False
    received: bytes = b""
    ended: tuple[int, str] | None = None
    read: Callable[[], None] = lambda: None

    def push(self, frames: bytes) -> None:
        self.received += frames

    def when_read(self, call: Callable[[], None]) -> None:
        self.read = call

    def occupied(self, by: str, *, busy: bool) -> None:
        """Nobody drops it."""

    def end(self, code: int, reason: str) -> None:
        self.ended = (code, reason)

    def binary(self) -> list[bytes]:
        """The binary messages received since the last call."""
        found, data = [], self.received
        self.received = b""
        while data:
            size, start = data[1], 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, start = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
            if data[0] & 0x0F == 2:
                found.append(data[start : start + size])
            data = data[start + size :]
        return found


@dataclass
class Belief:
    """What the bot knows: REST when it connected, and every push since."""

    bot: str
    orders: dict[str, Shown]
    balances: dict[str, Balance]
    fills_before: int
    trades: list[Fill] = field(default_factory=list)

    @classmethod
    def of_rest(cls, bot: str, port: GatewayPort, symbol: str) -> Belief:
        """What REST says now."""
        orders = {one.order_id: shown(one) for one in port.open_orders(bot, None)}
        return cls(bot, orders, dict(port.balances(bot)), len(port.fills(bot, symbol, None, ALWAYS, MOST)))

    def fold(self, frames: list[bytes]) -> None:
        """Believe the pushes."""
        for frame in frames:
            body = decode_push(frame).body
            match body:
                case OrderReport():
                    assert self.orders.get(body.order_id) != shown(body), "an order was pushed twice as it was"
                    self.orders[body.order_id] = shown(body)
                case Fill():
                    assert body.trade_id not in {one.trade_id for one in self.trades}, "a trade was pushed twice"
                    self.trades.append(body)
                case BalanceUpdate():
                    self._fold_balance(body)
                case _:
                    raise AssertionError(f"{body} on a private stream")

    def _fold_balance(self, update: BalanceUpdate) -> None:
        before = self.balances.get(update.asset, Balance(update.asset, Decimal(0), Decimal(0)))
        after = Balance(update.asset, update.free, update.locked)
        assert (after.free - before.free, after.locked - before.locked) == (update.free_change, update.locked_change)
        self.balances[update.asset] = after

    def check(self, port: GatewayPort, symbol: str, is_elsewhere: Callable[[Fill], bool]) -> None:
        """Compare with REST, which lists the trades of orders on a former account (``is_elsewhere``) by their order alone."""
        for order_id, believed in self.orders.items():
            report = port.order(self.bot, symbol, order_id=order_id)
            assert report is not None, f"REST does not know {order_id}"
            assert shown(report) == believed
        now_open = {one.order_id for one in port.open_orders(self.bot, None)}
        assert {order_id for order_id, believed in self.orders.items() if believed[0] in OPEN} == now_open
        fills = port.fills(self.bot, symbol, None, ALWAYS, MOST)
        listed = [one.trade_id for one in reversed(fills)][self.fills_before :]
        assert [one.trade_id for one in self.trades if not is_elsewhere(one)] == listed
        for trade in filter(is_elsewhere, self.trades):
            of_its_order = port.fills(self.bot, symbol, trade.order_id, ALWAYS, MOST)
            assert trade.trade_id in {one.trade_id for one in of_its_order}
        assert _held(self.balances) == _held(port.balances(self.bot))


def _held(balances: Mapping[str, Balance]) -> dict[str, Balance]:
    return {asset: balance for asset, balance in balances.items() if balance.free or balance.locked}
