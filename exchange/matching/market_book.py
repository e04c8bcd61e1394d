"""The public book of one symbol: the tape's book with our own versions and prices, minus what takers consumed, for ``VenueMarket``.

The published book differs from the tape's in three ways:

- **Versions.** A tape may restart (after a gap) and a price shift replaces the book between two tape versions. The published
  version is the tape's plus an offset that only grows, so published deltas always chain (mexc-spot-v3.md §7.5).
- **Prices.** After ``shift`` every tape price is multiplied by a factor. Bids are rounded down to the tick and asks up, so rounding
  never crosses the book; tape levels that round to the same tick are summed.
- **Consumption.** The tape does not contain our trades. A quantity that our takers consumed from a level stays consumed until a
  depth message refreshes that level (execution-safety.md §5, requirement 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from exchange.book import Book, BookStatus, DeltaOutcome, Level
from exchange.errors import UsageError
from exchange.matching.events import BookChanged, crosses
from exchange.matching.saved import MarketBookState
from exchange.model import MarketTrade, Millis, Side, SymbolRules
from exchange.tape import DepthDelta, DepthSnapshot, Levels, TapeGap

_ZERO = Decimal(0)
_Buckets = dict[Decimal, dict[Decimal, Decimal]]


class MarketBook:
    """See the module. ``book`` is the published book; read it, never change it."""

    __slots__ = ("_buckets", "_consumed", "_factor", "_offset", "_rules", "book")

    def __init__(self, rules: SymbolRules) -> None:
        self._rules = rules
        self.book = Book(rules.symbol)
        self._offset = 0
        self._factor = Decimal(1)
        self._buckets: dict[Side, _Buckets] | None = None
        self._consumed: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}

    @property
    def marks(self) -> tuple[int, int, Decimal]:
        """The published version, its offset from the tape's, and the factor of all prices."""
        return self.book.version, self._offset, self._factor

    def state(self) -> MarketBookState:
        """Everything that determines how the book continues, as a value."""
        buckets = None
        if self._buckets is not None:
            buckets = tuple(
                (side, price, tuple(bucket.items())) for side, prices in self._buckets.items() for price, bucket in prices.items()
            )
        consumed = tuple((side, price, taken) for side, prices in self._consumed.items() for price, taken in prices.items())
        return MarketBookState(self.book.state(), self._offset, self._factor, buckets, consumed)

    def load(self, state: MarketBookState) -> None:
        """Become the book of a saved state. Raises ``IntegrityError`` for levels that are not valid."""
        self.book = Book.of(state.book)
        self._offset, self._factor = state.offset, state.factor
        self._buckets = None if state.buckets is None else {Side.BUY: {}, Side.SELL: {}}
        if self._buckets is not None:
            for side, price, levels in state.buckets or ():
                self._buckets[side][price] = dict(levels)
        self._consumed = {Side.BUY: {}, Side.SELL: {}}
        for side, price, taken in state.consumed:
            self._consumed[side][price] = taken

    def apply(self, record: DepthSnapshot | DepthDelta | TapeGap) -> BookChanged | None:
        """Apply the tape's next depth record; returns the published change, or ``None``."""
        if isinstance(record, DepthDelta):
            return self._delta(record)
        if isinstance(record, DepthSnapshot):
            if self._buckets is not None:
                self._buckets = {Side.BUY: {}, Side.SELL: {}}
            bids, asks = self._priced(Side.BUY, record.bids), self._priced(Side.SELL, record.asks)
            if self.book.status is BookStatus.EMPTY:
                published = record.version + self._offset
            else:
                published = max(record.version + self._offset, self.book.version + 1)
                self._offset = published - record.version
            return self._replace(published, bids, asks, record.at)
        self.book.mark_stale()
        return None

    def shift(self, factor: Decimal, at: Millis) -> BookChanged | None:
        """Multiply every later price by ``factor``; returns ``None`` while there is no live book to replace.

        Raises:
            UsageError: ``factor`` is not a positive number.
        """
        if not factor.is_finite() or factor <= 0:
            raise UsageError(
                f"prices cannot be shifted by {factor}", code="price-shift-invalid", remedy="Give a positive factor such as 0.9."
            )
        raw = {side: list(self._tape_levels(side)) for side in Side}
        self._factor *= factor
        self._buckets = {Side.BUY: {}, Side.SELL: {}}
        if self.book.status is not BookStatus.LIVE:
            return None
        self._offset += 1
        bids, asks = self._priced(Side.BUY, raw[Side.BUY]), self._priced(Side.SELL, raw[Side.SELL])
        return self._replace(self.book.version + 1, bids, asks, at)

    def priced(self, trade: MarketTrade) -> MarketTrade:
        """The trade at its shifted price, which is rounded like the side of the book it hit."""
        if self._buckets is None:
            return trade
        price = self._price(trade.taker_side.opposite, trade.price)
        return MarketTrade(trade.symbol, price, trade.quantity, trade.taker_side, trade.at, trade.trade_id)

    def available(self, side: Side, limit: Decimal) -> Iterator[Level]:
        """What an order of the other side at ``limit`` can take from ``side``, best first: displayed minus consumed.

        Quantities are rounded down to the symbol's step.
        """
        consumed = self._consumed[side]
        for price, displayed in self.book.levels(side):
            if not crosses(side.opposite, limit, price):
                return
            left = self._rules.quantise_quantity(displayed - consumed.get(price, _ZERO))
            if left > 0:
                yield price, left

    def consume(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Note that a taker consumed ``quantity`` displayed at ``price``."""
        consumed = self._consumed[side]
        consumed[price] = consumed.get(price, _ZERO) + quantity

    def _delta(self, record: DepthDelta) -> BookChanged | None:
        first, last = record.from_version + self._offset, record.to_version + self._offset
        live = self.book.status is BookStatus.LIVE
        bids, asks = record.bids, record.asks
        if self._buckets is not None and live and last > self.book.version:
            bids, asks = self._priced(Side.BUY, bids), self._priced(Side.SELL, asks)
        if self.book.delta(first, last, bids, asks, record.at) is not DeltaOutcome.APPLIED:
            return None
        self._refresh(Side.BUY, bids)
        self._refresh(Side.SELL, asks)
        return BookChanged(record.symbol, first, last, bids, asks, record.at)

    def _replace(self, version: int, bids: Levels, asks: Levels, at: Millis) -> BookChanged:
        first = version if self.book.status is BookStatus.EMPTY else self.book.version + 1
        bid_changes, ask_changes = self._difference(Side.BUY, bids), self._difference(Side.SELL, asks)
        self.book.snapshot(version, bids, asks, at)
        self._refresh(Side.BUY, bid_changes)
        self._refresh(Side.SELL, ask_changes)
        return BookChanged(self._rules.symbol, first, version, bid_changes, ask_changes, at)

    def _difference(self, side: Side, levels: Levels) -> Levels:
        old = dict(self.book.levels(side))
        new = {price: quantity for price, quantity in levels if quantity}
        gone = [(price, _ZERO) for price in old if price not in new]
        changed = [(price, quantity) for price, quantity in new.items() if old.get(price) != quantity]
        return (*gone, *changed)

    def _refresh(self, side: Side, levels: Levels) -> None:
        consumed = self._consumed[side]
        if consumed:
            for price, _ in levels:
                consumed.pop(price, None)

    def _tape_levels(self, side: Side) -> Iterator[Level]:
        if self._buckets is None:
            yield from self.book.levels(side)
        else:
            for bucket in self._buckets[side].values():
                yield from bucket.items()

    def _priced(self, side: Side, levels: Iterable[Level]) -> Levels:
        if self._buckets is None:
            return tuple(levels)
        buckets = self._buckets[side]
        touched: dict[Decimal, Decimal] = {}
        for tape_price, quantity in levels:
            price = self._price(side, tape_price)
            bucket = buckets.setdefault(price, {})
            if quantity:
                bucket[tape_price] = quantity
            else:
                bucket.pop(tape_price, None)
            touched[price] = sum(bucket.values(), _ZERO)
        return tuple(touched.items())

    def _price(self, side: Side, price: Decimal) -> Decimal:
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        tick = self._rules.tick_size
        return max(tick, (price * self._factor).quantize(tick, rounding=rounding))
