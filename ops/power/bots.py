"""Bots whose worth is known, and the series of their runs on a simulated price path.

A bot decides every so many minutes whether it holds the coin, because nobody can be short on spot. It buys with market orders for a
part of the cap, and sells all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from exchange.model import Millis, OrderType, Side
from gates.series import GRID_MS, Column, EquityPoint, Execution, RoundTrip, RunSeries
from ops.power import market

CAP_EUR = Decimal(10)
_MINUTE_MS = 60_000
_START_MS = 1_790_812_800_000
_UNIT = Decimal("0.000000001")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Bot:
    """``skill`` is the probability that it knows whether the price rises until it decides again; one half is a coin.

    ``changes``: it decides otherwise than before each time, whatever it knows. ``fee`` is the part of each fill
    that it pays, ``stake`` the part of the cap that it buys for.
    """

    name: str
    every_minutes: int
    skill: float = 0.5
    changes: bool = False
    fee: float = 0.0005
    stake: float = 0.9

    @property
    def round_trips_a_day(self) -> float:
        """How many it ends in a day, on average: it changes its mind every other time, or every time."""
        return 24 * 60 / self.every_minutes / (2 if self.changes else 4)

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
        quantity = float(CAP_EUR) * self._bot.stake / mid if side is Side.BUY else self.coins
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
        ends, sums = (Millis(at), Millis(at + wait)), (filled, filled, _exact(quote), _exact(fee))
        self.orders.append(Execution("BTCUSDT", side, OrderType.MARKET, *ends, middle, middle, *sums, wait))

    def point(self, mid: float, at: int) -> EquityPoint:
        """The equity at this instant."""
        return EquityPoint(Millis(at), _exact(self.cash + self.coins * mid), _exact(mid), _exact(self.fees), _exact(self.slippage))


def run(bot: Bot, days: float, seed: int) -> RunSeries:
    """A run of ``bot`` over some days of a price path of its own."""
    dice = np.random.default_rng(seed)
    minutes = round(days * 24 * 60)
    path = market.prices(minutes, dice)
    decided = bot.holds(path, dice).tolist()
    mids = path.tolist()
    book = _Book(bot, dice)
    points = []
    for minute in range(minutes + 1):
        at, mid, number = _START_MS + minute * _MINUTE_MS, mids[minute], minute // bot.every_minutes
        if minute % bot.every_minutes == 0 and number < len(decided) and decided[number] != (book.coins > 0):
            book.trade(Side.BUY if decided[number] else Side.SELL, mid, at)
        if minute * _MINUTE_MS % GRID_MS == 0:
            points.append(book.point(mid, at))
    return _series(points, book.orders, book.trips)


def until(series: RunSeries, days: float) -> RunSeries:
    """The first days of a run."""
    end = _START_MS + days * 24 * 60 * _MINUTE_MS
    return _series(
        [one for one in series.equity if one.at <= end],
        [one for one in series.executions if one.ended_at <= end],
        [one for one in series.round_trips if one.closed_at <= end],
    )


def _series(points: Iterable[EquityPoint], orders: Iterable[Execution], trips: Iterable[RoundTrip]) -> RunSeries:
    return RunSeries(Millis(_START_MS), CAP_EUR, Decimal(1), _column(points), _column(orders), _column(trips))


def _exact(value: float) -> Decimal:
    return Decimal(value).quantize(_UNIT)


def _column(items: Iterable[Item]) -> Column[Item]:
    # Nothing is compressed: a simulated run is short, and nobody keeps it.
    return Column((), tuple(items))
