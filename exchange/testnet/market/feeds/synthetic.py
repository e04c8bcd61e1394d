"""Generates a market from a seed: a random walk with a full book, for tests and demos without a tape. The testnet plays it.

Measurements on it prove nothing about a real market; its source is always ``DataSource.SYNTHETIC``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from exchange.errors import ConfigError
from exchange.model import DataSource, MarketTrade, Millis, Side, SymbolRules
from exchange.tape import DepthDelta, DepthSnapshot, Levels, TapeRecord, TapeTrade

SOURCE = DataSource.SYNTHETIC
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """The parameters of the walk. ``step_ticks`` bounds the mid's move per interval, ``spread_ticks`` is the spread;
    levels are one tick apart and have up to ``level_steps`` quantity steps each. ``last_trade`` is the number of the last trade of
    a walk that this one continues."""

    rules: SymbolRules
    start_price: Decimal
    seed: int
    interval: int = 100
    step_ticks: int = 20
    spread_ticks: int = 2
    levels: int = 25
    level_steps: int = 2_000_000
    last_trade: int = 0


def synthetic(market: SyntheticMarket, start: Millis) -> Iterator[TapeRecord]:
    """An endless, seeded stream of records beginning at ``start``: a snapshot, then per interval up to three trades and a delta.

    Trades happen at the best prices of the book before them and are at most as large as what is displayed there.

    Raises:
        ConfigError: a start price too low for a book above zero.
    """
    rules, tick = market.rules, market.rules.tick_size
    mid = int(market.start_price / tick)
    floor = market.levels + market.spread_ticks + 1
    if mid <= floor or min(market.interval, market.spread_ticks, market.levels, market.level_steps) < 1:
        raise ConfigError(
            f"there is no room for a book around {market.start_price}",
            code="synthetic-market-invalid",
            remedy="Raise the start price and keep every size at 1 or more.",
        )
    walk = random.Random(market.seed)  # noqa: S311 - a simulation, not a secret
    bids, asks = _book(market, walk, mid)
    at, version, trade_id = start, 1, market.last_trade
    yield DepthSnapshot(rules.symbol, version, tuple(bids.items()), tuple(asks.items()), at, at)
    while True:
        for moment in sorted(walk.randrange(market.interval) for _ in range(walk.randrange(4))):
            trade_id += 1
            taker = Side.BUY if walk.randrange(2) else Side.SELL
            price = min(asks) if taker is Side.BUY else max(bids)
            shown = asks[price] if taker is Side.BUY else bids[price]
            quantity = max(rules.quantity_step, rules.quantise_quantity(shown * walk.randrange(1, 1001) / 1000))
            when = Millis(at + moment)
            yield TapeTrade(MarketTrade(rules.symbol, price, quantity, taker, when, str(trade_id)), when)
        at = Millis(at + market.interval)
        version += 1
        mid = max(floor, mid + walk.randint(-market.step_ticks, market.step_ticks))
        new_bids, new_asks = _book(market, walk, mid)
        yield DepthDelta(rules.symbol, version, version, _changes(bids, new_bids), _changes(asks, new_asks), at, at)
        bids, asks = new_bids, new_asks


def _book(market: SyntheticMarket, walk: random.Random, mid: int) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    tick, step = market.rules.tick_size, market.rules.quantity_step
    best_bid = mid - market.spread_ticks // 2
    best_ask = best_bid + market.spread_ticks
    bids = {tick * (best_bid - depth): step * walk.randint(1, market.level_steps) for depth in range(market.levels)}
    asks = {tick * (best_ask + depth): step * walk.randint(1, market.level_steps) for depth in range(market.levels)}
    return bids, asks


def _changes(old: dict[Decimal, Decimal], new: dict[Decimal, Decimal]) -> Levels:
    gone = [(price, _ZERO) for price in old if price not in new]
    return (*gone, *(level for level in new.items() if old.get(level[0]) != level[1]))
