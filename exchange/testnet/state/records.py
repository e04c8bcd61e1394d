"""Writes a venue's orders, fills and the rest as text for its state directory, and reads them back. ``persistence`` uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pydantic import TypeAdapter

from exchange.matching.events import Filled, FillEvidence, FillRecord
from exchange.matching.resting import OPEN_STATUSES, LiveOrder
from exchange.model import Fill, Millis, OrderStatus, OrderType, Side, SymbolRules
from exchange.testnet.conditions.listings import Listing
from exchange.testnet.saved import LateCancel
from exchange.wire.orders import StpMode
from exchange.wire.profile import StrategyGroup
from exchange.wire.wallet import Transfer


@dataclass(frozen=True, slots=True)
class MarketPlace:
    """Where a symbol's market was: its published version, offset and factor of its book, and its mid price, if it had one."""

    version: int
    offset: int
    factor: Decimal
    mid: Decimal | None


@dataclass(frozen=True, slots=True)
class MarketNote:
    """Where the market was: how many ms of its data had been played, and the place of each symbol."""

    played: int
    places: Mapping[str, MarketPlace]


@dataclass(frozen=True, slots=True)
class Beside:
    """What a venue keeps beside accounts, orders and its market."""

    listings: tuple[Listing, ...]
    groups: tuple[tuple[str, StrategyGroup], ...]
    pay_in_mx: tuple[str, ...]
    listen_keys: tuple[tuple[str, str, int], ...]
    late_cancels: tuple[LateCancel, ...]


NOTE = TypeAdapter(MarketNote)
BESIDE = TypeAdapter(Beside)
TRANSFER = TypeAdapter(Transfer)

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def order_text(order: LiveOrder) -> str:
    """An order as a list of its fields. Its place in the queue is not among them: a restart puts it behind what is displayed."""
    optional = (order.quantity, order.quote_quantity, order.last_quantity)
    return _encode(
        (
            *(order.rules.symbol, order.status, order.account, order.order_id, order.client_id, order.side, order.type),
            *(str(order.price), str(order.reserved), str(order.executed), str(order.executed_quote)),
            *(None if one is None else str(one) for one in optional),
            *(order.sequence, order.created_at, order.updated_at, order.fills, order.maker, order.stp_mode, order.cancel_reason),
        )
    )


def order_of(text: str, listed: Mapping[str, SymbolRules]) -> LiveOrder | None:
    """The order of a text, or ``None`` when it has ended and its symbol is not listed any more.

    Raises:
        KeyError: it is open and its symbol is not listed.
        ValueError, ArithmeticError: another text.
    """
    symbol, status, account, order_id, client_id, side, kind, price, reserved, executed, executed_quote, *rest = json.loads(text)
    quantity, quote_quantity, last_quantity, sequence, created_at, updated_at, fills, maker, stp_mode, cancel_reason = rest
    if symbol not in listed and OrderStatus(status) not in OPEN_STATUSES:
        return None
    return LiveOrder(
        account=account,
        rules=listed[symbol],
        order_id=order_id,
        client_id=client_id,
        side=Side(side),
        type=OrderType(kind),
        price=Decimal(price),
        quantity=_number(quantity),
        quote_quantity=_number(quote_quantity),
        reserved=Decimal(reserved),
        sequence=sequence,
        created_at=Millis(created_at),
        updated_at=Millis(updated_at),
        status=OrderStatus(status),
        executed=Decimal(executed),
        executed_quote=Decimal(executed_quote),
        fills=fills,
        last_quantity=_number(last_quantity),
        maker=maker,
        stp_mode=StpMode(stp_mode),
        cancel_reason=cancel_reason,
    )


def fill_text(event: Filled) -> str:
    """A fill with its evidence as a list of its fields."""
    fill, evidence = event.fill, event.evidence
    return _encode(
        (
            *(fill.symbol, event.account, fill.trade_id, fill.order_id, fill.client_id, fill.side),
            *(str(fill.price), str(fill.quantity), str(fill.quote), str(fill.fee), fill.fee_asset),
            *(fill.maker, fill.at, evidence.book_version, evidence.trade_ids),
        )
    )


def fill_of(text: str) -> FillRecord:
    """The fill of a text. Raises ``ValueError`` for another text."""
    symbol, account, trade_id, order_id, client_id, side, price, quantity, quote, fee, fee_asset, *rest = json.loads(text)
    maker, at, version, trade_ids = rest
    fill = Fill(
        trade_id=trade_id,
        order_id=order_id,
        client_id=client_id,
        symbol=symbol,
        side=Side(side),
        price=Decimal(price),
        quantity=Decimal(quantity),
        quote=Decimal(quote),
        fee=Decimal(fee),
        fee_asset=fee_asset,
        maker=maker,
        at=Millis(at),
    )
    return FillRecord(account, fill, FillEvidence(version, tuple(trade_ids)))


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
