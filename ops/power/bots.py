"""Bots whose worth is known, and the series of a run of theirs on a simulated price path.

A bot decides every so many minutes whether it holds the coin or not, because nobody can be short on spot; with market orders it buys for
nine tenths of the cap and sells all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from exchange.model import Millis, OrderType, Side
from gates.series import GRID_MS, Column, EquityPoint, Execution, RoundTrip, RunSeries
from ops.power import market

CAP_EUR = Decimal(10)
_STAKE_EUR = 9.0
_MINUTE_MS = 60_000
_START_MS = 1_790_812_800_000
_UNIT = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class Bot:
    """``skill`` is the probability that it knows whether the price rises until it decides again; one half is a coin.

    ``changes``: it decides otherwise than before each time, whatever it knows. ``fee`` is the fraction of each fill.
    """

    name: str
    every_minutes: int
    skill: float = 0.5
    changes: bool = False
    fee: float = 0.0005

    def holds(self, path: NDArray[np.float64], dice: np.random.Generator) -> NDArray[np.bool_]:
        """Whether it holds the coin, for each of its decisions."""
        seen = path[:: self.every_minutes]
        rises = seen[1:] > seen[:-1]
        if self.changes:
            return np.arange(len(rises)) % 2 == 0
        knows = dice.random(len(rises)) < self.skill
        return np.where(knows, rises, ~rises)


class _Book:
    """The books of a run while it is simulated. EUR and the quote asset are the same here."""

    def __init__(self, bot: Bot, dice: np.random.Generator) -> None:
        self._bot, self._dice = bot, dice
        self.cash, self.coins, self.fees, self.slippage = float(CAP_EUR), 0.0, 0.0, 0.0
        self._bought: tuple[int, float, float] = (0, 0.0, 0.0)
        self.orders: list[Execution] = []
        self.trips: list[RoundTrip] = []

    def trade(self, side: Side, mid: float, at: int) -> None:
        """A market order that fills at once, half a spread and a little noise away from the mid price."""
        worse = (market.HALF_SPREAD_BPS + self._dice.exponential(0.5)) / 10_000
        price = mid * (1 + worse) if side is Side.BUY else mid * (1 - worse)
        quantity = _STAKE_EUR / mid if side is Side.BUY else self.coins
        quote = quantity * price
        fee = quote * self._bot.fee
        self.fees += fee
        self.slippage += quantity * abs(price - mid)
        if side is Side.BUY:
            self._bought = (at, quote, fee)
            self.cash, self.coins = self.cash - quote - fee, quantity
        else:
            opened, cost, paid = self._bought
            self.cash, self.coins = self.cash + quote - fee, 0.0
            self.trips.append(RoundTrip("BTCUSDT", Millis(opened), Millis(at), _exact(cost), _exact(quote - fee - cost - paid)))
        wait = 80 + int(self._dice.exponential(60))
        filled, middle = _exact(quantity), _exact(mid)
        self.orders.append(
            Execution(
                "BTCUSDT",
                side,
                OrderType.MARKET,
                Millis(at),
                Millis(at + wait),
                middle,
                middle,
                filled,
                filled,
                _exact(quote),
                _exact(fee),
                wait,
            )  # fmt: skip
        )

    def point(self, mid: float, at: int) -> EquityPoint:
        """The equity at this instant."""
        return EquityPoint(Millis(at), _exact(self.cash + self.coins * mid), _exact(mid), _exact(self.fees), _exact(self.slippage))


def run(bot: Bot, days: float, seed: int) -> RunSeries:
    """A run of ``bot`` over some days of a price path of its own."""
    dice = np.random.default_rng(seed)
    minutes = round(days * 24 * 60)
    path = market.prices(minutes, dice)
    decided = bot.holds(path, dice)
    book = _Book(bot, dice)
    points = []
    for minute in range(minutes + 1):
        at, mid, number = _START_MS + minute * _MINUTE_MS, float(path[minute]), minute // bot.every_minutes
        if minute % bot.every_minutes == 0 and number < len(decided) and bool(decided[number]) != (book.coins > 0):
            book.trade(Side.BUY if decided[number] else Side.SELL, mid, at)
        if minute * _MINUTE_MS % GRID_MS == 0:
            points.append(book.point(mid, at))
    return RunSeries(Millis(_START_MS), CAP_EUR, Decimal(1), _column(points), _column(book.orders), _column(book.trips))


def _exact(value: float) -> Decimal:
    return Decimal(value).quantize(_UNIT)


def _column(items: list) -> Column:  # type: ignore[type-arg]
    column: Column = Column()  # type: ignore[type-arg]
    for item in items:
        column = column.with_item(item)
    return column
