"""An L2 order book with MEXC's version rule (mexc-spot-v3.md §7.5). Feeds, the matching engine and the tapes keep books with it.

Theory of operation. A snapshot starts the book at a version. Deltas carry absolute quantities for the levels they touch (0 removes
a level) and the range of versions they cover. The first delta after a snapshot may begin before it but must end after it; each
later one must begin exactly one after the previous one ended. A delta that is entirely old changes nothing. Any other delta means
that data is missing: the book becomes STALE, gives no prices, and waits for the next snapshot.

Each side is an ascending list of prices and a dictionary of their quantities. Most updates change a quantity and cost one look-up;
only a new or a removed level costs a bisection. The best price is the end of a list.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from exchange.errors import IntegrityError
from exchange.model import Millis, Quote, Side

Level = tuple[Decimal, Decimal]
"""``(price in the quote asset, displayed quantity in the base asset)``."""

_ZERO = Decimal(0)
_ABSURD = Decimal(10) ** 30


class BookStatus(StrEnum):
    """Whether the levels can be trusted. EMPTY: no snapshot yet. STALE: data was missed."""

    EMPTY = "empty"
    LIVE = "live"
    STALE = "stale"


class DeltaOutcome(StrEnum):
    """What became of a delta. IGNORED: the book is waiting for a snapshot. GAP: the book has just become stale."""

    APPLIED = "applied"
    OLD = "old"
    GAP = "gap"
    IGNORED = "ignored"


class _Ladder:
    """One side: prices ascending, and the displayed quantity of each."""

    __slots__ = ("prices", "quantities")

    def __init__(self) -> None:
        self.prices: list[Decimal] = []
        self.quantities: dict[Decimal, Decimal] = {}

    def replace(self, levels: Iterable[Level]) -> None:
        merged = {}
        for price, quantity in levels:
            if not (_ZERO < price < _ABSURD and _ZERO <= quantity < _ABSURD):
                raise InvalidOperation
            if quantity:
                merged[price] = quantity
        self.prices = sorted(merged)
        self.quantities = merged

    def apply(self, levels: Iterable[Level]) -> None:
        prices, quantities = self.prices, self.quantities
        for price, quantity in levels:
            # Comparing NaN raises InvalidOperation by itself; infinities and negatives are caught here.
            if not _ZERO <= quantity < _ABSURD:
                raise InvalidOperation
            if price in quantities:
                if quantity:
                    quantities[price] = quantity
                else:
                    del quantities[price]
                    del prices[bisect_left(prices, price)]
            elif not _ZERO < price < _ABSURD:
                raise InvalidOperation
            elif quantity:
                quantities[price] = quantity
                insort(prices, price)

    def at(self, price: Decimal) -> Decimal:
        return self.quantities.get(price, _ZERO)


@dataclass(frozen=True, slots=True)
class BookState:
    """A book as a value: everything that determines how it continues. Levels are best first."""

    symbol: str
    status: BookStatus
    version: int
    chained: bool
    at: Millis
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class Book:
    """The book of one symbol. It changes with every snapshot and delta; readers take quotes and depths from it."""

    __slots__ = ("_asks", "_at", "_bids", "_chained", "_status", "_version", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._bids = _Ladder()
        self._asks = _Ladder()
        self._status = BookStatus.EMPTY
        self._version = 0
        self._chained = False
        self._at = Millis(0)

    @classmethod
    def of(cls, state: BookState) -> Book:
        """The book a saved state describes. Raises ``IntegrityError`` for levels that are not valid."""
        book = cls(state.symbol)
        book.snapshot(state.version, state.bids, state.asks, state.at)
        book._status = state.status
        book._chained = state.chained
        return book

    def state(self) -> BookState:
        """The book as a value, whatever its status."""
        bids, asks = tuple(self.levels(Side.BUY)), tuple(self.levels(Side.SELL))
        return BookState(self.symbol, self._status, self._version, self._chained, self._at, bids, asks)

    @property
    def status(self) -> BookStatus:
        """Whether the levels can be trusted."""
        return self._status

    @property
    def version(self) -> int:
        """The last version applied; 0 before the first snapshot."""
        return self._version

    @property
    def at(self) -> Millis:
        """The venue's time of the last change."""
        return self._at

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask, which never happens in a working market."""
        bids, asks = self._bids.prices, self._asks.prices
        return bool(bids and asks and bids[-1] >= asks[0])

    @property
    def is_tradable(self) -> bool:
        """Whether fills may be computed from this book: it is live and not crossed."""
        return self._status is BookStatus.LIVE and not self.is_crossed

    def snapshot(self, version: int, bids: Iterable[Level], asks: Iterable[Level], at: Millis) -> None:
        """Start over from a full book as of ``version``.

        Raises:
            IntegrityError: a price or a quantity is not a finite number, or is negative; the book is stale afterwards.
        """
        self._status = BookStatus.STALE
        try:
            self._bids.replace(bids)
            self._asks.replace(asks)
        except InvalidOperation as error:
            raise self._invalid() from error
        self._version = version
        self._at = at
        self._chained = False
        self._status = BookStatus.LIVE

    def delta(self, from_version: int, to_version: int, bids: Iterable[Level], asks: Iterable[Level], at: Millis) -> DeltaOutcome:
        """Apply the changes of versions ``from_version`` to ``to_version``, both included.

        Raises:
            IntegrityError: as for ``snapshot``.
        """
        if self._status is not BookStatus.LIVE:
            return DeltaOutcome.IGNORED
        if to_version <= self._version:
            return DeltaOutcome.OLD
        following = self._version + 1
        if from_version > following or (self._chained and from_version != following):
            self._status = BookStatus.STALE
            return DeltaOutcome.GAP
        self._status = BookStatus.STALE
        try:
            self._bids.apply(bids)
            self._asks.apply(asks)
        except InvalidOperation as error:
            raise self._invalid() from error
        self._version = to_version
        self._at = at
        self._chained = True
        self._status = BookStatus.LIVE
        return DeltaOutcome.APPLIED

    def mark_stale(self) -> None:
        """Mark the book stale because data may have been missed, for example after a cut connection."""
        if self._status is BookStatus.LIVE:
            self._status = BookStatus.STALE

    def quote(self, received_at: Millis) -> Quote | None:
        """Best prices, or ``None`` while the book is not live, has an empty side or is crossed."""
        bids, asks = self._bids, self._asks
        if self._status is not BookStatus.LIVE or not bids.prices or not asks.prices or bids.prices[-1] >= asks.prices[0]:
            return None
        return Quote(
            symbol=self.symbol,
            bid=bids.prices[-1],
            bid_quantity=bids.quantities[bids.prices[-1]],
            ask=asks.prices[0],
            ask_quantity=asks.quantities[asks.prices[0]],
            version=self._version,
            at=self._at,
            received_at=received_at,
        )

    def depth(self, limit: int) -> tuple[list[Level], list[Level]]:
        """``(bids, asks)``, best first, at most ``limit`` each. Works at any status: check ``status`` before trusting it."""
        bids, asks = self._bids, self._asks
        count = min(limit, len(bids.prices))
        best_bids = [(price, bids.quantities[price]) for price in reversed(bids.prices[-count:])] if count else []
        return best_bids, [(price, asks.quantities[price]) for price in asks.prices[:limit]]

    def best(self, side: Side) -> Decimal | None:
        """The best price of the bids (BUY) or the asks (SELL), or ``None`` when that side is empty."""
        prices = self._bids.prices if side is Side.BUY else self._asks.prices
        if not prices:
            return None
        return prices[-1] if side is Side.BUY else prices[0]

    def levels(self, side: Side) -> Iterator[Level]:
        """The bids (BUY) or asks (SELL), best first. Do not change the book while iterating."""
        ladder = self._bids if side is Side.BUY else self._asks
        for price in reversed(ladder.prices) if side is Side.BUY else ladder.prices:
            yield price, ladder.quantities[price]

    def quantity_at(self, side: Side, price: Decimal) -> Decimal:
        """What is displayed at one price of the bids (BUY) or the asks (SELL); 0 where there is no level."""
        return (self._bids if side is Side.BUY else self._asks).at(price)

    def _invalid(self) -> IntegrityError:
        return IntegrityError(
            f"a depth message for {self.symbol} has a level that is not a positive price and a quantity",
            code="book-level-invalid",
            remedy="Take a fresh snapshot; if it happens again, record the raw message and report it.",
        )
