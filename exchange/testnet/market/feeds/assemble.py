"""Turns public pushes and REST snapshots into ordered tape records (mexc-spot-v3.md §7.5). ``LiveFeed`` calls it. No I/O.

Theory of operation. Depth changes wait until a snapshot arrives that they continue; from then on each must begin where the one
before ended. A change that does not, or a cut connection, puts a gap on the tape, and the wait begins again. Trades and depth come
on separate channels that batch by time, so a trade may arrive after the depth change it caused. Records are therefore held for
``hold_ms`` and released in order of event time, a trade before depth of the same ms. A record that arrives even later gets the time
of the last released record.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from heapq import heappop, heappush

from exchange.model import Millis
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap, TapeRecord, TapeTrade
from exchange.wire.market import DepthReply
from exchange.wire.push import DepthUpdate, TradeBatch

HOLD_MS = 150
"""How long records are held by default, in ms: longer than the slowest channel's period of 100 ms."""

_MOST_WAITING = 20_000
_TRADE, _DEPTH = 0, 1


class Assembler:
    """See the module. ``received_at`` and ``now`` are on the caller's clock, the other instants on the venue's."""

    def __init__(self, symbol: str, hold_ms: int = HOLD_MS) -> None:
        self._symbol = symbol
        self._hold_ms = hold_ms
        self._version: int | None = None
        self._highest = 0
        self._waiting: deque[tuple[DepthUpdate, Millis, Millis]] = deque(maxlen=_MOST_WAITING)
        self._held: list[tuple[int, int, int, TapeRecord]] = []
        self._count = 0
        self._depth_at = Millis(0)
        self._left_at = Millis(0)
        self._begun_at: Millis | None = None

    @property
    def wants_snapshot(self) -> bool:
        """Whether the book needs a snapshot now. Depth changes must have arrived first, to continue from it."""
        return self._version is None and bool(self._waiting)

    def on_depth(self, update: DepthUpdate, at: Millis, received_at: Millis) -> None:
        """Add one depth change."""
        if self._version is None:
            self._waiting.append((update, at, received_at))
        elif update.to_version > self._version:
            self._continue(update, at, received_at)

    def on_trades(self, batch: TradeBatch, received_at: Millis) -> None:
        """Add public trades. Those before the first book are dropped, because a tape begins with a book."""
        for trade in batch.trades:
            if self._begun_at is not None and trade.at > self._begun_at:
                # Older protocol versions do not number trades, but fills must be able to cite them.
                named = trade if trade.trade_id else replace(trade, trade_id=f"{trade.at}n{self._count}")
                self._hold(_TRADE, TapeTrade(named, received_at))

    def on_snapshot(self, snapshot: DepthReply, received_at: Millis) -> bool:
        """Begin or continue from a snapshot. ``False`` if it is older than the waiting changes: fetch another one later."""
        version = snapshot.last_update_id
        if self._version is not None:
            return True
        while self._waiting and self._waiting[0][0].to_version <= version:
            self._waiting.popleft()
        if version < self._highest or (self._waiting and self._waiting[0][0].from_version > version + 1):
            return False
        at = self._waiting[0][1] if self._waiting else (snapshot.at or received_at)
        at = self._in_order(at)
        if self._begun_at is None:
            self._begun_at = at
        self._hold(_DEPTH, DepthSnapshot(self._symbol, version, snapshot.bids, snapshot.asks, at, received_at))
        self._version = self._highest = version
        replay = tuple(self._waiting)
        self._waiting.clear()
        for update, changed_at, arrived_at in replay:
            self.on_depth(update, changed_at, arrived_at)
        return True

    def lost(self, received_at: Millis) -> None:
        """Note that the connection was cut or data was missed in another way."""
        self._waiting.clear()
        if self._version is not None:
            self._version = None
            self._hold(_DEPTH, TapeGap(self._symbol, self._in_order(self._depth_at), received_at))

    def ready(self, now: Millis | None = None) -> list[TapeRecord]:
        """The records that were held long enough (all of them without ``now``), in order."""
        left: list[TapeRecord] = []
        while self._held and (now is None or self._held[0][3].received_at + self._hold_ms <= now):
            record = heappop(self._held)[3]
            at = Millis(max(self._left_at, record.at))
            left.append(record if at == record.at else _at(record, at))
            self._left_at = at
        return left

    def _continue(self, update: DepthUpdate, at: Millis, received_at: Millis) -> None:
        if self._version is None or update.from_version > self._version + 1:
            self.lost(received_at)
            self._waiting.append((update, at, received_at))
            return
        # The first change after a snapshot may begin before it; the tape's begins right after.
        record = DepthDelta(
            self._symbol, self._version + 1, update.to_version, update.bids, update.asks, self._in_order(at), received_at
        )
        self._version = self._highest = update.to_version
        self._hold(_DEPTH, record)

    def _in_order(self, at: Millis) -> Millis:
        self._depth_at = Millis(max(self._depth_at, at))
        return self._depth_at

    def _hold(self, rank: int, record: TapeRecord) -> None:
        self._count += 1
        heappush(self._held, (record.at, rank, self._count, record))


def _at(record: TapeRecord, at: Millis) -> TapeRecord:
    if isinstance(record, TapeTrade):
        return TapeTrade(replace(record.trade, at=at), record.received_at)
    return replace(record, at=at)
