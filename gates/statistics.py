"""The statistics of the metrics, in exact decimals; no amount of money becomes a float. ``gates.measure`` uses them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext

from exchange.model import Millis
from policies.numbers import WIDE, rounded_down, rounded_up

_ONE = Decimal(1)
_BISECTIONS = 60
_EXACT_EVENTS = 100


def ratio_up(part: int, whole: int) -> Decimal | None:
    """``part / whole`` rounded up, for ratios that should be small; ``None`` when ``whole`` is 0."""
    with localcontext(WIDE):
        return rounded_up(Decimal(part) / whole) if whole > 0 else None


def ratio_down(part: int, whole: int) -> Decimal | None:
    """``part / whole`` rounded down, for ratios that should be large; ``None`` when ``whole`` is 0."""
    return rounded_down(WIDE.divide(Decimal(part), Decimal(whole))) if whole > 0 else None


def covered(spans: Iterable[tuple[Millis, Millis]], start: Millis, end: Millis) -> tuple[int, int]:
    """``(covered milliseconds, longest gap)`` of ``[start, end)`` under ``spans``, which may overlap or be outside of it."""
    reached, total, longest = int(start), 0, 0
    for begin, finish in sorted(spans):
        begin_in, finish_in = max(begin, reached), min(finish, end)
        if finish_in <= begin_in:
            continue
        longest = max(longest, begin_in - reached)
        total += finish_in - begin_in
        reached = finish_in
    return total, max(longest, end - reached)


def upper_bound(events: int, trials: int, confidence: Decimal = Decimal("0.95")) -> Decimal | None:
    """One-sided upper bound of a proportion, rounded up: 0 events in 300 trials give about 1 %. ``None`` without trials.

    Clopper-Pearson: the ``p`` with ``P(X <= events | trials, p) = 1 - confidence``, found by bisection (execution-safety.md §4.1).
    Above ``_EXACT_EVENTS`` it is Hoeffding's bound, which is wider and cheap to compute.
    """
    if trials <= 0:
        return None
    if events >= trials:
        return _ONE
    error = _ONE - confidence
    with localcontext(WIDE):
        if events > _EXACT_EVENTS:
            return min(_ONE, rounded_up(Decimal(events) / trials + (-error.ln() / (2 * trials)).sqrt()))
        low, high = Decimal(0), _ONE
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if _at_most(events, trials, middle) > error else (low, middle)
        return rounded_up(high)


def _at_most(events: int, trials: int, p: Decimal) -> Decimal:
    """``P(X <= events)`` of a binomial variable, for ``0 < p < 1``."""
    odds = p / (1 - p)
    term = tail = (1 - p) ** trials
    for hits in range(1, events + 1):
        term = term * odds * (trials - hits + 1) / hits
        tail += term
    return tail


def lower_bound(events: int, trials: int, confidence: Decimal = Decimal("0.95")) -> Decimal | None:
    """One-sided lower bound of a proportion, rounded down: the ``p`` with ``P(X >= events | trials, p) = 1 - confidence``.

    As ``upper_bound``: Clopper-Pearson, and above ``_EXACT_EVENTS`` Hoeffding's bound. ``None`` without trials.
    """
    if trials <= 0:
        return None
    if events <= 0:
        return Decimal(0)
    with localcontext(WIDE):
        if events > _EXACT_EVENTS:
            error = _ONE - confidence
            return max(Decimal(0), rounded_down(Decimal(events) / trials - (-error.ln() / (2 * trials)).sqrt()))
        low, high = Decimal(0), _ONE
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if _at_most(events - 1, trials, middle) > confidence else (low, middle)
        return rounded_down(low)
