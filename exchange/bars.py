"""Turns bars (open, high, low, close, volume) into tapes of a reconstructed market. ``gatehouse tape convert`` calls it.

The method. A rising bar is assumed to go open, low, high, close; a falling bar open, high, low, close. That path is cut into
``steps`` prints at even times, divided over its three legs by their length. Every corner is a print, so the prints have the same
open, high, low, close and volume as the bar. An upward print is a taker buying, a downward print a taker selling, a print at the
same price the opposite of the print before. Before each print the book moves so that the print is at its best price: a buyer's
price is the best ask, with the best bid one spread below; a seller's price is the best bid. Each side shows ``levels`` levels one
spread apart that share ``depth`` of the volume of the bar *before*, so the book contains no information about its own bar. A
missing bar becomes a gap and a new snapshot.

The true path, spread, depth, queue and trades inside a bar stay unknown. Use such a tape for exercises, not as evidence; its source
is ``DataSource.RECONSTRUCTED_BARS``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from exchange.errors import ConfigError, GatehouseError, IntegrityError
from exchange.model import MarketTrade, Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, Levels, TapeGap, TapeRecord, TapeTrade

_CORNERS = 4
_ZERO = Decimal(0)
_BPS = Decimal(10_000)
_TIME_COLUMNS = ("timestamp", "open_time", "time")
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; prices in the quote asset, ``volume`` in the base asset."""

    opened_at: Millis
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class BarMarket:
    """How a market is built from bars. ``spread_bps`` is in hundredths of a percent of the bar's open, ``depth`` a fraction of
    the volume of the bar before, shared over ``levels`` on each side; ``length_ms`` is the length of a bar.

    Raises:
        ConfigError: a number that is not positive, or fewer steps than a bar has corners.
    """

    symbol: str
    tick: Decimal = Decimal("0.01")
    quantity_step: Decimal = Decimal("0.000001")
    spread_bps: Decimal = Decimal(1)
    levels: int = 10
    depth: Decimal = Decimal("0.1")
    steps: int = 12
    length_ms: int = 60_000

    def __post_init__(self) -> None:
        numbers = (self.tick, self.quantity_step, self.spread_bps, self.depth)
        if not all(number.is_finite() and number > 0 for number in numbers) or self.levels < 1:
            raise _unfit("tick, step, spread, depth and levels must be positive")
        if self.steps < _CORNERS or self.length_ms < self.steps:
            raise _unfit(f"a bar needs at least {_CORNERS} steps, and a millisecond for each")


def read_bars(lines: Iterable[str], market: BarMarket, *, volume_in_quote: bool = False) -> Iterator[Bar]:
    """The bars of a CSV file with a header naming timestamp (or open_time, time), open, high, low, close and volume.

    A time is ISO, taken as UTC, or whole ms, and is when the bar opened. Quote volumes are divided by the mean of the four prices.

    Raises:
        IntegrityError: a column is missing, or a row is not a bar.
    """
    rows = csv.DictReader(lines)
    names = rows.fieldnames or ()
    time_column = next((name for name in _TIME_COLUMNS if name in names), None)
    if time_column is None or not {*_PRICES, "volume"} <= set(names):
        raise _unusable("the first line does not name timestamp, open, high, low, close and volume")
    for number, row in enumerate(rows, 2):
        try:
            opened, high, low, close = (Decimal(row[name]).quantize(market.tick, ROUND_HALF_EVEN) for name in _PRICES)
            volume = Decimal(row["volume"])
            if volume_in_quote:
                volume = volume * _CORNERS / (opened + high + low + close)
            bar = Bar(_instant(row[time_column]), opened, high, low, close, volume.quantize(market.quantity_step, ROUND_DOWN))
            possible = 0 < low <= min(opened, close) <= max(opened, close) <= high and volume >= 0
        except (ArithmeticError, TypeError, ValueError) as error:
            raise _unusable(f"line {number} is not a bar") from error
        if not possible:
            raise _unusable(f"line {number} has prices outside its high and low, or a negative volume")
        yield bar


