"""Reads replies that gatehouse itself never asks for, so that tests can say what a venue of ours has written.

Every reader raises ``MalformedReply`` for what MEXC would not send.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from exchange.model import MarketTrade, Side
from exchange.wire.errors import MalformedReply, error_of
from exchange.wire.fields import Fields, as_list
from exchange.wire.market import Candle, DayTicker
from exchange.wire.numbers import reply_decimal, reply_millis
from exchange.wire.orders import parse_ack
from exchange.wire.profile import KycLevel, StrategyGroup


def parse_trades(symbol: str, decoded: object) -> tuple[MarketTrade, ...]:
    """Read ``trades``; MEXC numbers none, so ``trade_id`` is empty."""
    return tuple(
        _trade(symbol, Fields("trade", item), ("price", "qty", "isBuyerMaker", "time")) for item in as_list("trades", decoded)
    )


def parse_agg_trades(symbol: str, decoded: object) -> tuple[MarketTrade, ...]:
    """Read ``aggTrades``."""
    return tuple(_trade(symbol, Fields("trade", item), ("p", "q", "m", "T")) for item in as_list("aggTrades", decoded))


def parse_klines(decoded: object) -> tuple[Candle, ...]:
    """Read ``klines``."""
    candles: list[Candle] = []
    for item in as_list("klines", decoded):
        row = as_list("kline", item)
        if len(row) < 8:
            raise MalformedReply("a kline has fewer than 8 columns")
        opening, high, low, close, volume = (reply_decimal("kline", value) for value in row[1:6])
        candles.append(
            Candle(
                open_time=reply_millis("kline.openTime", row[0]),
                open=opening,
                high=high,
                low=low,
                close=close,
                volume=volume,
                close_time=reply_millis("kline.closeTime", row[6]),
                quote_volume=reply_decimal("kline.quoteVolume", row[7]),
            )
        )
    return tuple(candles)


def parse_day_ticker(decoded: object) -> DayTicker:
    """Read one ``ticker/24hr`` object; an absent book side reads as 0."""
    fields = Fields("ticker", decoded)
    return DayTicker(
        symbol=fields.text("symbol"),
        last=fields.decimal("lastPrice"),
        open=fields.decimal("openPrice"),
        high=fields.decimal("highPrice"),
        low=fields.decimal("lowPrice"),
        volume=fields.decimal("volume"),
        quote_volume=_or_zero(fields, "quoteVolume"),
        bid=_or_zero(fields, "bidPrice"),
        bid_quantity=_or_zero(fields, "bidQty"),
        ask=_or_zero(fields, "askPrice"),
        ask_quantity=_or_zero(fields, "askQty"),
        open_time=fields.millis("openTime"),
        close_time=fields.millis("closeTime"),
    )


def _or_zero(fields: Fields, name: str) -> Decimal:
    return Decimal(0) if fields.raw(name) in (None, "") else fields.decimal(name)


def parse_price(decoded: object) -> tuple[str, Decimal]:
    """Read one ``ticker/price`` object."""
    fields = Fields("price", decoded)
    return fields.text("symbol"), fields.decimal("price")


def parse_average_price(decoded: object) -> Decimal:
    """Read ``avgPrice``."""
    return Fields("avgPrice", decoded).decimal("price")


def parse_batch_reply(decoded: object) -> dict[str, Any]:
    """Read the reply to ``batchOrders``: an acknowledgement or an error by our id. The place of an element means nothing."""
    found: dict[str, Any] = {}
    for item in as_list("batchOrders", decoded):
        name = Fields("batchOrders", item).text("newClientOrderId")
        if name in found:
            raise MalformedReply(f"batchOrders answers {name} twice")
        found[name] = error_of(200, item) or parse_ack(item)
    return found


def parse_kyc(decoded: object) -> KycLevel:
    """Read ``kyc/status``."""
    return KycLevel(Fields("kyc", decoded).text("status"))


def parse_uid(decoded: object) -> str:
    """Read ``uid``."""
    return Fields("uid", decoded).text("uid")


def parse_mx_deduct(decoded: object) -> bool:
    """Read ``mxDeduct/enable``."""
    return Fields("mxDeduct", decoded).fields("data").flag("mxDeductEnable")


def parse_group_reply(decoded: object) -> StrategyGroup:
    """Read the reply to creating a group or adding uids to one."""
    return _group(Fields("strategyGroup", decoded).raw("data"))


def parse_groups_reply(decoded: object) -> tuple[StrategyGroup, ...]:
    """Read the reply to listing groups."""
    return tuple(_group(item) for item in as_list("strategyGroups", Fields("strategyGroups", decoded).raw("data")))


def _group(decoded: object) -> StrategyGroup:
    fields = Fields("group", decoded)
    uids = fields.text_or_empty("tradeGroupUid")
    return StrategyGroup(
        id=fields.integer("tradeGroupId"),
        name=fields.text("tradeGroupName"),
        created_at=fields.millis("createTime"),
        updated_at=fields.millis("updateTime"),
        uids=tuple(uids.split(",")) if uids else (),
    )


def _trade(symbol: str, fields: Fields, names: tuple[str, str, str, str]) -> MarketTrade:
    price, quantity, buyer_is_maker, at = names
    return MarketTrade(
        symbol=symbol,
        price=fields.decimal(price),
        quantity=fields.decimal(quantity),
        taker_side=Side.SELL if fields.flag(buyer_is_maker) else Side.BUY,
        at=fields.millis(at),
        trade_id="",
    )
