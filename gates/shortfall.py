"""What executions cost against the mid price at their decision, and how much of what was ordered fills.

execution-safety.md §4.1 and §4.3 B1, B2 and B4. Implementation shortfall is that of Perold 1988, "The implementation
shortfall: paper versus reality", and Treynor 1981.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from exchange.model import Side
from gates import resampling
from gates.declared import Declared, Measurement, less_is_better, missing, more_is_better
from gates.latency import measure_latency
from gates.series import Execution
from policies.numbers import WIDE
from policies.rules import MetricName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_BPS = 10_000
_COSTS = (
    MetricName.SHORTFALL_MEAN_BPS,
    MetricName.SHORTFALL_UPPER_BPS,
    MetricName.SHORTFALL_MEDIAN_BPS,
    MetricName.SHORTFALL_P95_BPS,
)


def price_cost_bps(order: Execution) -> Decimal:
    """``side · (average price - mid) / mid`` of an order that filled, in basis points; negative if it was better than the mid."""
    with localcontext(WIDE):
        average = order.filled_quote / order.filled
        return _sign(order) * (average - order.mid) / order.mid * _BPS


def fee_bps(order: Execution) -> Decimal:
    """The fees of an order that filled, in basis points of what filled."""
    with localcontext(WIDE):
        return order.fee_quote / order.filled_quote * _BPS


def opportunity_cost(orders: tuple[Execution, ...]) -> tuple[Decimal | None, int]:
    """What was not filled, at the mid price when its order ended against that at the decision, in bps of all that was ordered.

    ``Σ side · (mid at end - mid) · unfilled / Σ mid · ordered`` (Perold 1988). With it the number of orders whose mid at the end is
    not known; they have no part in it. ``None`` if that leaves nothing.
    """
    with localcontext(WIDE):
        missed = ordered = Decimal(0)
        unknown = 0
        for order in orders:
            unfilled = max(order.ordered - order.filled, Decimal(0))
            if unfilled and order.mid_at_end is None:
                unknown += 1
                continue
            ordered += order.mid * order.ordered
            if order.mid_at_end is not None:
                missed += _sign(order) * (order.mid_at_end - order.mid) * unfilled
        return (missed / ordered * _BPS if ordered else None), unknown


def filled_part(orders: tuple[Execution, ...]) -> Decimal | None:
    """The part that filled of what was ordered, each valued at the mid price of its decision; ``None`` if nothing was ordered."""
    with localcontext(WIDE):
        ordered = sum((order.mid * order.ordered for order in orders), Decimal(0))
        return sum((order.mid * order.filled for order in orders), Decimal(0)) / ordered if ordered else None


def rank(values: list[int], share: float) -> int:
    """The smallest of the values that ``share`` of them do not exceed (nearest rank)."""
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]


def measure_executions(orders: tuple[Execution, ...], declared: Declared, seed: int) -> tuple[Measurement, ...]:
    """The metrics of the ended orders."""
    return (*_shortfall(orders, declared, seed), _excess(orders, declared), *_answers(orders, declared))


def _shortfall(orders: tuple[Execution, ...], declared: Declared, seed: int) -> tuple[Measurement, ...]:
    filled = [order for order in orders if order.filled > 0 and order.filled_quote > 0 and order.mid > 0]
    n = len(filled)
    if not n:
        return tuple(missing(name, 0, "no order of this run has filled") for name in _COSTS)
    prices, fees = (np.array([float(part(order)) for order in filled]) for part in (price_cost_bps, fee_bps))
    costs = prices + fees
    missed, unknown = opportunity_cost(orders)
    split = (
        f"{n} orders filled; prices cost {prices.mean():.3g} bps against the mid price at the decision, fees {fees.mean():.3g} bps"
        + ("" if missed is None else f"; what did not fill cost {missed:.3g} bps of all that was ordered")
        + (f"; for {unknown} orders the mid price at their end is not known" if unknown else "")
    )
    if n < resampling.FEWEST:
        bound = missing(_COSTS[1], n, f"{n} orders filled, and a bound of the mean needs {resampling.FEWEST}")
    else:
        most = resampling.upper(float(costs.mean()), resampling.resampled(costs, np.mean, seed).ravel(), declared.error)
        bound = less_is_better(_COSTS[1], most, n, f"upper {declared.confidence_text} bound of the mean; {split}")
    return (
        less_is_better(_COSTS[0], float(costs.mean()), n, split),
        bound,
        less_is_better(_COSTS[2], float(np.median(costs)), n, split),
        less_is_better(_COSTS[3], float(np.quantile(costs, 0.95)), n, split),
    )


def _excess(orders: tuple[Execution, ...], declared: Declared) -> Measurement:
    name, n, claim = MetricName.FILL_RATIO_EXCESS, len(orders), declared.claimed.fill_ratio
    part = filled_part(orders)
    if part is None:
        return missing(name, n, "no order of this run has ended")
    if claim is None:
        return missing(name, n, f"{part:.1%} of what was ordered filled, and the policy's claim names no `fill_ratio`")
    kinds = sorted({order.type for order in orders})
    each = {kind: filled_part(tuple(order for order in orders if order.type is kind)) for kind in kinds}
    by_type = ", ".join(f"{kind.value} {share:.1%}" for kind, share in each.items() if share is not None)
    return more_is_better(
        name,
        part - claim,
        n,
        f"{part:.1%} of what was ordered filled ({by_type}), and the claim is {claim:.1%}; "
        "more than claimed means that the simulated venue fills too easily",
    )


def _answers(orders: tuple[Execution, ...], declared: Declared) -> tuple[Measurement, ...]:
    waits = [order.acked_after_ms for order in orders if order.acked_after_ms is not None]
    names = ((MetricName.ACK_P50_MS, 0.5), (MetricName.ACK_P99_MS, 0.99))
    bounds = measure_latency(waits, declared)
    if not waits:
        return (*(missing(name, 0, "no order of this run was answered") for name, _ in names), *bounds)
    of = f"of {len(waits)} orders, the slowest took {max(waits)} ms"
    return (*(less_is_better(name, Decimal(rank(waits, share)), len(waits), of) for name, share in names), *bounds)


def _sign(order: Execution) -> int:
    return 1 if order.side is Side.BUY else -1
