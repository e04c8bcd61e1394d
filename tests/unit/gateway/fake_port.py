"""A controller in memory for the gateway's tests: it accepts every order, unless ``answer`` is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal

from controller.gateway.port import (
    Accepted,
    CancelReply,
    CancelTaken,
    CandlesView,
    DepthView,
    PlaceReply,
    Window,
)
from exchange.errors import VenueError
from exchange.model import (
    Balance,
    Fill,
    MarketTrade,
    Millis,
    OrderReport,
    OrderStatus,
    OrderType,
    Quote,
    Side,
    SymbolRules,
)
from exchange.orders import WORKING
from exchange.wire.errors import dump_json
from exchange.wire.market import Candle, DayTicker, KlineQuery, kline_row
from exchange.wire.orders import NewOrder, StpMode
from policies.silence import BotLiveness, HeardBy
from tests.unit.gateway.fake_streams import FakeStreams

START = Millis(1_790_000_000_000)

MXUSDT = SymbolRules(
    symbol="MXUSDT",
    base="MX",
    quote="USDT",
    quantity_precision=2,
    price_precision=4,
    min_quantity=Decimal("0.01"),
    min_notional=Decimal(1),
    min_notional_market=Decimal(1),
    max_notional=Decimal(2_000_000),
    max_notional_market=Decimal(100_000),
    maker_fee=Decimal(0),
    taker_fee=Decimal("0.0005"),
    order_types=frozenset(OrderType),
    trading=True,
    api_allowed=True,
)


CANDLE = Candle(
    Millis(START - 60_000),
    *(Decimal(one) for one in ("2.4", "2.6", "2.3", "2.5", "12")),
    START,
    Decimal(30),
)


@dataclass
class FakePort:
    """Implements ``GatewayPort``. ``answer`` replaces the next replies to ``place``; ``heard`` is every asynchronous call."""

    clock: Millis = START
    is_ready: bool = True
    started_at: Millis = Millis(0)
    answer: PlaceReply | None = None
    cancel_answer: CancelReply | None = None
    book: bool = True
    market_problem: str = ""
    heard: list[tuple[object, ...]] = field(default_factory=list)
    signs: list[tuple[str, HeardBy]] = field(default_factory=list)
    live: BotLiveness | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    orders: dict[str, dict[str, OrderReport]] = field(default_factory=dict)
    accepted: dict[str, NewOrder] = field(default_factory=dict)
    booked: dict[str, list[Fill]] = field(default_factory=dict)
    streams: FakeStreams = field(default_factory=FakeStreams)

    async def place(self, bot: str, order: NewOrder, *, key: str) -> PlaceReply:
        self.heard.append(("place", bot, order))
        if self.answer is not None:
            return self.answer
        mine = self.orders.setdefault(bot, {})
        first = next((one for one in mine.values() if order.client_id and one.client_id == order.client_id), None)
        if first is not None:
            return Accepted(self.accepted[first.order_id], first.order_id, first.created_at)
        order_id = f"gh-{bot}-{sum(map(len, self.orders.values())) + 1:06d}"
        self.accepted[order_id] = order
        mine[order_id] = OrderReport(
            symbol=order.symbol,
            order_id=order_id,
            client_id=order.client_id or "",
            side=order.side,
            type=order.type,
            status=OrderStatus.NEW,
            price=order.price or Decimal(0),
            quantity=order.quantity or Decimal(0),
            executed=Decimal(0),
            executed_quote=Decimal(0),
            created_at=self.clock,
            quote_quantity=order.quote_quantity,
        )
        return Accepted(order, order_id, self.clock)

    async def cancel(self, bot: str, symbol: str, order_id: str) -> CancelReply:
        self.heard.append(("cancel", bot, symbol, order_id))
        if self.cancel_answer is not None:
            return self.cancel_answer
        before = self.orders[bot][order_id]
        self.orders[bot][order_id] = replace(before, status=OrderStatus.CANCELED)
        return CancelTaken((before,))

    async def cancel_all(self, bot: str, symbols: Sequence[str] | None) -> CancelReply:
        self.heard.append(("cancel_all", bot, symbols))
        if self.cancel_answer is not None:
            return self.cancel_answer
        taken = tuple(one for one in self.open_orders(bot, None) if symbols is None or one.symbol in symbols)
        for one in taken:
            self.orders[bot][one.order_id] = replace(one, status=OrderStatus.CANCELED)
        return CancelTaken(taken)

    def order(self, bot: str, symbol: str, *, order_id: str | None = None, bot_client_id: str | None = None) -> OrderReport | None:
        for one in self.orders.get(bot, {}).values():
            wanted = one.order_id == order_id if order_id is not None else one.client_id == bot_client_id
            if wanted and one.symbol == symbol:
                return one
        return None

    def open_orders(self, bot: str, symbol: str | None) -> Sequence[OrderReport]:
        mine = reversed(self.orders.get(bot, {}).values())
        return [one for one in mine if one.status in WORKING and symbol in {None, one.symbol}]

    async def all_orders(
        self, bot: str, symbol: str, window: Window, limit: int, statuses: frozenset[OrderStatus] | None
    ) -> Sequence[OrderReport]:
        self.heard.append(("all_orders", bot, symbol, window, limit, statuses))
        mine = [one for one in reversed(self.orders.get(bot, {}).values()) if one.symbol == symbol]
        return [one for one in mine if window.start <= one.created_at <= window.end and (not statuses or one.status in statuses)][
            :limit
        ]

    def fills(self, bot: str, symbol: str, order_id: str | None, window: Window, limit: int) -> Sequence[Fill]:
        self.heard.append(("fills", bot, symbol, order_id, window, limit))
        mine = [one for one in reversed(self.booked.get(bot, [])) if one.symbol == symbol and order_id in {None, one.order_id}]
        return [one for one in mine if window.start <= one.at <= window.end][:limit]

    def balances(self, bot: str) -> Mapping[str, Balance]:
        return {
            "USDT": Balance("USDT", Decimal(900), Decimal(100)),
            "MX": Balance("MX", Decimal("12.5"), Decimal(0)),
            "BTC": Balance("BTC", Decimal(0), Decimal(0)),
        }

    def rules(self, symbols: Sequence[str] | None) -> Mapping[str, SymbolRules]:
        return {"MXUSDT": MXUSDT} if symbols is None or "MXUSDT" in symbols else {}

    def depth(self, symbol: str, limit: int) -> DepthView | None:
        if not self.book:
            return None
        return 77, [(Decimal("2.5"), Decimal(10))][:limit], [(Decimal("2.51"), Decimal(4)), (Decimal("2.52"), Decimal(9))][:limit]

    def quote(self, symbol: str) -> Quote | None:
        if not self.book:
            return None
        return Quote(
            symbol,
            bid=Decimal("2.5"),
            bid_quantity=Decimal(10),
            ask=Decimal("2.51"),
            ask_quantity=Decimal(4),
            version=77,
            at=self.clock,
            received_at=self.clock,
        )

    def trades(self, symbol: str, limit: int) -> Sequence[MarketTrade]:
        made = [
            MarketTrade(symbol, Decimal("2.505"), Decimal(3), Side.BUY, Millis(self.clock - 10), "t2"),
            MarketTrade(symbol, Decimal("2.5"), Decimal(1), Side.SELL, Millis(self.clock - 900), "t1"),
        ]
        return made[:limit] if self.book else []

    def cancel_reason(self, bot: str, order_id: str) -> str | None:
        return self.reasons.get(order_id) if order_id in self.orders.get(bot, {}) else None

    def stp_mode(self, bot: str, order_id: str) -> StpMode:
        return self.accepted[order_id].stp_mode if order_id in self.orders.get(bot, {}) else StpMode.NONE

    async def candles(self, query: KlineQuery) -> CandlesView:
        self.heard.append(("candles", query))
        self._check_market()
        return CandlesView((dump_json(kline_row(CANDLE)),), "testnet", CANDLE.open_time)

    async def day(self, symbol: str) -> DayTicker:
        self._check_market()
        amounts = [Decimal(one) for one in ("2.4", "2.3", "2.504", "2.2", "1000", "2400", "2.4", "1", "2.41", "1")]
        return DayTicker(symbol, *amounts, Millis(self.clock - 86_400_000), Millis(self.clock - 5_000))

    async def average_price(self, symbol: str) -> Decimal:
        self._check_market()
        return Decimal("2.4567")

    def _check_market(self) -> None:
        if self.market_problem:
            raise VenueError(self.market_problem, code="venue-silent", remedy="Wait.")

    def heard_from(self, bot: str, by: HeardBy) -> None:
        self.signs.append((bot, by))

    def connected(self, bot: str) -> AbstractContextManager[None]:
        self.signs.append((bot, HeardBy.STREAM))
        return nullcontext()

    def liveness(self, bot: str) -> BotLiveness | None:
        return self.live if self.live is not None and self.live.bot == bot else None

    def now(self) -> Millis:
        return self.clock

    def started(self) -> Millis:
        return self.started_at

    def ready(self) -> bool:
        return self.is_ready

    def placed(self) -> list[NewOrder]:
        """The orders that reached the controller."""
        return [call[2] for call in self.heard if call[0] == "place" and isinstance(call[2], NewOrder)]

    def fill(self, bot: str, order_id: str, price: Decimal) -> Fill:
        """Fill an order completely, as its maker."""
        order = self.orders[bot][order_id]
        quantity = order.quantity
        self.orders[bot][order_id] = replace(
            order, status=OrderStatus.FILLED, executed=quantity, executed_quote=quantity * price, updated_at=self.clock
        )
        made = Fill(
            trade_id=f"t{len(self.booked.get(bot, []))}",
            order_id=order_id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            quote=quantity * price,
            fee=Decimal("0.001"),
            fee_asset="USDT",
            maker=True,
            at=self.clock,
        )
        self.booked.setdefault(bot, []).append(made)
        return made
