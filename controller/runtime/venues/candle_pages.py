"""Candles that were read from a venue, in pages of up to 500: what is final stays, the rest is read again. For ``venues.candles``.

A page covers a fixed span of time, so every candle has one place and pages neither overlap nor leave a gap. A candle is final when
it had closed ``SETTLE_MS`` before it was asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from exchange.candles import SHORTEST, window
from exchange.model import Millis
from exchange.wire.errors import dump_json
from exchange.wire.market import KLINES_MAX, Candle, Interval, kline_row

SETTLE_MS = 2_000
"""A venue may still change a candle that has just closed."""

HEAD_AGE_MS = 60_000
"""How long the venue's row of the forming candle is kept up to date by trades before it is read again."""

FRESH_MS = 2_000
"""How long that row is shown while trades are not followed."""

SETTLING_AGE_MS = 1_000
"""How long a candle that may not be final yet is shown before it is read again."""


def span_of(interval: Interval) -> int:
    """The milliseconds of a page: never more than 500 candles open in it."""
    return KLINES_MAX * SHORTEST[interval]


@dataclass(slots=True)
class Page:
    """The candles that open from ``start`` until before ``end``.

    ``rows`` are final, each as JSON; every candle that opens before ``final_until`` is among them. ``late`` are not final.
    """

    interval: Interval
    start: Millis
    end: Millis
    opens: list[Millis] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    final_until: Millis = Millis(0)
    late: tuple[Candle, ...] = ()
    sent: Millis | None = None
    received: Millis = Millis(0)

    @property
    def is_final(self) -> bool:
        """Whether nothing in it can change."""
        return self.final_until >= self.end

    @property
    def missing_from(self) -> Millis:
        """From when on it must be read."""
        return max(self.start, self.final_until)

    def take(self, candles: Sequence[tuple[Candle, bytes]], sent: Millis, received: Millis) -> None:
        """Keep what was read from ``missing_from`` on, each candle with its row."""
        read = [(one, row) for one, row in candles if self.missing_from <= one.open_time < self.end]
        final = [one for one, _ in read if one.close_time + SETTLE_MS <= sent]
        self.opens += [one.open_time for one in final]
        self.rows += [row for _, row in read[: len(final)]]
        if self.end + SETTLE_MS <= sent:
            self.final_until = self.end
        elif final:
            self.final_until = min(final[-1].close_time, self.end)
        self.late, self.sent, self.received = tuple(one for one, _ in read[len(final) :]), sent, received

    def serves(self, until: Millis, now: Millis, *, followed_since: Millis | None) -> bool:
        """Whether the candles that open before ``until`` can be shown now without reading again.

        ``followed_since``: from when on every trade was seen; ``None`` while trades are not followed.
        """
        if min(until, self.end) <= self.final_until:
            return True
        if self.sent is None or now >= self._next_close(self.sent):
            return False
        settling = any(one.close_time <= self.sent for one in self.late)
        followed = followed_since is not None and followed_since <= self.sent
        age = now - self.received
        return 0 <= age <= min(HEAD_AGE_MS if followed else FRESH_MS, SETTLING_AGE_MS if settling else HEAD_AGE_MS)

    def between(self, start: Millis, until: Millis, forming: Candle | None) -> Iterator[bytes]:
        """The rows of candles that open from ``start`` until before ``until``; ``forming`` takes the place of the venue's row."""
        first, last = bisect_left(self.opens, start), bisect_left(self.opens, until)
        yield from self.rows[first:last]
        shown = {one.open_time: one for one in self.late}
        if forming is not None and self.missing_from <= forming.open_time < self.end:
            shown[forming.open_time] = forming
        for opened in sorted(shown):
            if start <= opened < until:
                yield encoded(shown[opened])

    def forming_row(self) -> Candle | None:
        """The venue's row of the candle that had not closed when it was read."""
        last = self.late[-1] if self.late else None
        return last if last is not None and self.sent is not None and last.close_time > self.sent else None

    def _next_close(self, sent: Millis) -> Millis:
        row = self.forming_row()
        return row.close_time if row is not None else window(self.interval, sent)[1]


def encoded(candle: Candle) -> bytes:
    """One row of the ``klines`` reply as JSON."""
    return dump_json(kline_row(candle))
