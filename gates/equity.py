"""The metrics of a run's equity: return under stressed costs, Sharpe ratio, drawdown, concentration, and the excess over holding.

execution-safety.md §4.1 and §4.3 C1 to C5 and C8. Returns are changes of the equity as a fraction of the stage's cap, one for each
period of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gates import resampling, sharpe
from gates.declared import Declared, Measurement, less_is_better, missing, more_is_better
from gates.series import GRID_MS, EquityPoint, RunSeries
from gates.sharpe import Moments
from policies.rules import MetricName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STRESSED_FEES, STRESSED_SLIPPAGE = Decimal("0.5"), Decimal(1)
"""What stressed costs add: half of the fees, and the slippage once more (execution-safety.md §4.3 C1)."""

BLOCK_MS = 21_600_000
_DAY_MS = 86_400_000
_NAMES = (
    MetricName.STRESSED_PNL_EUR,
    MetricName.STRESSED_RETURN_LOWER,
    MetricName.RETURN_LOWER,
    MetricName.PSR,
    MetricName.DSR,
    MetricName.MIN_TRL_DAYS,
    MetricName.DAYS_MISSING,
    MetricName.CLAIM_Z,
    MetricName.DRAWDOWN_P95,
    MetricName.BEST_BLOCK_SHARE,
    MetricName.HOLDING_EXCESS_EUR,
)


@dataclass(frozen=True, slots=True)
class Curve:
    """The equity of a run as returns of each period. ``holding`` are those of the first symbol, ``None`` if its price is not known.

    ``ends`` is when each period ends. A period without a point of its own has no change.
    """

    ends: NDArray[np.int64]
    returns: Floats
    stressed: Floats
    holding: Floats | None
    start: Decimal
    net: Decimal
    stressed_net: Decimal
    costs: str


def curve(points: tuple[EquityPoint, ...], cap: Decimal) -> Curve | str:
    """The curve of the points, or why there is none."""
    if len(points) < 2:
        return f"the equity of this run has {len(points)} points, and a return needs two"
    if not cap.is_finite() or cap <= 0:
        return "the run's stage has no cap, and returns are fractions of it"
    places = [(point.at - points[0].at) // GRID_MS for point in points]
    if any(after <= before for before, after in pairwise(places)):
        return "the points of the equity are not in order"
    if not all(one.is_finite() for point in points for one in (point.equity_eur, point.fees_eur, point.slippage_eur)):
        return "a point of the equity is not a number"
    first, last = points[0], points[-1]
    slippage = last.slippage_eur - first.slippage_eur
    counted = STRESSED_SLIPPAGE if slippage > 0 else Decimal(0)
    fees = last.fees_eur - first.fees_eur
    net = last.equity_eur - first.equity_eur
    worse = [point.equity_eur - STRESSED_FEES * point.fees_eur - counted * point.slippage_eur for point in points]
    return Curve(
        ends=np.arange(1, places[-1] + 1) * GRID_MS + first.at,
        returns=_changes([point.equity_eur for point in points], places, cap),
        stressed=_changes(worse, places, cap),
        holding=_holding(points, places),
        start=first.equity_eur,
        net=net,
        stressed_net=worse[-1] - worse[0],
        costs=f"net {net:.4f} EUR, fees {fees:.4f} EUR, slippage {slippage:.4f} EUR",
    )


def _changes(values: list[Decimal], places: list[int], cap: Decimal) -> Floats:
    changes = np.zeros(places[-1])
    changes[np.array(places[1:]) - 1] = [float((after - before) / cap) for before, after in pairwise(values)]
    return changes


def _holding(points: tuple[EquityPoint, ...], places: list[int]) -> Floats | None:
    """The price's changes as fractions of the first price: what was bought at the start is not bought again."""
    first = points[0].mid
    if first is None or points[-1].mid is None or first <= 0:
        return None
    mids: list[Decimal] = []
    for point in points:
        mids.append(point.mid if point.mid is not None else mids[-1])
    return _changes(mids, places, first)


