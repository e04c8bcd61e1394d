"""The parity with the real venue has the bound that a hand computes, and says what was refused."""

from __future__ import annotations

import pytest

from gates.live import parity_metrics
from gates.parity import KEPT, OTHERS, OrderTestTally
from policies.rules import MetricName
from tests.unit.gates.gate_kit import good_run
from tests.unit.policies.policy_kit import REHEARSAL

REFUSED = "30002 on LIMIT BUY BTCUSDT: cannot be less than:5USDT (quantity 0.00001, price 60000)"


def test_without_an_answer_nothing_is_measured() -> None:
    run = good_run(REHEARSAL)
    for metric in parity_metrics(OrderTestTally(), run, REHEARSAL.environment):
        assert metric.value is None
        assert metric.samples == 0
        assert "needs orders that the testnet accepts, and a working live key" in metric.detail


def test_the_lower_bound_by_hand() -> None:
    # All of 30 accepted: 0.05^(1/30) = 0.904966. One of 20 refused: 1 - 0.216106, the Clopper-Pearson bound of 1 in 20.
    everything, most = OrderTestTally().with_answers(30, {}, {}), OrderTestTally().with_answers(19, {REFUSED: 1}, {})
    assert everything.lower() is not None
    assert float(everything.lower() or 0) == pytest.approx(0.05 ** (1 / 30), abs=1e-9)
    assert float(most.lower() or 0) == pytest.approx(1 - 0.216106, abs=1e-6)


def test_what_says_nothing_about_an_order_is_not_counted() -> None:
    tally = OrderTestTally().with_answers(9, {REFUSED: 1}, {"30004: the live account holds too little for it": 40})
    assert (tally.asked, tally.accepted) == (10, 9)
    metrics = {metric.name: metric for metric in parity_metrics(tally, good_run(REHEARSAL), REHEARSAL.environment)}
    assert str(metrics[MetricName.ORDER_TEST_PARITY_RATIO].value) == "0.9"
    detail = metrics[MetricName.ORDER_TEST_PARITY_RATIO].detail
    assert detail == f"refused: 1 × {REFUSED}; says nothing about the order: 40 × 30004: the live account holds too little for it"


def test_only_a_few_refusals_are_kept_in_words() -> None:
    tally = OrderTestTally()
    for number in range(KEPT + 5):
        tally = tally.with_answers(0, {f"refusal {number}": 1}, {})
    assert tally.asked == KEPT + 5
    assert len(tally.refused) == KEPT + 1
    assert tally.refused[OTHERS] == 5
