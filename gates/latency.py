"""Whether the venue answers as fast as the policy declares: bounds of the quantiles of the time from the decision to the answer.

The interval of a quantile is that of its order statistics: ``P(X_(r) > q)`` is that of fewer than ``r`` of ``n`` observations at or
below ``q``, a binomial probability, whatever the distribution (David and Nagaraja, "Order Statistics"). Each end is divided by the
declared figure, so 1 means as declared (execution-safety.md §4.3, row B4: within ±25 %). ``gates.shortfall`` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any, cast

from scipy import stats

from gates.declared import Declared, Measurement, less_is_better, missing, more_is_better
from policies.numbers import GRID, WIDE
from policies.rules import MetricName

_QUANTILES = (
    ("median", Decimal("0.5"), MetricName.ACK_P50_RATIO_LOW, MetricName.ACK_P50_RATIO_HIGH),
    ("99th percentile", Decimal("0.99"), MetricName.ACK_P99_RATIO_LOW, MetricName.ACK_P99_RATIO_HIGH),
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
    """The four bounds, each as a multiple of what the policy's ``performance.latency`` declares."""
    ordered, found = sorted(waits), []
    for (what, share, low_name, high_name), claimed in zip(_QUANTILES, declared.ack_ms, strict=True):
        low, high = ranks(len(ordered), share, declared.error)
        found.append(_bound(low_name, ordered, low, claimed, f"the lower {declared.confidence_text} bound of the {what}"))
        found.append(_bound(high_name, ordered, high, claimed, f"the upper {declared.confidence_text} bound of the {what}"))
    return tuple(found)


def _bound(name: MetricName, ordered: Sequence[int], rank: int | None, claimed: int | None, what: str) -> Measurement:
    n = len(ordered)
    if claimed is None:
        return missing(name, n, "the policy declares no `performance.latency`")
    if rank is None:
        return missing(name, n, f"{n} orders were answered, and {what} needs more of them")
    detail = f"{what} is {ordered[rank - 1]} ms after {n} answered orders, and {claimed} ms are declared"
    high = name in {MetricName.ACK_P50_RATIO_HIGH, MetricName.ACK_P99_RATIO_HIGH}
    with localcontext(WIDE):
        ratio = (Decimal(ordered[rank - 1]) / claimed).quantize(GRID, rounding=ROUND_CEILING if high else ROUND_FLOOR)
    return less_is_better(name, ratio, n, detail) if high else more_is_better(name, ratio, n, detail)
