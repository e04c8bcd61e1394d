"""Plays a tape by a clock, at a speed, once or in a loop. ``Playback`` calls it.

Records get the time at which they are due on the caller's clock. In a loop one depth delta leads from the end of the tape to its
beginning, and versions and trade ids are increased, so versions and ids never go back and deltas always chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal

from exchange.book import Book, BookStatus, Level
from exchange.errors import UsageError
from exchange.model import MarketTrade, Millis
from exchange.tape import DepthDelta, DepthSnapshot, Levels, TapeGap, TapeRecord, TapeTrade

_LOOP_PAUSE = 100
_ZERO = Decimal(0)


class TapePlayer:
    """Returns one symbol's records when they are due.

    The whole tape is held in memory, so a loop does not parse it again. ``speed`` is how many ms of tape pass in
    one ms of the clock; 1 is the recorded pace.
    """

    def __init__(self, records: Iterable[TapeRecord], start: Millis, *, speed: Decimal = Decimal(1), loop: bool = False) -> None:
        """``start`` is when the first record is due. Raises ``UsageError`` without a book to start from or for a speed <= 0."""
        self._records = tuple(records)
        if not self._records or not isinstance(self._records[0], DepthSnapshot):
            raise UsageError(
                "the tape has no book to start from", code="tape-empty", remedy="Use a tape that begins with a snapshot."
            )
        if not speed.is_finite() or speed <= 0:
            raise UsageError(
                f"a tape cannot be played at speed {speed}", code="tape-speed", remedy="Give a positive speed such as 1."
            )
        self._first = self._records[0]
        self._start = start
        self._speed = speed
        self._loop = loop
        self._book = Book(self._first.symbol)
        self._index = 0
        self._elapsed_before = 0
        self._version_offset = 0
        self._trade_offset = 0
        self._round = 0
        self._trade_span = _trade_span(self._records)
        self._opening: DepthSnapshot | None = None

    @property
    def rounds(self) -> int:
        """How many times the tape has been played to its end."""
        return self._round

    def skip(self, elapsed: int) -> None:
        """Begin ``elapsed`` ms of tape after its beginning instead, with the book of that place. A new player only."""
        length = self._records[-1].at - self._first.at + _LOOP_PAUSE
        self._round, within = divmod(elapsed, length) if self._loop else (0, elapsed)
        self._elapsed_before = self._round * length
        self._version_offset = self._round * (_last_version(self._records) + 1 - self._first.version)
        self._trade_offset = self._round * self._trade_span
        begun = self._start
        self._start = Millis(begun - int(elapsed / self._speed))
        while self._index < len(self._records) and self._records[self._index].at - self._first.at <= within:
            self._moved(self._records[self._index], begun)
            self._index += 1
        if self._book.status is BookStatus.LIVE:
            bids, asks = self._book.depth(2**31)
            self._opening = DepthSnapshot(self._first.symbol, self._book.version, tuple(bids), tuple(asks), begun, begun)
        if self._index == len(self._records) and self._loop:
            self._rewind()

    def next_due(self) -> Millis | None:
        """When the next record is due, or ``None`` at the end of a tape that does not loop."""
        if self._opening is not None:
            return self._opening.at
        if self._index == len(self._records):
            return None
        elapsed = self._elapsed_before + self._records[self._index].at - self._first.at
        return Millis(self._start + int((elapsed / self._speed).to_integral_value(rounding=ROUND_FLOOR)))

    def due(self, now: Millis, limit: int | None = None) -> list[TapeRecord]:
        """The records due at ``now`` that were not returned yet, at most ``limit`` of them, in order."""
        ready: list[TapeRecord] = []
        while limit is None or len(ready) < limit:
            at = self.next_due()
            if at is None or at > now:
                break
            if self._opening is not None:
                ready.append(self._opening)
                self._opening = None
                continue
            ready.append(self._moved(self._records[self._index], at))
            self._index += 1
            if self._index == len(self._records) and self._loop:
                self._rewind()
        return ready

    def _rewind(self) -> None:
        self._round += 1
        self._index = 0
        self._elapsed_before += self._records[-1].at - self._first.at + _LOOP_PAUSE
        self._version_offset = self._book.version + 1 - self._first.version
        self._trade_offset += self._trade_span

    def _moved(self, record: TapeRecord, at: Millis) -> TapeRecord:
        offset = self._version_offset
        match record:
            case DepthSnapshot():
                return self._snapshot(record, record.version + offset, at)
            case DepthDelta():
                first, last = record.from_version + offset, record.to_version + offset
                self._book.delta(first, last, record.bids, record.asks, at)
                return DepthDelta(record.symbol, first, last, record.bids, record.asks, at, at)
            case TapeTrade(trade=t):
                return TapeTrade(MarketTrade(t.symbol, t.price, t.quantity, t.taker_side, at, self._trade_id(t.trade_id)), at)
            case TapeGap():
                self._book.mark_stale()
                return TapeGap(record.symbol, at, at)

    def _snapshot(self, record: DepthSnapshot, version: int, at: Millis) -> TapeRecord:
        bridged = self._index == 0 and self._book.status is BookStatus.LIVE
        old_bids, old_asks = self._book.depth(2**31)
        previous = self._book.version
        self._book.snapshot(version, record.bids, record.asks, at)
        if not bridged:
            return DepthSnapshot(record.symbol, version, record.bids, record.asks, at, at)
        return DepthDelta(
            record.symbol, previous + 1, version, _difference(old_bids, record.bids), _difference(old_asks, record.asks), at, at
        )

    def _trade_id(self, trade_id: str) -> str:
        if not self._round:
            return trade_id
        return str(int(trade_id) + self._trade_offset) if self._trade_span else f"{trade_id}-{self._round}"


def _last_version(records: tuple[TapeRecord, ...]) -> int:
    """The version of the book at the end of a tape that begins with one."""
    last = next(record for record in reversed(records) if isinstance(record, DepthSnapshot | DepthDelta))
    return last.version if isinstance(last, DepthSnapshot) else last.to_version


def _trade_span(records: tuple[TapeRecord, ...]) -> int:
    """The amount by which trade ids increase per loop, or 0 if they are not all numbers."""
    ids = [record.trade.trade_id for record in records if isinstance(record, TapeTrade)]
    if not ids or not all(trade_id.isascii() and trade_id.isdigit() for trade_id in ids):
        return 0
    numbers = [int(trade_id) for trade_id in ids]
    return max(numbers) - min(numbers) + 1


def _difference(old: list[Level], new: Levels) -> Levels:
    before, after = dict(old), dict(new)
    gone = [(price, _ZERO) for price in before if price not in after]
    return (*gone, *((price, quantity) for price, quantity in new if before.get(price) != quantity))
