"""The statistics of a run: the metrics of families B and C of a validation (execution-safety.md §4).

``controller.runtime.statistics`` computes them beside the writer, and a replay of the journal computes the same ones: the figures
depend on the series, on what the policy declares and on the covered time alone. Numbers are floats inside and come out as decimals,
rounded against the bot. The first call loads numpy, scipy and arch, which takes seconds; a start and a halt load none of them.
"""

from __future__ import annotations

from gates.declared import Claim, Declared, Measurement
from gates.series import RunSeries

__all__ = ["Claim", "Declared", "Measurement", "measure"]


def measure(series: RunSeries, declared: Declared, *, covered_ms: int) -> tuple[Measurement, ...]:
    """Every metric that follows from the series of a run, sorted by name.

    A figure that cannot be computed has no value, and its detail says what is missing. What is drawn at random comes from a
    generator whose seed is the digest of the series.
    The time it takes grows linearly: some seconds for a run of 72 hours with a thousand orders.
    """
    from gates.drift import measure_behaviour
    from gates.equity import measure_equity
    from gates.shortfall import measure_executions
    from gates.trading import measure_trips

    orders, trips = tuple(series.executions), tuple(series.round_trips)
    seed = int(series.digest().removeprefix("sha256:")[:16], 16)
    measured = (
        *measure_equity(series, declared, covered_ms, seed),
        *measure_executions(orders, declared, seed),
        *measure_trips(series, trips, declared, seed),
        *measure_behaviour(series, orders, trips, declared, covered_ms),
    )
    return tuple(sorted(measured, key=lambda one: one.name))
