"""Reads the stream's binary frames into typed pushes, for a client (mexc-spot-v3.md §7.3, §7.4, §7.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from google.protobuf.message import DecodeError

from exchange.model import Fill, ForeignOrder, MarketTrade, OrderReport, OrderStatus, Side
from exchange.wire.errors import MalformedReply
from exchange.wire.fields import checked_client_id, checked_id
from exchange.wire.market import BookTicker, Candle, Interval, Levels
from exchange.wire.numbers import reply_amount, reply_decimal, reply_integer, reply_millis
from exchange.wire.pb.market_pb2 import PublicMiniTickerV3Api
from exchange.wire.pb.push_pb2 import PushDataV3ApiWrapper
from exchange.wire.push import (
    ORDER_TYPES,
    SIDES,
    STATUSES,
    BalanceReason,
    BalanceUpdate,
    Body,
    BookTickerBatch,
    DepthBatch,
    DepthLevels,
    DepthStep,
    DepthUpdate,
    KlineUpdate,
    MiniTicker,
    MiniTickers,
    Push,
    TradeBatch,
)
from exchange.wire.stream import Channel, parse_channel

_TYPE_OF = {number: kind for kind, number in ORDER_TYPES.items()}
_STATUS_OF = {number: status for status, number in STATUSES.items()}
_SIDE_OF = {number: side for side, number in SIDES.items()}
_REASON_OF = {reason.value: reason for reason in BalanceReason}
_ENDED = frozenset(STATUSES[one] for one in (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED))
_SECOND = 1_000
_LONG = 40
"""The longest quantity, in characters, that takes the fast path."""


class _Item(Protocol):
    price: str
    quantity: str


def decode_push(frame: bytes) -> Push:
    """Read one binary frame. Unknown fields are ignored.

    Raises:
        MalformedReply: not a push, an unsupported channel or body, or a field that cannot be read.
    """
    wrapper = PushDataV3ApiWrapper()
    try:
        wrapper.ParseFromString(frame)
    except DecodeError as error:
        raise MalformedReply("a push is not a protobuf message") from error
    channel = parse_channel(wrapper.channel)
    if channel is None:
        raise MalformedReply(f"a push on the unknown channel {wrapper.channel[:80]!r}")
    if channel.symbol is not None and wrapper.symbol not in {"", channel.symbol}:
        raise MalformedReply(f"a push for {wrapper.symbol[:40]!r} on {channel.name!r}")
    reader = _READERS.get(wrapper.WhichOneof("body") or "")
    if reader is None:
        raise MalformedReply(f"a push on {channel.name!r} without a supported body")
    return Push(
        channel=channel,
        body=reader(wrapper, channel),
        created_at=reply_millis("createTime", wrapper.createTime) if wrapper.HasField("createTime") else None,
        sent_at=reply_millis("sendTime", wrapper.sendTime) if wrapper.HasField("sendTime") else None,
    )


def _get_depth(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    depth = wrapper.publicAggreDepths
    return DepthUpdate(
        symbol=_symbol(wrapper, channel),
        from_version=reply_integer("fromVersion", depth.fromVersion),
        to_version=reply_integer("toVersion", depth.toVersion),
        bids=_levels(depth.bids),
        asks=_levels(depth.asks),
    )


def _get_trades(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    symbol = _symbol(wrapper, channel)
    trades = tuple(
        MarketTrade(
            symbol=symbol,
            price=reply_amount("price", deal.price),
            quantity=reply_amount("quantity", deal.quantity),
            taker_side=_side(deal.tradeType),
            at=reply_millis("time", deal.time),
            trade_id=deal.tradeId,
        )
        for deal in wrapper.publicAggreDeals.deals
    )
    return TradeBatch(symbol, trades)


def _get_ticker(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    ticker = wrapper.publicAggreBookTicker
    return BookTicker(
        symbol=_symbol(wrapper, channel),
        bid=reply_amount("bidPrice", ticker.bidPrice),
        bid_quantity=reply_amount("bidQuantity", ticker.bidQuantity),
        ask=reply_amount("askPrice", ticker.askPrice),
        ask_quantity=reply_amount("askQuantity", ticker.askQuantity),
        version=_version(ticker.version),
    )


def _get_tickers(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    symbol, batch = _symbol(wrapper, channel), wrapper.publicBookTickerBatch
    tickers = tuple(
        BookTicker(
            symbol=symbol,
            bid=reply_amount("bidPrice", item.bidPrice),
            bid_quantity=reply_amount("bidQuantity", item.bidQuantity),
            ask=reply_amount("askPrice", item.askPrice),
            ask_quantity=reply_amount("askQuantity", item.askQuantity),
        )
        for item in batch.items
    )
    return BookTickerBatch(symbol, tickers, _version(batch.version))


def _get_steps(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    steps = (
        DepthStep(reply_integer("version", item.version), _levels(item.bids), _levels(item.asks))
        for item in wrapper.publicIncreaseDepthsBatch.items
    )
    return DepthBatch(_symbol(wrapper, channel), tuple(steps))


def _get_mini(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    ticker = _mini(wrapper.publicMiniTicker)
    if ticker.symbol != channel.symbol:
        raise MalformedReply(f"a mini ticker of {ticker.symbol[:40]!r} on {channel.name!r}")
    return ticker


def _get_minis(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:  # noqa: ARG001 - the readers' signature
    return MiniTickers(tuple(_mini(item) for item in wrapper.publicMiniTickers.items))


def _mini(item: PublicMiniTickerV3Api) -> MiniTicker:
    if not item.symbol:
        raise MalformedReply("a mini ticker without its symbol")
    return MiniTicker(
        symbol=item.symbol,
        price=reply_amount("price", item.price),
        rate=reply_decimal("rate", item.rate),
        zoned_rate=reply_decimal("zonedRate", item.zonedRate),
        high=reply_amount("high", item.high),
        low=reply_amount("low", item.low),
        quote_volume=reply_amount("volume", item.volume),
        volume=reply_amount("quantity", item.quantity),
        last_close_rate=reply_decimal("lastCloseRate", item.lastCloseRate),
        last_close_zoned_rate=reply_decimal("lastCloseZonedRate", item.lastCloseZonedRate),
        last_close_high=reply_amount("lastCloseHigh", item.lastCloseHigh),
        last_close_low=reply_amount("lastCloseLow", item.lastCloseLow),
    )


def _get_limit_depth(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    depth = wrapper.publicLimitDepths
    return DepthLevels(_symbol(wrapper, channel), reply_integer("version", depth.version), _levels(depth.bids), _levels(depth.asks))


def _get_kline(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    kline = wrapper.publicSpotKline
    interval = next((one for one in Interval if one.stream_name == kline.interval), None)
    if interval is None:
        raise MalformedReply(f"unknown candle interval {kline.interval[:20]!r}")
    candle = Candle(
        open_time=reply_millis("windowStart", kline.windowStart * _SECOND),
        open=reply_amount("openingPrice", kline.openingPrice),
        high=reply_amount("highestPrice", kline.highestPrice),
        low=reply_amount("lowestPrice", kline.lowestPrice),
        close=reply_amount("closingPrice", kline.closingPrice),
        volume=reply_amount("volume", kline.volume),
        close_time=reply_millis("windowEnd", kline.windowEnd * _SECOND),
        quote_volume=reply_amount("amount", kline.amount),
    )
    return KlineUpdate(_symbol(wrapper, channel), interval, candle)


def _get_order(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    order = wrapper.privateOrders
    symbol, order_id = _symbol(wrapper, channel), checked_id("privateOrders.id", order.id)
    kind, status = _TYPE_OF.get(order.orderType), _STATUS_OF.get(order.status)
    client_id = checked_client_id("privateOrders.clientId", order.clientId)
    if kind is None:
        return ForeignOrder(symbol, order_id, client_id, str(order.orderType), open=order.status not in _ENDED)
    if status is None:
        raise MalformedReply(f"a private order with status {order.status}")
    updated_at = wrapper.sendTime or wrapper.createTime
    return OrderReport(
        symbol=symbol,
        order_id=order_id,
        client_id=client_id,
        side=_side(order.tradeType),
        type=kind,
        status=status,
        price=reply_amount("price", order.price),
        quantity=reply_amount("quantity", order.quantity),
        executed=reply_amount("cumulativeQuantity", order.cumulativeQuantity),
        executed_quote=reply_amount("cumulativeAmount", order.cumulativeAmount),
        created_at=reply_millis("createTime", order.createTime),
        updated_at=reply_millis("sendTime", updated_at) if updated_at else None,
    )


def _get_fill(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    deal = wrapper.privateDeals
    if not deal.time:
        raise MalformedReply("a private deal without its time")
    fee = reply_decimal("feeAmount", deal.feeAmount)
    if fee and not deal.feeCurrency:
        raise MalformedReply("a private deal with a fee in no asset")
    return Fill(
        trade_id=checked_id("privateDeals.tradeId", deal.tradeId),
        order_id=checked_id("privateDeals.orderId", deal.orderId),
        client_id=checked_client_id("privateDeals.clientOrderId", deal.clientOrderId),
        symbol=_symbol(wrapper, channel),
        side=_side(deal.tradeType),
        price=reply_amount("price", deal.price),
        quantity=reply_amount("quantity", deal.quantity),
        quote=reply_amount("amount", deal.amount),
        fee=fee,
        fee_asset=deal.feeCurrency,
        maker=deal.isMaker,
        at=reply_millis("time", deal.time),
    )


def _get_balance(wrapper: PushDataV3ApiWrapper, channel: Channel) -> Body:
    account = wrapper.privateAccount
    if not account.vcoinName:
        raise MalformedReply(f"a balance without its asset on {channel.name!r}")
    return BalanceUpdate(
        asset=account.vcoinName,
        free=reply_amount("balanceAmount", account.balanceAmount),
        free_change=reply_decimal("balanceAmountChange", account.balanceAmountChange),
        locked=reply_amount("frozenAmount", account.frozenAmount),
        locked_change=reply_decimal("frozenAmountChange", account.frozenAmountChange),
        reason=_REASON_OF.get(account.type, BalanceReason.UNLISTED),
        at=reply_millis("time", account.time),
    )


_READERS: Mapping[str, Callable[[PushDataV3ApiWrapper, Channel], Body]] = MappingProxyType(
    {
        "publicAggreDepths": _get_depth,
        "publicAggreDeals": _get_trades,
        "publicAggreBookTicker": _get_ticker,
        "publicBookTickerBatch": _get_tickers,
        "publicLimitDepths": _get_limit_depth,
        "publicIncreaseDepthsBatch": _get_steps,
        "publicMiniTicker": _get_mini,
        "publicMiniTickers": _get_minis,
        "publicSpotKline": _get_kline,
        "privateOrders": _get_order,
        "privateDeals": _get_fill,
        "privateAccount": _get_balance,
    }
)


def _levels(items: Iterable[_Item]) -> Levels:
    # Depth is most of a feed's data. Prices repeat and are cached; quantities rarely repeat, so plain digits, the only form that
    # MEXC sends, are recognised here, and any other form takes the slow path.
    return tuple(
        [
            (
                _level_decimal(item.price),
                Decimal(text)
                if len(text := item.quantity) < _LONG and text.isascii() and text[:1] != "." and text.replace(".", "", 1).isdigit()
                else reply_amount("level", text),
            )
            for item in items
        ]
    )


@lru_cache(maxsize=16_384)
def _level_decimal(text: str) -> Decimal:
    return reply_amount("level", text)


def _version(text: str) -> int | None:
    return reply_integer("version", text) if text else None


def _symbol(wrapper: PushDataV3ApiWrapper, channel: Channel) -> str:
    symbol = channel.symbol or wrapper.symbol
    if not symbol:
        raise MalformedReply(f"a push on {channel.name!r} without a symbol")
    return symbol


def _side(number: int) -> Side:
    side = _SIDE_OF.get(number)
    if side is None:
        raise MalformedReply(f"unknown trade type {number}")
    return side
