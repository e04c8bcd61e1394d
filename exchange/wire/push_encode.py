"""Writes typed pushes as the stream's binary frames, for a venue (mexc-spot-v3.md §7.3, §7.4, §7.6)."""

from __future__ import annotations

from decimal import Decimal

from exchange.model import Fill, ForeignOrder, OrderReport, OrderStatus
from exchange.wire.market import BookTicker
from exchange.wire.numbers import exact_product, plain
from exchange.wire.orders import venue_status
from exchange.wire.pb.market_pb2 import PublicMiniTickerV3Api
from exchange.wire.pb.push_pb2 import PushDataV3ApiWrapper
from exchange.wire.push import (
    ORDER_TYPES,
    SIDES,
    STATUSES,
    BalanceUpdate,
    BookTickerBatch,
    DepthBatch,
    DepthLevels,
    DepthUpdate,
    KlineUpdate,
    MiniTicker,
    MiniTickers,
    OrderExtras,
    PublicBody,
    Push,
    TradeBatch,
)
from exchange.wire.stream import Channel

_SECOND = 1_000


def encode_push(push: Push, extras: OrderExtras | None = None) -> bytes:
    """The binary frame for a push; ``extras`` is used for a private order only."""
    wrapper = PushDataV3ApiWrapper(channel=push.channel.name, createTime=push.created_at, sendTime=push.sent_at)
    body = push.body
    if not isinstance(body, BalanceUpdate | MiniTickers):
        wrapper.symbol = body.symbol
    if isinstance(body, OrderReport | ForeignOrder | Fill | BalanceUpdate):
        _put_private(wrapper, body, extras or OrderExtras())
    else:
        _put_public(wrapper, push.channel, body)
    return wrapper.SerializeToString()


def _put_private(
    wrapper: PushDataV3ApiWrapper, body: OrderReport | ForeignOrder | Fill | BalanceUpdate, extras: OrderExtras
) -> None:
    match body:
        case OrderReport():
            _put_order(wrapper, body, extras)
        case ForeignOrder():
            order = wrapper.privateOrders
            order.id, order.clientId, order.orderType = body.order_id, body.client_id, int(body.kind)
            order.status = STATUSES[OrderStatus.NEW if body.open else OrderStatus.CANCELED]
        case Fill():
            _put_fill(wrapper, body)
        case BalanceUpdate():
            _put_balance(wrapper, body)


def _put_public(wrapper: PushDataV3ApiWrapper, channel: Channel, body: PublicBody) -> None:
    match body:
        case DepthUpdate():
            _put_depth(wrapper, channel, body)
        case TradeBatch():
            _put_trades(wrapper, channel, body)
        case BookTicker():
            _put_ticker(wrapper, body)
        case BookTickerBatch():
            _put_tickers(wrapper, body)
        case DepthLevels():
            _put_levels(wrapper, channel, body)
        case DepthBatch():
            _put_steps(wrapper, channel, body)
        case KlineUpdate():
            _put_kline(wrapper, body)
        case MiniTicker():
            _put_mini(wrapper.publicMiniTicker, body)
        case MiniTickers(tickers=tickers):
            # Accessing the field makes it the message's body, even if nothing has traded yet.
            wrapper.publicMiniTickers.SetInParent()
            for ticker in tickers:
                _put_mini(wrapper.publicMiniTickers.items.add(), ticker)


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
    if body.version is not None:
        ticker.version = str(body.version)


def _put_tickers(wrapper: PushDataV3ApiWrapper, body: BookTickerBatch) -> None:
    batch = wrapper.publicBookTickerBatch
    batch.SetInParent()
    if body.version is not None:
        batch.version = str(body.version)
    for one in body.tickers:
        batch.items.add(
            bidPrice=plain(one.bid),
            bidQuantity=plain(one.bid_quantity),
            askPrice=plain(one.ask),
            askQuantity=plain(one.ask_quantity),
        )


def _put_steps(wrapper: PushDataV3ApiWrapper, channel: Channel, body: DepthBatch) -> None:
    batch = wrapper.publicIncreaseDepthsBatch
    batch.eventType = channel.topic.value
    for step in body.steps:
        item = batch.items.add(eventType=channel.topic.value, version=str(step.version))
        for price, quantity in step.bids:
            item.bids.add(price=plain(price), quantity=plain(quantity))
        for price, quantity in step.asks:
            item.asks.add(price=plain(price), quantity=plain(quantity))


def _put_mini(ticker: PublicMiniTickerV3Api, body: MiniTicker) -> None:
    ticker.symbol, ticker.price = body.symbol, plain(body.price)
    ticker.rate, ticker.zonedRate = plain(body.rate), plain(body.zoned_rate)
    ticker.high, ticker.low = plain(body.high), plain(body.low)
    ticker.volume, ticker.quantity = plain(body.quote_volume), plain(body.volume)
    ticker.lastCloseRate, ticker.lastCloseZonedRate = plain(body.last_close_rate), plain(body.last_close_zoned_rate)
    ticker.lastCloseHigh, ticker.lastCloseLow = plain(body.last_close_high), plain(body.last_close_low)


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
