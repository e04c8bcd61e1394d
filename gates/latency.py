"""Whether the venue answers as fast as the policy declares: bounds of the quantiles of the time from the decision to the answer.

The interval of a quantile is that of its order statistics: ``P(X_(r) > q)`` is that of fewer than ``r`` of ``n`` observations at or
below ``q``, a binomial probability, whatever the distribution (David and Nagaraja, "Order Statistics"). Each end is divided by the
declared figure, so 1 means as declared (execution-safety.md §4.3, row B4: within ±25 %). ``gates.shortfall`` calls it.

The quantile itself has three answers: within the tolerance it is what was measured; outside of it, it counts only once the whole
interval is outside; and as long as that is open it has no value, so that it neither passes nor fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from math import ceil
from typing import Any, cast

from scipy import stats

from gates.declared import Declared, Measurement, less_is_better, missing, more_is_better
from policies.numbers import GRID, WIDE
from policies.rules import MetricName

TOLERANCE = Decimal("0.25")
"""How far from what is declared a quantile may be."""


@dataclass(frozen=True, slots=True)
class _Quantile:
    what: str
    share: Decimal
    low: MetricName
    ratio: MetricName
    high: MetricName


_QUANTILES = (
    _Quantile("median", Decimal("0.5"), MetricName.ACK_P50_RATIO_LOW, MetricName.ACK_P50_RATIO, MetricName.ACK_P50_RATIO_HIGH),
    _Quantile(
        "99th percentile", Decimal("0.99"), MetricName.ACK_P99_RATIO_LOW, MetricName.ACK_P99_RATIO, MetricName.ACK_P99_RATIO_HIGH
    ),
)


def ranks(n: int, share: Decimal, error: float) -> tuple[int | None, int | None]:
    """Which of ``n`` sorted observations, counted from 1, bound a quantile on each side, each wrong with at most ``error``.

    ``None`` where ``n`` is too small for such a bound. Five observations bound a median at 5 %: the first and the last.
    """
    if n <= 0:
        return None, None
    below = cast("Any", stats.binom)(n, float(share))
    low, high = int(below.ppf(error)), int(below.ppf(1 - error)) + 1
    return (low if low >= 1 else None), (high if high <= n else None)


def measure_latency(waits: Sequence[int], declared: Declared) -> tuple[Measurement, ...]:
    """Each quantile and its bounds, as multiples of what the policy's ``performance.latency`` declares."""
    ordered = sorted(waits)
    return tuple(
        one
        for quantile, claimed in zip(_QUANTILES, declared.ack_ms, strict=True)
        for one in _measured(quantile, ordered, claimed, declared)
    )


def _measured(of: _Quantile, ordered: Sequence[int], claimed: int | None, declared: Declared) -> tuple[Measurement, ...]:
    n, names = len(ordered), (of.low, of.ratio, of.high)
    if claimed is None:
        return tuple(missing(name, n, "the policy declares no `performance.latency`") for name in names)
    low_rank, high_rank = ranks(n, of.share, declared.error)
    low, high = (None if rank is None else ordered[rank - 1] for rank in (low_rank, high_rank))
    few = f"{n} orders were answered, which are too few for this {declared.confidence_text} bound of the {of.what}"
    interval = f"between {'0' if low is None else low} and {'no bound' if high is None else high} ms"
    about = f"{n} answered orders, {of.what} {interval} ({declared.confidence_text} bounds), declared {claimed} ms"
    return (
        missing(of.low, n, few) if low is None else more_is_better(of.low, _ratio(low, claimed, ROUND_FLOOR), n, about),
        _estimate(of, ordered, claimed, (low, high), about),
        missing(of.high, n, few) if high is None else less_is_better(of.high, _ratio(high, claimed, ROUND_CEILING), n, about),
    )


def _estimate(
    of: _Quantile, ordered: Sequence[int], claimed: int, bounds: tuple[int | None, int | None], about: str
) -> Measurement:
    n, (low, high) = len(ordered), bounds
    if low is None:
        return missing(of.ratio, n, f"{n} answered orders are too few to say anything about the {of.what}")
    ratio = _ratio(ordered[ceil(n * of.share) - 1], claimed, ROUND_CEILING)
    inside = abs(ratio - 1) <= TOLERANCE
    slower = _ratio(low, claimed, ROUND_FLOOR) > 1 + TOLERANCE
    faster = high is not None and _ratio(high, claimed, ROUND_CEILING) < 1 - TOLERANCE
    if inside or slower or faster:
        return less_is_better(of.ratio, ratio, n, about)
    return missing(
        of.ratio, n, f"it is {ratio:.3g} times what is declared, and more answers must show whether that is chance: {about}"
    )


def _ratio(ms: int, claimed: int, rounding: str) -> Decimal:
    with localcontext(WIDE):
        return (Decimal(ms) / claimed).quantize(GRID, rounding=rounding)
