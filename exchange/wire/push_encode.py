"""Typed pushes to the stream's binary frames, as a venue sends them (mexc-spot-v3.md §7.3, §7.4, §7.6)."""

from __future__ import annotations

from decimal import Decimal

from exchange.model import Fill, OrderReport
from exchange.wire.market import BookTicker
from exchange.wire.numbers import exact_product, plain
from exchange.wire.orders import venue_status
from exchange.wire.pb.push_pb2 import PushDataV3ApiWrapper
from exchange.wire.push import (
    ORDER_TYPES,
    SIDES,
    STATUSES,
    BalanceUpdate,
    DepthLevels,
    DepthUpdate,
    KlineUpdate,
    OrderExtras,
    Push,
    TradeBatch,
)
from exchange.wire.stream import Channel

_SECOND = 1_000


def encode_push(push: Push, extras: OrderExtras | None = None) -> bytes:
    """The binary frame for a push; ``extras`` only matters to a private order."""
    wrapper = PushDataV3ApiWrapper(channel=push.channel.name, createTime=push.created_at, sendTime=push.sent_at)
    body = push.body
    if not isinstance(body, BalanceUpdate):
        wrapper.symbol = body.symbol
    match body:
        case DepthUpdate():
            _put_depth(wrapper, push.channel, body)
        case TradeBatch():
            _put_trades(wrapper, push.channel, body)
        case BookTicker():
            _put_ticker(wrapper, body)
        case DepthLevels():
            _put_levels(wrapper, push.channel, body)
        case KlineUpdate():
            _put_kline(wrapper, body)
        case OrderReport():
            _put_order(wrapper, body, extras or OrderExtras())
        case Fill():
            _put_fill(wrapper, body)
        case BalanceUpdate():
            _put_balance(wrapper, body)
    return wrapper.SerializeToString()


def _put_depth(wrapper: PushDataV3ApiWrapper, channel: Channel, body: DepthUpdate) -> None:
    depth = wrapper.publicAggreDepths
    depth.eventType = _event_type(channel)
    depth.fromVersion, depth.toVersion = str(body.from_version), str(body.to_version)
    for price, quantity in body.bids:
        depth.bids.add(price=plain(price), quantity=plain(quantity))
    for price, quantity in body.asks:
        depth.asks.add(price=plain(price), quantity=plain(quantity))


def _put_trades(wrapper: PushDataV3ApiWrapper, channel: Channel, body: TradeBatch) -> None:
    deals = wrapper.publicAggreDeals
    deals.eventType = _event_type(channel)
    for trade in body.trades:
        deals.deals.add(
            price=plain(trade.price),
            quantity=plain(trade.quantity),
            tradeType=SIDES[trade.taker_side],
            time=trade.at,
            tradeId=trade.trade_id,
        )


def _put_ticker(wrapper: PushDataV3ApiWrapper, body: BookTicker) -> None:
    ticker = wrapper.publicAggreBookTicker
    ticker.bidPrice, ticker.bidQuantity = plain(body.bid), plain(body.bid_quantity)
    ticker.askPrice, ticker.askQuantity = plain(body.ask), plain(body.ask_quantity)


def _put_levels(wrapper: PushDataV3ApiWrapper, channel: Channel, body: DepthLevels) -> None:
    levels = wrapper.publicLimitDepths
    levels.eventType, levels.version = channel.topic.value, str(body.version)
    for price, quantity in body.bids:
        levels.bids.add(price=plain(price), quantity=plain(quantity))
    for price, quantity in body.asks:
        levels.asks.add(price=plain(price), quantity=plain(quantity))


def _put_kline(wrapper: PushDataV3ApiWrapper, body: KlineUpdate) -> None:
    kline, candle = wrapper.publicSpotKline, body.candle
    kline.interval = body.interval.stream_name
    kline.windowStart, kline.windowEnd = candle.open_time // _SECOND, candle.close_time // _SECOND
    kline.openingPrice, kline.closingPrice = plain(candle.open), plain(candle.close)
    kline.highestPrice, kline.lowestPrice = plain(candle.high), plain(candle.low)
    kline.volume, kline.amount = plain(candle.volume), plain(candle.quote_volume)


def _put_order(wrapper: PushDataV3ApiWrapper, report: OrderReport, extras: OrderExtras) -> None:
    order = wrapper.privateOrders
    remaining = report.quantity - report.executed
    amount = exact_product(report.price, report.quantity) if extras.amount is None else extras.amount
    left = exact_product(report.price, remaining) if extras.remaining_amount is None else extras.remaining_amount
    average = report.executed_quote / report.executed if report.executed else Decimal(0)
    order.id, order.clientId = report.order_id, report.client_id
    order.price, order.quantity, order.amount, order.avgPrice = (
        plain(value) for value in (report.price, report.quantity, amount, average)
    )
    order.orderType, order.tradeType = ORDER_TYPES[report.type], SIDES[report.side]
    order.isMaker = extras.maker
    order.remainAmount, order.remainQuantity = plain(left), plain(remaining)
    if extras.last_quantity is not None:
        order.lastDealQuantity = plain(extras.last_quantity)
    order.cumulativeQuantity, order.cumulativeAmount = plain(report.executed), plain(report.executed_quote)
    order.status, order.createTime = STATUSES[venue_status(report.status)], report.created_at


def _put_fill(wrapper: PushDataV3ApiWrapper, fill: Fill) -> None:
    deal = wrapper.privateDeals
    deal.price, deal.quantity, deal.amount = plain(fill.price), plain(fill.quantity), plain(fill.quote)
    deal.tradeType, deal.isMaker = SIDES[fill.side], fill.maker
    deal.tradeId, deal.clientOrderId, deal.orderId = fill.trade_id, fill.client_id, fill.order_id
    deal.feeAmount, deal.feeCurrency, deal.time = plain(fill.fee), fill.fee_asset, fill.at


def _put_balance(wrapper: PushDataV3ApiWrapper, body: BalanceUpdate) -> None:
    account = wrapper.privateAccount
    account.vcoinName, account.coinId = body.asset, body.asset
    account.balanceAmount, account.balanceAmountChange = plain(body.free), plain(body.free_change)
    account.frozenAmount, account.frozenAmountChange = plain(body.locked), plain(body.locked_change)
    account.type, account.time = body.reason.value, body.at


def _event_type(channel: Channel) -> str:
    return f"{channel.topic.value}@{channel.speed.value}" if channel.speed is not None else channel.topic.value