def convert_bars(bars: Iterable[Bar], market: BarMarket) -> Iterator[TapeRecord]:
    """The tape of a market with these bars; see the module. Its source is ``DataSource.RECONSTRUCTED_BARS``.

    Raises:
        IntegrityError: no bars, or bars that overlap or go back in time.
    """
    version, trade_id = 0, 0
    book: tuple[Levels, Levels] | None = None
    previous: Bar | None = None
    last: Decimal | None = None
    side = Side.SELL
    for bar in bars:
        if previous is not None and bar.opened_at != previous.opened_at + market.length_ms:
            if bar.opened_at < previous.opened_at + market.length_ms:
                raise _unusable(f"the bar at {bar.opened_at} begins before the previous bar ended")
            ended = Millis(previous.opened_at + market.length_ms)
            yield TapeGap(market.symbol, ended, ended)
            book = None
        shown = (bar if previous is None else previous).volume
        for step, (price, quantity) in enumerate(_prints(bar, market)):
            at = Millis(bar.opened_at + market.length_ms * step // market.steps)
            side, last = _taker(side, price, last), price
            version += 1
            before, book = book, _book(market, side, price, shown, bar.open)
            if before is None:
                yield DepthSnapshot(market.symbol, version, *book, at, at)
            else:
                bids, asks = _changes(before[0], book[0]), _changes(before[1], book[1])
                yield DepthDelta(market.symbol, version, version, bids, asks, at, at)
            if quantity:
                trade_id += 1
                yield TapeTrade(MarketTrade(market.symbol, price, quantity, side, at, str(trade_id)), at)
        previous = bar
    if previous is None:
        raise _unusable("it has no bars")


def _prints(bar: Bar, market: BarMarket) -> Iterator[tuple[Decimal, Decimal]]:
    """Price and quantity of each print; the last one gets the remainder of the even shares."""
    middle = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    corners = [int(price / market.tick) for price in (bar.open, *middle, bar.close)]
    legs = [abs(after - before) for before, after in pairwise(corners)]
    spare = market.steps - _CORNERS
    extra = [spare * leg // max(1, sum(legs)) for leg in legs]
    extra[-1] += spare - sum(extra)
    ticks = [corners[0]]
    for before, after, more in zip(corners, corners[1:], extra, strict=False):
        ticks += [before + (after - before) * number // (more + 1) for number in range(1, more + 2)]
    share = (bar.volume / market.steps).quantize(market.quantity_step, ROUND_DOWN)
    for number, tick in enumerate(ticks, 1):
        yield tick * market.tick, share if number < market.steps else bar.volume - share * (market.steps - 1)


def _taker(before: Side, price: Decimal, last: Decimal | None) -> Side:
    if last is None or price == last:
        return before.opposite
    return Side.BUY if price > last else Side.SELL


def _book(market: BarMarket, taker: Side, price: Decimal, volume: Decimal, opened: Decimal) -> tuple[Levels, Levels]:
    gap = max(market.tick, (opened * market.spread_bps / _BPS).quantize(market.tick, ROUND_HALF_EVEN))
    size = max(market.quantity_step, (volume * market.depth / market.levels).quantize(market.quantity_step, ROUND_DOWN))
    ask = price if taker is Side.BUY else price + gap
    bids = tuple((level, size) for level in (ask - gap * (1 + number) for number in range(market.levels)) if level > 0)
    return bids, tuple((ask + gap * number, size) for number in range(market.levels))


def _changes(old: Levels, new: Levels) -> Levels:
    before, after = dict(old), dict(new)
    gone = tuple((price, _ZERO) for price in before if price not in after)
    return (*gone, *((price, quantity) for price, quantity in new if before.get(price) != quantity))


def _instant(text: str) -> Millis:
    if text.isascii() and text.isdigit():
        return Millis(int(text))
    parsed = datetime.fromisoformat(text)
    aware = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
    return Millis(int(aware.timestamp()) * 1_000 + aware.microsecond // 1_000)


def _unfit(message: str) -> GatehouseError:
    return ConfigError(
        f"no market can be built from bars: {message}", code="bar-market-invalid", remedy="Correct the options of the conversion."
    )


def _unusable(message: str) -> GatehouseError:
    return IntegrityError(
        f"the bars cannot be converted: {message}",
        code="bars-unusable",
        remedy="Give a CSV file of bars in order of time, with a header line and prices within each bar's high and low.",
    )
