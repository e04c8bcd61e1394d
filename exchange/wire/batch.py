"""Writes batches of orders and reads their replies, for a client (mexc-spot-v3.md §4.5). A venue uses ``orders.parse_batch``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from exchange.model import OrderIntent
from exchange.wire.errors import MalformedReply, WireError, error_of
from exchange.wire.fields import Fields, as_list
from exchange.wire.orders import MAX_BATCH, OrderAck, order_params, parse_ack

_OK = 200


def batch_params(intents: Sequence[OrderIntent]) -> list[tuple[str, str]]:
    """The parameters of ``POST batchOrders``, without ``timestamp`` and ``recvWindow``.

    Raises:
        ValueError: none or more than 20 orders, or orders of different symbols: MEXC refuses such a batch.
    """
    if not 0 < len(intents) <= MAX_BATCH or len({intent.symbol for intent in intents}) != 1:
        raise ValueError(f"a batch has 1 to {MAX_BATCH} orders of one symbol")
    return [("batchOrders", json.dumps([dict(order_params(intent)) for intent in intents], separators=(",", ":")))]


def parse_batch_reply(decoded: object, intents: Sequence[OrderIntent]) -> tuple[OrderAck | WireError | MalformedReply, ...]:
    """The outcome of each order, by position; a ``MalformedReply`` as the value of an element that proves nothing.

    Raises:
        MalformedReply: not a list with one element for every order, so the elements cannot be matched to orders.
    """
    items = as_list("batchOrders", decoded)
    if len(items) != len(intents):
        raise MalformedReply(f"{len(items)} results for a batch of {len(intents)}")
    return tuple(_result(item, intent) for item, intent in zip(items, intents, strict=True))


def _result(item: object, intent: OrderIntent) -> OrderAck | WireError | MalformedReply:
    try:
        fields = Fields("batchOrders", item)
        named = fields.text_or_empty("newClientOrderId")
        if named not in {"", intent.client_id}:
            return MalformedReply(f"a result for {named[:40]!r} instead of {intent.client_id!r}")
        error = error_of(_OK, item)
        if error is not None:
            return error
        ack = parse_ack(item)
    except MalformedReply as malformed:
        return malformed
    if ack.symbol != intent.symbol:
        return MalformedReply(f"an acknowledgement of {ack.symbol[:40]} instead of {intent.symbol}")
    return ack