def best_block(ends: NDArray[np.int64], returns: Floats) -> float | None:
    """The share of the best 6 hours in the profits of all winning 6 hours (00:00, 06:00, 12:00 and 18:00 UTC begin one).

    ``None`` if none has won (execution-safety.md §4.3 C8).
    """
    blocks = (ends - 1) // BLOCK_MS
    sums = np.bincount(blocks - blocks[0], weights=returns)
    won = float(sums[sums > 0].sum())
    return float(sums.max()) / won if won > 0 else None


def measure_equity(series: RunSeries, declared: Declared, covered_ms: int, seed: int) -> tuple[Measurement, ...]:
    """The metrics of the equity."""
    found = curve(tuple(series.equity), series.cap_eur)
    if isinstance(found, str):
        return tuple(missing(name, len(series.equity), found) for name in _NAMES)
    return (
        more_is_better(
            _NAMES[0], found.stressed_net, len(found.returns), f"{found.costs}; with fees × 1.5 and slippage × 2 counted"
        ),
        *_bounded(found, series.cap_eur, declared, seed),
        *_ratios(found, declared, covered_ms),
        _drawdown(found, series.cap_eur, declared, seed),
        _concentration(found),
    )


def _bounded(found: Curve, cap: Decimal, declared: Declared, seed: int) -> tuple[Measurement, ...]:
    """The bounds of the run's return, with and without stressed costs, and of its excess over holding: from one bootstrap."""
    n = len(found.returns)
    if n < resampling.FEWEST:
        why = f"the equity has {n} returns, and a bootstrap needs {resampling.FEWEST}"
        return missing(_NAMES[1], n, why), missing(_NAMES[2], n, why), _excess(found, cap, f"no bounds: {why}")
    excess = found.returns if found.holding is None else found.returns - found.holding
    columns = np.column_stack((found.stressed, found.returns, excess))
    length = resampling.block_length(columns)
    drawn = resampling.resampled(columns, lambda one: one.sum(axis=0), seed, length=length)
    (stressed, _), (low, high), (less, more) = (
        (resampling.lower(total, sums, declared.error), resampling.upper(total, sums, declared.error))
        for total, sums in zip(columns.sum(axis=0), drawn.T, strict=True)
    )
    how = f"each bound with {declared.confidence_text} confidence, from {len(drawn)} resampled runs in blocks of {length} periods"
    euros = float(cap)
    between = f"doing nothing brings 0, and this run between {low * euros:.4f} and {high * euros:.4f} EUR"
    return (
        more_is_better(_NAMES[1], stressed, n, f"{found.costs}; with fees × 1.5 and slippage × 2 counted; {how}"),
        more_is_better(_NAMES[2], low, n, f"{found.costs}; {between}; {how}"),
        _excess(found, cap, f"between {less * euros:.4f} and {more * euros:.4f} EUR, {how}"),
    )


def _excess(found: Curve, cap: Decimal, bounds: str) -> Measurement:
    name, n = _NAMES[10], len(found.returns)
    if found.holding is None:
        return missing(name, n, "the price of the first symbol is not known at the start or the end of the run")
    held = Decimal(repr(round(float(found.holding.sum()), 12))) * cap
    return more_is_better(
        name, found.net - held, n, f"net {found.net:.4f} EUR; holding {cap} EUR of the first symbol, {held:.4f} EUR; {bounds}"
    )


def _ratios(found: Curve, declared: Declared, covered_ms: int) -> tuple[Measurement, ...]:
    n, of = len(found.returns), sharpe.moments(found.returns)
    if of is None:
        why = f"all {n} returns of the run are the same, so they have no Sharpe ratio"
        return tuple(missing(name, n, why) for name in _NAMES[3:8])
    annual, needed = annual_text(found.returns, of, declared, covered_ms)
    chance = sharpe.best_by_chance(of, declared.variants)
    deflated = (
        f"{declared.variants} tried variants count as independent, and worthless ones with the error of this run as their spread: "
        f"the best of them is expected to reach an annual Sharpe ratio of {chance * sqrt(sharpe.PERIODS_A_YEAR):.3g}"
    )
    absent = None if needed is None else max(needed - covered_ms / _DAY_MS, 0.0)
    return (
        more_is_better(_NAMES[3], sharpe.above(of), n, annual),
        more_is_better(_NAMES[4], sharpe.above(of, chance), n, f"{deflated}; {annual}"),
        less_is_better(_NAMES[5], needed, n, annual),
        less_is_better(_NAMES[6], absent, n, annual),
        _claim(found.returns, of, declared, annual),
    )


