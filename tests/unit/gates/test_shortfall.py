"""What executions cost, against examples computed by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exchange.model import OrderType, Side
from gates import shortfall
from gates.declared import Claim, Declared, Measurement
from policies.rules import MetricName
from tests.unit.gates.series_kit import named, order

COSTS = {
    MetricName.SHORTFALL_MEAN_BPS,
    MetricName.SHORTFALL_UPPER_BPS,
    MetricName.SHORTFALL_MEDIAN_BPS,
    MetricName.SHORTFALL_P95_BPS,
}


def measured(*orders: shortfall.Execution, looks: int = 1, fill_ratio: str | None = None) -> tuple[Measurement, ...]:
    claim = Claim(fill_ratio=None if fill_ratio is None else Decimal(fill_ratio))
    return shortfall.measure_executions(orders, Declared(looks=looks, claim=claim), 7)


@pytest.mark.parametrize(
    ("side", "price", "cost"),
    [(Side.BUY, "100.1", 10), (Side.BUY, "99.9", -10), (Side.SELL, "99.9", 10), (Side.SELL, "100.1", -10)],
)
def test_a_price_costs_what_it_is_worse_than_the_mid_at_the_decision(side: Side, price: str, cost: int) -> None:
    assert shortfall.price_cost_bps(order(side, mid="100", price=price)) == cost


def test_fees_cost_their_part_of_what_filled() -> None:
    assert shortfall.fee_bps(order(price="200", filled="0.5", fee="0.05")) == 5


def test_what_does_not_fill_costs_what_the_market_ran_away() -> None:
    # 2 of 4 ordered at a mid of 100 did not fill; the mid ended at 101: 2 / 400
    assert shortfall.opportunity_cost((order(ordered="4", filled="2", end="101"),)) == (50, 0)
    assert shortfall.opportunity_cost((order(Side.SELL, ordered="4", filled="2", end="101"),)) == (-50, 0)


def test_all_that_was_ordered_shares_the_opportunity_cost() -> None:
    orders = (order(ordered="1", filled="0", end="102"), order(ordered="3", filled="3", end="150"))
    assert shortfall.opportunity_cost(orders) == (50, 0)


def test_an_order_whose_end_has_no_price_has_no_part_in_it() -> None:
    unknown = order(ordered="1", filled="0", end=None)
    assert shortfall.opportunity_cost((unknown,)) == (None, 1)
    assert shortfall.opportunity_cost((unknown, order(ordered="1", filled="0", end="101"))) == (100, 1)
    assert shortfall.opportunity_cost((order(end=None),)) == (0, 0)  # it filled, so nothing was missed


def test_the_part_that_filled_is_weighed_by_value() -> None:
    assert shortfall.filled_part((order(mid="100", ordered="1", filled="1"), order(mid="300", ordered="1", filled="0"))) == Decimal(
        "0.25"
    )
    assert shortfall.filled_part(()) is None


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.75, 3), (0.76, 4), (0.99, 4), (0.25, 1), (0.0, 1)])
def test_a_percentile_is_a_value_that_was_seen(share: float, value: int) -> None:
    assert shortfall.rank([3, 1, 4, 2], share) == value


def test_mean_median_and_95th_percentile_by_hand() -> None:
    # price costs of 0, 10, 20 and 50 bps, each with 5 bps of fees; the percentile is 2.85 steps from the least
    orders = [order(price=price, fee=str(Decimal(price) * 5 / 10_000)) for price in ("100", "100.1", "100.2", "100.5")]
    found = measured(*orders)
    assert named(found, MetricName.SHORTFALL_MEAN_BPS).value == 25
    assert named(found, MetricName.SHORTFALL_MEDIAN_BPS).value == 20
    assert named(found, MetricName.SHORTFALL_P95_BPS).value == Decimal("50.5")
    detail = named(found, MetricName.SHORTFALL_MEAN_BPS).detail
    assert "4 orders filled; prices cost 20 bps against the mid price at the decision, fees 5 bps" in detail


def test_few_orders_have_no_bound_of_the_mean() -> None:
    found = named(measured(*[order(price="100.1")] * 19), MetricName.SHORTFALL_UPPER_BPS)
    assert (found.value, found.detail) == (None, "19 orders filled, and a bound of the mean needs 20")


def test_the_bound_of_the_mean_is_above_the_mean() -> None:
    orders = [order(price=price) for price in ("100", "100.1", "100.2", "100.3")] * 20
    once, often = (named(measured(*orders, looks=looks), MetricName.SHORTFALL_UPPER_BPS).value for looks in (1, 10))
    assert once is not None
    assert often is not None
    # the standard error is 11.18 / sqrt(80) = 1.25 for independent orders: 15 + 1.645 · 1.25, and these alternate
    assert 15 < once < 18
    assert once < often


def test_the_bound_of_equal_costs_is_the_cost() -> None:
    assert named(measured(*[order(price="100.1")] * 30), MetricName.SHORTFALL_UPPER_BPS).value == 10


def test_orders_that_did_not_fill_are_no_observation() -> None:
    found = measured(order(price="100.1"), order(filled="0", ordered="1", end="100"))
    assert named(found, MetricName.SHORTFALL_MEAN_BPS).samples == 1
    assert named(found, MetricName.SHORTFALL_MEAN_BPS).value == 10


def test_without_a_fill_no_cost_is_known() -> None:
    found = {one.name: one for one in measured(order(filled="0", ordered="1"))}
    assert {found[name].value for name in COSTS} == {None}
    assert {found[name].detail for name in COSTS} == {"no order of this run has filled"}


def test_the_fill_ratio_is_compared_with_the_claim() -> None:
    orders = (order(ordered="4", filled="3"), order(ordered="4", filled="4", kind=OrderType.MARKET))
    found = named(measured(*orders, fill_ratio="0.75"), MetricName.FILL_RATIO_EXCESS)
    assert found.value == Decimal("0.125")
    assert "87.5% of what was ordered filled (LIMIT 75.0%, MARKET 100.0%), and the claim is 75.0%" in found.detail


def test_a_fill_ratio_without_a_claim_has_no_excess() -> None:
    found = named(measured(order()), MetricName.FILL_RATIO_EXCESS)
    assert found.value is None
    assert "the policy's claim names no `fill_ratio`" in found.detail


def test_without_orders_there_is_no_excess() -> None:
    assert named(measured(fill_ratio="0.9"), MetricName.FILL_RATIO_EXCESS).detail == "no order of this run has ended"


def test_the_answers_of_the_venue_by_rank() -> None:
    found = measured(*[order(acked_ms=wait) for wait in (10, 20, 30, 400, None)])
    assert named(found, MetricName.ACK_P50_MS).value == 20
    assert named(found, MetricName.ACK_P99_MS).value == 400
    assert named(found, MetricName.ACK_P99_MS).samples == 4


def test_without_an_answer_no_time_is_known() -> None:
    found = measured(order(acked_ms=None))
    assert named(found, MetricName.ACK_P50_MS).value is named(found, MetricName.ACK_P99_MS).value is None
