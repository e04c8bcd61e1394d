"""The symbols the testnet lists by default. Values follow what MEXC's ``exchangeInfo`` reports (mexc-spot-v3.md §3.1, §6)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from exchange.model import OrderType, SymbolRules

LISTED_TYPES = frozenset({OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET})
"""IOC and FOK are accepted although MEXC never lists them (mexc-spot-v3.md §3.1)."""

BTCUSDT = SymbolRules(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    quantity_precision=6,
    price_precision=2,
    min_quantity=Decimal("0.000001"),
    min_notional=Decimal(1),
    min_notional_market=Decimal(1),
    max_notional=Decimal(2_000_000),
    max_notional_market=Decimal(2_000_000),
    maker_fee=Decimal(0),
    taker_fee=Decimal("0.0005"),
    order_types=LISTED_TYPES,
    trading=True,
    api_allowed=True,
)

DEFAULT_RULES: Mapping[str, SymbolRules] = MappingProxyType({BTCUSDT.symbol: BTCUSDT})
"""Rules by symbol, for an ``Engine``."""
