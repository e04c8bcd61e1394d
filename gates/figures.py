"""The statistics of a run under a policy, in the form in which the journal has them.

``controller.runtime.statistics`` computes them beside the writer, and ``controller.audit`` computes them again from the journal.
"""

from __future__ import annotations

from gates.computed import Statistic
from gates.performance import Claim, Declared, measure
from gates.series import RunSeries
from policies.schema import Performance


def figures(series: RunSeries, performance: Performance | None, covered_ms: int) -> tuple[Statistic, ...]:
    """Every statistic of a run. It takes some seconds, and the first call loads numpy, scipy and arch.

    The same series, declaration and covered time give the same figures, in every process.
    """
    found = measure(series, declared(performance), covered_ms=covered_ms)
    return tuple(Statistic(one.name, one.value, one.samples, one.detail) for one in found)


def declared(performance: Performance | None) -> Declared:
    """What the policy declares before a run; without a declaration it is one look at one variant, and no claim."""
    if performance is None:
        return Declared()
    claim, latency = performance.claim, performance.latency
    ack_ms = (None, None) if latency is None else (latency.p50_ms, latency.p99_ms)
    if claim is None:
        return Declared(performance.looks, performance.variants, ack_ms=ack_ms)
    return Declared(
        performance.looks,
        performance.variants,
        Claim(
            annual_sharpe=claim.annual_sharpe,
            fill_ratio=claim.fill_ratio,
            trades_per_day=claim.trades_per_day,
            holding_ms=claim.holding_ms,
            turnover_per_day=claim.turnover_per_day,
            holding_times_ms=claim.holding_times_ms,
        ),
        ack_ms=ack_ms,
    )
