"""The stream's pushes as typed values (mexc-spot-v3.md §7.3, §7.4, §7.6). ``push_encode`` writes and ``push_decode`` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from exchange.model import Fill, ForeignOrder, MarketTrade, Millis, OrderReport, OrderStatus, OrderType, Side
from exchange.wire.market import BookTicker, Candle, Interval, Levels
from exchange.wire.stream import Channel

ORDER_TYPES: Mapping[OrderType, int] = MappingProxyType(
    {
        OrderType.LIMIT: 1,
        OrderType.LIMIT_MAKER: 2,
        OrderType.IMMEDIATE_OR_CANCEL: 3,
        OrderType.FILL_OR_KILL: 4,
        OrderType.MARKET: 5,
    }
)
"""``orderType`` on the stream (§4.2)."""

STATUSES: Mapping[OrderStatus, int] = MappingProxyType(
    {
        OrderStatus.NEW: 1,
        OrderStatus.FILLED: 2,
        OrderStatus.PARTIALLY_FILLED: 3,
        OrderStatus.CANCELED: 4,
        OrderStatus.PARTIALLY_CANCELED: 5,
    }
)
"""``status`` on the stream (§4.12)."""

SIDES: Mapping[Side, int] = MappingProxyType({Side.BUY: 1, Side.SELL: 2})
"""``tradeType`` on the stream; the taker's side for public trades (§7.4)."""


class BalanceReason(StrEnum):
    """Why a balance moved (§7.6)."""

    DEAL = "ENTRUST"
    FREEZE = "ENTRUST_PLACE"
    CANCEL = "ENTRUST_CANCEL"
    UNFREEZE = "ENTRUST_UNFROZEN"
    FEE = "TRADE_FEE"
    DEPOSIT = "DEPOSIT"
    DEPOSIT_FEE = "DEPOSIT_FEE"
    WITHDRAW = "WITHDRAW"
    WITHDRAW_FEE = "WITHDRAW_FEE"
    AIRDROP = "SUGAR"
    ETF_INDEX = "ETF_INDEX"
    CONTRACT_TRANSFER = "CONTRACT_TRANSFER"
    UNLISTED = ""


@dataclass(frozen=True, slots=True)
class DepthUpdate:
    """Absolute quantities of the levels changed in versions ``from_version``..``to_version``; 0 removes a level."""

    symbol: str
    from_version: int
    to_version: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class TradeBatch:
    """Public trades of one push."""

    symbol: str
    trades: tuple[MarketTrade, ...]


@dataclass(frozen=True, slots=True)
class DepthLevels:
    """The best few levels as of ``version``."""

    symbol: str
    version: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class DepthStep:
    """Absolute quantities of the levels changed up to ``version``; 0 removes a level."""

    version: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class DepthBatch:
    """Several steps of one book, oldest first. A step has no first version: each continues the one before."""

    symbol: str
    steps: tuple[DepthStep, ...]


@dataclass(frozen=True, slots=True)
class BookTickerBatch:
    """Best prices of one symbol, oldest first, the last as of ``version``. The tickers themselves have no version."""

    symbol: str
    tickers: tuple[BookTicker, ...]
    version: int | None = None


@dataclass(frozen=True, slots=True)
class MiniTicker:
    """The day of one symbol. ``rate`` is its change since midnight of UTC+8, ``zoned_rate`` since that of the channel's zone.

    Both are fractions. ``quote_volume`` is the turnover, ``volume`` is in the base asset. The last four fields start from the
    last price before the day.
    """

    symbol: str
    price: Decimal
    rate: Decimal
    zoned_rate: Decimal
    high: Decimal
    low: Decimal
    quote_volume: Decimal
    volume: Decimal
    last_close_rate: Decimal
    last_close_zoned_rate: Decimal
    last_close_high: Decimal
    last_close_low: Decimal


@dataclass(frozen=True, slots=True)
class MiniTickers:
    """The day of every symbol that has one."""

    tickers: tuple[MiniTicker, ...]


@dataclass(frozen=True, slots=True)
class KlineUpdate:
    """The current candle of one symbol."""

    symbol: str
    interval: Interval
    candle: Candle


@dataclass(frozen=True, slots=True)
class BalanceUpdate:
    """One asset after a change of ``free_change`` and ``locked_change``."""

    asset: str
    free: Decimal
    free_change: Decimal
    locked: Decimal
    locked_change: Decimal
    reason: BalanceReason
    at: Millis


PublicBody = (
    DepthUpdate | TradeBatch | BookTicker | BookTickerBatch | DepthLevels | DepthBatch | KlineUpdate | MiniTicker | MiniTickers
)
Body = PublicBody | OrderReport | ForeignOrder | Fill | BalanceUpdate


@dataclass(frozen=True, slots=True)
class Push:
    """One binary frame. ``sent_at`` is the event time of private orders, whose own time is their creation (§7.6)."""

    channel: Channel
    body: Body
    created_at: Millis | None = None
    sent_at: Millis | None = None

    @property
    def at(self) -> Millis:
        """The event time: when it was sent, else created, else 0."""
        return self.sent_at or self.created_at or Millis(0)


@dataclass(frozen=True, slots=True)
class OrderExtras:
    """The fields of an order push that ``OrderReport`` lacks: the last fill, and the amount of a MARKET order by quote."""

    maker: bool = False
    last_quantity: Decimal | None = None
    amount: Decimal | None = None
    remaining_amount: Decimal | None = None
