"""Orders and fills of the state as a bot is shown them, by REST and by streams."""

from __future__ import annotations

from decimal import Decimal

from controller.core import events as e
from controller.core.order_state import OrderState
from exchange.model import Fill, Millis, OrderReport

_ZERO = Decimal(0)


def report_of(order: OrderState) -> OrderReport:
    """An order, with gatehouse's id and the bot's own."""
    return OrderReport(
        symbol=order.symbol,
        order_id=order.client_id,
        client_id=order.bot_client_id,
        side=order.side,
        type=order.type,
        status=order.status,
        price=order.price if order.price is not None else order.venue_price or _ZERO,
        quantity=order.quantity if order.quantity is not None else order.venue_quantity or _ZERO,
        executed=order.executed,
        executed_quote=order.executed_quote,
        created_at=order.admitted_at,
        updated_at=order.updated_at,
        quote_quantity=order.quote_quantity,
    )


def fill_of(booked: e.FillBooked, order: OrderState) -> Fill:
    """A trade of an order."""
    return Fill(
        trade_id=booked.trade_id,
        order_id=order.client_id,
        client_id=order.bot_client_id,
        symbol=booked.symbol,
        side=booked.side,
        price=booked.price,
        quantity=booked.quantity,
        quote=booked.quote,
        fee=booked.fee,
        fee_asset=booked.fee_asset,
        maker=booked.maker,
        at=Millis(booked.traded_at),
    )
