"""A venue that refuses an order because its symbol is closed is believed at once, and its rules are read again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from controller.runtime.venues import symbol_rules
from controller.runtime.venues.symbol_rules import RulesReader, after_refusal
from exchange.errors import Unreachable
from exchange.model import OrderIntent, OrderType, Side, SymbolRules
from exchange.ports import VenueName
from exchange.wire.errors import ErrorCode

RULES = SymbolRules(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    quantity_precision=6,
    price_precision=2,
    min_quantity=Decimal(0),
    min_notional=Decimal(1),
    min_notional_market=Decimal(1),
    max_notional=Decimal(4_000_000),
    max_notional_market=Decimal(4_000_000),
    maker_fee=Decimal(0),
    taker_fee=Decimal("0.0005"),
    order_types=frozenset({OrderType.LIMIT, OrderType.MARKET}),
    trading=True,
    api_allowed=True,
)
BUY = OrderIntent("BTCUSDT", Side.BUY, OrderType.LIMIT, "c-1", quantity=Decimal("0.0001"), price=Decimal(60_000))


class Answering:
    """A venue that answers with these rules, or not at all."""

    def __init__(self, rules: SymbolRules) -> None:
        self.rules = rules
        self.silent = False
        self.asked = 0
        self.was_asked = asyncio.Event()

    async def symbol_rules(self, symbols: object) -> dict[str, SymbolRules]:
        self.asked += 1
        self.was_asked.set()
        if self.silent:
            raise Unreachable("no answer", code="venue-silent", remedy="Wait.")
        return {self.rules.symbol: self.rules}


def reader_of(venue: Answering) -> tuple[RulesReader, dict[str, SymbolRules]]:
    rules = {"BTCUSDT": RULES}
    return RulesReader({VenueName.LIVE: venue}, {VenueName.LIVE: rules}, ("BTCUSDT",)), rules  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        (ErrorCode.TRADING_SUSPENDED, replace(RULES, trading=False)),
        (ErrorCode.TRADING_DISABLED, replace(RULES, trading=False)),
        (ErrorCode.SYMBOL_NOT_SUPPORT_API, replace(RULES, api_allowed=False)),
        (ErrorCode.SIDE_NOT_ALLOWED, replace(RULES, buy_allowed=False)),
        (ErrorCode.BUYING_SUSPENDED, replace(RULES, buy_allowed=False)),
        (ErrorCode.TYPE_NOT_ALLOWED, replace(RULES, order_types=frozenset({OrderType.MARKET}))),
        (ErrorCode.INSUFFICIENT_BALANCE, RULES),
        (ErrorCode.TOO_MANY_OPEN_ORDERS, RULES),
    ],
)
def test_a_refusal_closes_what_it_names_and_nothing_else(code: ErrorCode, changed: SymbolRules) -> None:
    assert after_refusal(RULES, BUY, code) == changed


def test_a_refused_sale_closes_sales_and_not_buys() -> None:
    assert after_refusal(RULES, replace(BUY, side=Side.SELL), ErrorCode.SELLING_SUSPENDED) == replace(RULES, sell_allowed=False)


async def test_the_next_order_sees_the_closed_symbol_before_any_reading() -> None:
    venue = Answering(RULES)
    reader, rules = reader_of(venue)
    reader.refused(VenueName.LIVE, BUY, ErrorCode.TRADING_SUSPENDED)
    assert (rules["BTCUSDT"].trading, venue.asked) == (False, 0)


async def test_a_refusal_by_the_mock_executor_changes_no_venues_rules() -> None:
    reader, rules = reader_of(Answering(RULES))
    reader.refused(VenueName.MOCK, BUY, ErrorCode.TRADING_SUSPENDED)
    assert rules["BTCUSDT"] == RULES


async def test_the_next_reading_opens_the_symbol_again() -> None:
    venue = Answering(RULES)
    reader, rules = reader_of(venue)
    reader.refused(VenueName.LIVE, BUY, ErrorCode.TRADING_SUSPENDED)
    await reader.read()
    assert rules["BTCUSDT"] == RULES


async def test_a_venue_that_does_not_answer_keeps_the_last_rules() -> None:
    venue = Answering(replace(RULES, trading=False))
    venue.silent = True
    reader, rules = reader_of(venue)
    await reader.read()
    assert rules["BTCUSDT"] == RULES


async def test_a_refusal_is_followed_by_a_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol_rules, "READ_AGAIN_AFTER_S", 0.0)
    venue = Answering(replace(RULES, trading=False))
    reader, _ = reader_of(venue)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0)
    assert venue.asked == 0
    reader.refused(VenueName.LIVE, BUY, ErrorCode.TRADING_SUSPENDED)
    await venue.was_asked.wait()
    task.cancel()
