"""Whether a bot behaves as its owner claims: how often it trades, how long it holds, how much it turns over.

That is row C9 of execution-safety.md §4.3.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, cast

from scipy import stats

from gates.declared import Claim, Declared, Measurement, less_is_better, missing, more_is_better
from gates.series import Execution, RoundTrip, RunSeries
from policies.numbers import WIDE
from policies.rules import MetricName

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST = 10
"""Fewer holding times on one side say nothing about their distribution."""

_DAY_MS = 86_400_000


def factor(observed: Decimal, claimed: Decimal) -> Decimal | None:
    """How many times more or less was observed than claimed: the larger of ratio and 1/ratio, at least 1.

    ``None`` unless both are above 0.
    """
    if observed <= 0 or claimed <= 0:
        return None
    with localcontext(WIDE):
        return max(observed / claimed, claimed / observed)


def same_distribution(one: Sequence[float], other: Sequence[float]) -> float:
    """The p-value of the two-sample Kolmogorov-Smirnov test: small if both samples hardly come from one distribution.

    ``scipy.stats.ks_2samp``, exact for small samples (execution-safety.md §4.3 C9).
    """
    return float(cast("Any", stats.ks_2samp(one, other)).pvalue)


def measure_behaviour(
    series: RunSeries,
    orders: tuple[Execution, ...],
    trips: tuple[RoundTrip, ...],
    declared: Declared,
    covered_ms: int,
) -> tuple[Measurement, ...]:
    """The metrics of behaviour."""
    return (_drift(series, orders, trips, declared.claimed, covered_ms), _holding_times(trips, declared.claimed))


def _observed(
    series: RunSeries, orders: tuple[Execution, ...], trips: tuple[RoundTrip, ...], covered_ms: int
) -> tuple[Decimal, Decimal, Decimal]:
    """Round trips a day, mean holding time in ms, and turnover a day as a multiple of the cap."""
    with localcontext(WIDE):
        days = Decimal(covered_ms) / _DAY_MS
        held = Decimal(sum(trip.closed_at - trip.opened_at for trip in trips)) / len(trips) if trips else Decimal(0)
        traded = sum((order.filled_quote for order in orders), Decimal(0)) / series.quote_per_eur
        return len(trips) / days, held, traded / series.cap_eur / days


def _drift(
    series: RunSeries, orders: tuple[Execution, ...], trips: tuple[RoundTrip, ...], claim: Claim, covered_ms: int
) -> Measurement:
    name, n = MetricName.BEHAVIOUR_DRIFT, len(trips)
    claimed = (
        ("round trips a day", claim.trades_per_day),
        ("ms from purchase to sale", None if claim.holding_ms is None else Decimal(claim.holding_ms)),
        ("times the cap turned over a day", claim.turnover_per_day),
    )
    if all(figure is None for _, figure in claimed):
        return missing(name, n, "the policy's claim names no `trades_per_day`, `holding_ms` or `turnover_per_day`")
    if covered_ms <= 0 or series.cap_eur <= 0:
        return missing(name, n, "no time of this run is covered")
    factors, texts = [], []
    for seen, (what, figure) in zip(_observed(series, orders, trips, covered_ms), claimed, strict=True):
        if figure is None:
            continue
        times = factor(seen, figure)
        if times is None:
            return missing(name, n, f"{seen:.4g} {what} were observed and {figure:.4g} are claimed, which have no ratio")
        factors.append(times)
        texts.append(f"{seen:.4g} {what}, claimed {figure:.4g}")
    return less_is_better(name, max(factors), n, "; ".join(texts))


def _holding_times(trips: tuple[RoundTrip, ...], claim: Claim) -> Measurement:
    """Compared with those that are claimed; where none are, the second half of the run is compared with the first."""
    name, n = MetricName.BEHAVIOUR_KS_P, len(trips)
    held = [float(trip.closed_at - trip.opened_at) for trip in trips]
    if claim.holding_times_ms:
        before, after, what = [float(one) for one in claim.holding_times_ms], held, "those that are claimed"
    else:
        half = n // 2
        before, after, what = held[:half], held[half:], "those of its first half, because the claim names no `holding_times_ms`"
    if min(len(before), len(after)) < FEWEST:
        return missing(name, n, f"{len(before)} and {len(after)} holding times are too few to compare; each side needs {FEWEST}")
    return more_is_better(
        name, same_distribution(before, after), n, f"{len(after)} holding times of the run against {len(before)}: {what}"
    )
