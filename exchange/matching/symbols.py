"""The default symbols of the testnet and the mock venue, with values from MEXC's ``exchangeInfo`` (mexc-spot-v3.md §3.1, §6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from types import MappingProxyType

from exchange.book import Level
from exchange.decimals import decimals
from exchange.errors import ConfigError
from exchange.model import OrderType, SymbolRules
from exchange.tape import TapeGap, TapeRecord, TapeTrade

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

_QUOTES = ("USDT", "USDC", "USDE", "USD1", "EUR", "BTC", "ETH")
_LOOKED_AT = 5_000


def rules_for(records: Iterable[TapeRecord]) -> Mapping[str, SymbolRules]:
    """The default rules, and for a tape of another symbol rules like BTCUSDT's with the decimals the tape itself uses.

    Only the first records are read. The venue's real precisions may be finer, never coarser.

    Raises:
        ConfigError: there is no record, or the symbol does not end in a quote asset of MEXC.
    """
    prices, quantities, symbol = 0, 0, ""
    for record in islice(records, _LOOKED_AT):
        symbol = record.symbol
        if symbol in DEFAULT_RULES:
            return DEFAULT_RULES
        if isinstance(record, TapeTrade):
            levels: Iterable[Level] = ((record.trade.price, record.trade.quantity),)
        else:
            levels = () if isinstance(record, TapeGap) else (*record.bids, *record.asks)
        for price, quantity in levels:
            prices, quantities = max(prices, decimals(price)), max(quantities, decimals(quantity))
    return MappingProxyType({**DEFAULT_RULES, symbol: rules_like(symbol, quantities, prices)})


def rules_like(symbol: str, quantities: int = BTCUSDT.quantity_precision, prices: int = BTCUSDT.price_precision) -> SymbolRules:
    """BTCUSDT's rules for another symbol, with these decimals. Raises ``ConfigError`` when its assets cannot be told apart."""
    quote = next((one for one in _QUOTES if symbol.endswith(one) and symbol != one), None)
    if quote is None:
        raise ConfigError(
            f"the assets of {symbol or 'an empty tape'} are unknown",
            code="tape-symbol-unknown",
            remedy=f"Use a symbol that ends in one of {', '.join(_QUOTES)}.",
        )
    return replace(
        BTCUSDT,
        symbol=symbol,
        base=symbol.removesuffix(quote),
        quote=quote,
        quantity_precision=quantities,
        price_precision=prices,
        min_quantity=Decimal(1).scaleb(-quantities),
    )