def annual_text(returns: Floats, of: Moments, declared: Declared, covered_ms: int) -> tuple[str, float | None]:
    """The annual Sharpe ratio in words, with its bounds and the days it would need, which never go without it; and those days."""
    ratio, error = of.ratio * sharpe.annual_factor(returns, of), sharpe.annual_error(of)
    reach = float(special.ndtri(1 - declared.error)) * error
    periods = sharpe.periods_needed(of, declared.error)
    needed, ran = None if periods is None else periods / sharpe.PERIODS_A_DAY, covered_ms / _DAY_MS
    if needed is None:
        proof = f"after {ran:.1f} covered days it is not above 0, and no number of days would prove one that is"
    elif needed > ran:
        proof = f"after {ran:.1f} covered days it would need {needed - ran:.1f} more days to prove that it is above 0"
    else:
        proof = f"after {ran:.1f} covered days it is proven to be above 0"
    bounds = f"between {ratio - reach:.3g} and {ratio + reach:.3g}, each bound with {declared.confidence_text} confidence"
    return f"the annual Sharpe ratio is {ratio:.3g}, {bounds}; {proof}", needed


def _claim(returns: Floats, of: Moments, declared: Declared, annual: str) -> Measurement:
    """z = (SR of the run - claimed SR) / standard error, all annual (execution-safety.md §4.3 C2)."""
    name, claim = _NAMES[7], declared.claimed.annual_sharpe
    if claim is None:
        return missing(name, of.n, "the policy's claim names no `annual_sharpe`")
    ratio, error = of.ratio * sharpe.annual_factor(returns, of), sharpe.annual_error(of)
    power = float(special.ndtr(float(claim) / error - special.ndtri(0.95)))
    noticed = f"a run of this length notices a bot with a true ratio of 0 with a probability of {power:.0%}"
    return more_is_better(name, (ratio - float(claim)) / error, of.n, f"{annual}; the claim is {claim}; {noticed}")


def _drawdown(found: Curve, cap: Decimal, declared: Declared, seed: int) -> Measurement:
    """The run's returns, moved to the mean that the claim implies, drawn again: the 95th percentile of the largest drawdowns.

    execution-safety.md §4.3 C5.
    """
    name, n, claim = _NAMES[8], len(found.returns), declared.claimed.annual_sharpe
    if claim is None:
        return missing(name, n, "the policy's claim names no `annual_sharpe`")
    of = sharpe.moments(found.returns)
    if of is None or n < resampling.FEWEST:
        return missing(name, n, f"the equity has {n} returns, all the same or too few to draw again ({resampling.FEWEST})")
    start, euros = float(found.start), float(cap)
    moved = (found.returns - of.mean + float(claim) / sqrt(sharpe.PERIODS_A_YEAR) * of.deviation) * euros
    drawn = resampling.resampled(moved, lambda one: sharpe.drawdown(one, start, euros), seed)
    own = sharpe.drawdown(found.returns * euros, start, euros)
    text = f"the run's own largest drawdown is {own:.2%}; the claim is an annual Sharpe ratio of {claim}"
    return less_is_better(name, float(np.quantile(drawn, 0.95)), n, text)


def _concentration(found: Curve) -> Measurement:
    name, n = _NAMES[9], len(found.returns)
    share = best_block(found.ends, found.returns)
    blocks = len(set((found.ends - 1) // BLOCK_MS))
    return less_is_better(name, share, n, f"of {blocks} blocks of 6 hours" + ("" if share is not None else ", and none has won"))
