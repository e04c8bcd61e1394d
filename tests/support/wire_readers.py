"""Reads replies that gatehouse itself never asks for, so that tests can say what a venue of ours has written.

Every reader raises ``MalformedReply`` for what MEXC would not send.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from exchange.model import MarketTrade, Side
from exchange.wire.errors import MalformedReply, error_of
from exchange.wire.fields import Fields, as_list
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


def parse_price(decoded: object) -> tuple[str, Decimal]:
    """Read one ``ticker/price`` object."""
    fields = Fields("price", decoded)
    return fields.text("symbol"), fields.decimal("price")


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
