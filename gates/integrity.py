"""What a run adds up of its venue's slots: whether its books could be trusted, and how near to the venue's limits it came.

``controller.core.decisions.integrity`` observes what the adapters count (``exchange.venue_slots``), the fold keeps it in the tally,
and ``metrics`` makes figures of it (execution-safety.md §4.3, rows A3 and B5). A slot that touches a drill is left out: in it the
fault was ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from exchange.model import Millis
from exchange.venue_slots import BookSlot, CallSlot, VenueSlots
from policies.numbers import WIDE, rounded_up
from policies.rules import MetricName
from policies.values import replace

Span = tuple[Millis, Millis]
"""From when until when."""


@dataclass(frozen=True)
class Use:
    """The largest part of one limit of the venue that the run has used."""

    limit: str
    most: Decimal


@dataclass(frozen=True)
class CallRun:
    """The calls of a run. ``upto`` is the number of the last slot that was looked at, in the present process."""

    upto: int = 0
    slots: int = 0
    requests: int = 0
    limited: int = 0
    banned: int = 0
    use: tuple[Use, ...] = ()


@dataclass(frozen=True)
class BookRun:
    """The book of one symbol in a run, as ``BookSlot`` describes it."""

    symbol: str
    upto: int = 0
    slots: int = 0
    live_ms: int = 0
    crossings: int = 0
    crossed_ms: int = 0
    resyncs: int = 0
    resync_ms: int = 0
    compared: int = 0
    apart_bps: Decimal = Decimal(0)
    diverged: int = 0


@dataclass(frozen=True)
class Integrity:
    """A run, and when it was last observed."""

    at: Millis = Millis(0)
    calls: CallRun = CallRun()
    books: tuple[BookRun, ...] = ()

    def restarted(self) -> Integrity:
        """As the next process finds it: that counts its slots anew."""
        books = tuple(replace(one, upto=0) for one in self.books)
        return replace(self, calls=replace(self.calls, upto=0), books=books)

    @property
    def grown(self) -> tuple[object, ...]:
        """What is worth an entry soon: everything but how long it was looked at."""
        calls = replace(self.calls, upto=0, slots=0, requests=0)
        return (calls, *(replace(one, upto=0, slots=0, live_ms=0, compared=min(one.compared, 1)) for one in self.books))


def observed(before: Integrity, found: VenueSlots, started_at: Millis, left_out: Sequence[Span], now: Millis) -> Integrity:
    """A run that began at ``started_at``, with the slots since ``before``. Those that touch a span of ``left_out`` do not count."""

    def counts(slot: CallSlot | BookSlot) -> bool:
        return slot.begin >= started_at and not any(slot.begin <= end and begin <= slot.end for begin, end in left_out)

    books = {one.symbol: one for one in before.books}
    for part in found.books:
        book = books.get(part.symbol, BookRun(part.symbol))
        if part.number > book.upto:
            books[part.symbol] = replace(_with_book(book, part) if counts(part) else book, upto=part.number)
    calls = _with_calls(before.calls, [slot for slot in found.calls if slot.number > before.calls.upto], counts)
    return Integrity(now, calls, tuple(books[symbol] for symbol in sorted(books)))


def _with_calls(run: CallRun, slots: Sequence[CallSlot], counts: Callable[[CallSlot], bool]) -> CallRun:
    """A run with the slots since, in their order. What 10 s allowed is rounded once: the largest stays the largest."""
    if not slots:
        return run
    counted = [slot for slot in slots if counts(slot)]
    most: dict[str, Decimal] = {}
    for slot in counted:
        for limit, part in slot.use.items():
            if limit not in most or part > most[limit]:
                most[limit] = part
    use = {one.limit: one.most for one in run.use}
    use.update({limit: max(use.get(limit, Decimal(0)), rounded_up(part)) for limit, part in most.items()})
    return replace(
        run,
        upto=slots[-1].number,
        slots=run.slots + len(counted),
        requests=run.requests + sum(slot.requests for slot in counted),
        limited=run.limited + sum(slot.limited for slot in counted),
        banned=run.banned + sum(slot.banned for slot in counted),
        use=tuple(Use(limit, use[limit]) for limit in sorted(use)),
    )


def _with_book(run: BookRun, slot: BookSlot) -> BookRun:
    return replace(
        run,
        slots=run.slots + 1,
        live_ms=run.live_ms + slot.live_ms,
        crossings=run.crossings + slot.crossings,
        crossed_ms=run.crossed_ms + slot.crossed_ms,
        resyncs=run.resyncs + slot.resyncs,
        resync_ms=max(run.resync_ms, slot.resync_ms),
        compared=run.compared + slot.compared,
        apart_bps=max(run.apart_bps, rounded_up(slot.apart_bps)),
        diverged=run.diverged + slot.diverged,
    )


Figure = tuple[Decimal | int | None, int]
"""A value and the number of observations behind it."""


def metrics(found: Integrity) -> dict[MetricName, Figure]:
    """The metrics of rows A3 and B5. Of several books the worst counts, and the fewest observations."""
    calls, books = found.calls, found.books
    looked, compared = _fewest(one.slots for one in books), _fewest(one.compared for one in books)
    return {
        MetricName.BOOK_CROSSED_RATIO: (_worst_crossed(books), looked),
        MetricName.BOOK_CROSSINGS: (sum(one.crossings for one in books), looked),
        MetricName.BOOK_RESYNCS: (sum(one.resyncs for one in books), looked),
        MetricName.LONGEST_RESYNC_MS: (max((one.resync_ms for one in books), default=None), looked),
        MetricName.BOOK_DIVERGENCES: (sum(one.diverged for one in books), compared),
        MetricName.BOOK_DIVERGENCE_MAX_BPS: (max((one.apart_bps for one in books), default=None), compared),
        MetricName.RATE_LIMITED: (calls.limited, calls.requests),
        MetricName.ADDRESS_BANS: (calls.banned, calls.requests),
        MetricName.RATE_LIMIT_USE_RATIO: (max((one.most for one in calls.use), default=None), calls.requests),
    }


def detail(found: Integrity, name: MetricName) -> str:
    """What is behind a metric, for people."""
    match name:
        case MetricName.RATE_LIMIT_USE_RATIO:
            return "; ".join(f"{one.limit}: {one.most:.1%} of what 10 s allow" for one in found.calls.use)
        case MetricName.BOOK_CROSSED_RATIO:
            return "; ".join(f"{one.symbol}: {one.crossings} times, {one.crossed_ms} of {one.live_ms} ms" for one in found.books)
        case MetricName.BOOK_DIVERGENCES | MetricName.BOOK_DIVERGENCE_MAX_BPS:
            return "; ".join(f"{one.symbol}: {one.apart_bps:.3g} bps at most in {one.compared} comparisons" for one in found.books)
        case MetricName.LONGEST_RESYNC_MS:
            return "; ".join(f"{one.symbol}: {one.resyncs} resyncs" for one in found.books)
        case _:
            return ""


def _worst_crossed(books: Sequence[BookRun]) -> Decimal | None:
    """Of the time in step. A book that was never in step has no such part, and then the run has none."""
    if not books or not all(one.live_ms for one in books):
        return None
    with localcontext(WIDE):
        return max(rounded_up(Decimal(one.crossed_ms) / one.live_ms) for one in books)


def _fewest(counts: Iterable[int]) -> int:
    return min(counts, default=0)
