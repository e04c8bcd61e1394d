"""The metrics about the real venue: how far its simulation is off, and whether it would take the testnet's orders.

``controller.core.decisions.evidence`` adds them to the evidence of the gates before and after the move to real money.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gates.bias import Bound, ShadowTally
from gates.measure import Tally
from gates.metric import DETAIL_MOST, Metric
from gates.parity import OrderTestTally
from gates.statistics import ratio_down
from policies.rules import METRICS, MetricName
from policies.stage import Environment

_Value = tuple[MetricName, Decimal | int | None, int, str]


def shadow_metrics(shadow: ShadowTally, tally: Tally, environment: Environment) -> tuple[Metric, ...]:
    """The bias of the simulation in this run, each with its bounds. Without pairs no metric has a value."""
    fills = (
        f"{shadow.filled} of {shadow.orders} real orders were filled; {shadow.only_simulated} were filled in the simulation alone, "
        f"{shadow.only_real} at the real venue alone"
    )
    first = shadow.first_fills.bound()
    waits = "" if first is None else f"to the first fill: {first.low:.0f} to {first.high:.0f} ms ({first.count} orders)"
    values: list[_Value] = [(MetricName.SHADOW_ORDERS, shadow.orders, shadow.orders, "")]
    values += _bounded(
        (MetricName.SHADOW_FILL_BIAS, MetricName.SHADOW_FILL_BIAS_LOW, MetricName.SHADOW_FILL_BIAS_HIGH), shadow.fill_bias(), fills
    )
    values += _bounded(
        (MetricName.SHADOW_PRICE_BIAS_BPS, MetricName.SHADOW_PRICE_BIAS_BPS_LOW, MetricName.SHADOW_PRICE_BIAS_BPS_HIGH),
        shadow.prices.bound(),
        "of the orders of which the simulation and the real venue both filled something",
    )
    values += _bounded(
        (MetricName.SHADOW_LATENCY_BIAS_MS, MetricName.SHADOW_LATENCY_BIAS_MS_LOW, MetricName.SHADOW_LATENCY_BIAS_MS_HIGH),
        shadow.acks.bound(),
        waits,
    )
    return _metrics(values, tally, environment)


def parity_metrics(tests: OrderTestTally, tally: Tally, environment: Environment) -> tuple[Metric, ...]:
    """The answers of ``order/test``. Without an answer about an order no metric has a value. The testnet attests none of them."""
    asked, detail = tests.asked, tests.detail
    return _metrics(
        [
            (MetricName.ORDER_TESTS, asked, asked, detail),
            (MetricName.ORDER_TEST_PARITY_RATIO, ratio_down(tests.accepted, asked), asked, detail),
            (MetricName.ORDER_TEST_PARITY_LOWER, tests.lower(), asked, detail),
        ],
        tally,
        environment,
    )


def _bounded(names: tuple[MetricName, MetricName, MetricName], bound: Bound | None, detail: str) -> list[_Value]:
    if bound is None:
        return [(name, None, 0, detail) for name in names]
    return [(name, value, bound.count, detail) for name, value in zip(names, (bound.estimate, bound.low, bound.high), strict=True)]


def _metrics(values: Iterable[_Value], tally: Tally, environment: Environment) -> tuple[Metric, ...]:
    coverage = ratio_down(tally.covered_ms, tally.total_ms) or Decimal(0)
    return tuple(
        Metric(
            name=name,
            value=Decimal(value) if value is not None and count > 0 else None,
            unit=METRICS[name].unit,
            samples=count,
            coverage=coverage,
            measured_at=tally.last_at,
            source=tally.source,
            accelerated=tally.accelerated,
            environment=environment,
            detail=detail[:DETAIL_MOST],
        )
        for name, value, count, detail in values
    )
