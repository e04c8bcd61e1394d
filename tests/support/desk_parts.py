"""What a desk is made with: a symbol's rules, and the chain its journal would have on disk."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from controller.core import event_codec
from controller.core import events as e
from controller.journal.chain import Head, Record, seal
from exchange.model import Millis, OrderType, SymbolRules

SYMBOL = "BTCUSDT"
D = Decimal

RULES = SymbolRules(
    symbol=SYMBOL,
    base="BTC",
    quote="USDT",
    quantity_precision=6,
    price_precision=2,
    min_quantity=D("0.000001"),
    min_notional=D(1),
    min_notional_market=D(1),
    max_notional=D(2_000_000),
    max_notional_market=D(100_000),
    maker_fee=D(0),
    taker_fee=D("0.0005"),
    order_types=frozenset(OrderType),
    trading=True,
    api_allowed=True,
)


def grown(head: Head, journal: Sequence[tuple[e.Event, Millis]]) -> Head:
    """The head of a journal that one process wrote, going on from one of its earlier heads."""
    for event, at in journal[head.seq :]:
        entry = seal(Record(event.kind, event_codec.encode(event)), head, epoch=1, at=at)
        head = Head(entry.seq, entry.hash, 1)
    return head
