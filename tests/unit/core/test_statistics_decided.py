"""Statistics that were computed beside the writer: journalled for the run they are of, and judged by its gates only."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.evidence import gather
from exchange.model import Millis
from gates.computed import Statistic
from gates.metric import Metric
from policies.authority import Verb
from policies.rules import GateName, MetricName
from policies.stage import Stage
from tests.support.desk import Desk

PSR = Statistic(MetricName.PSR, Decimal("0.61"), 864, "after 3 covered days")


@pytest.fixture(scope="module")
def validating() -> Desk:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(3_000)
    return desk


@pytest.fixture
def desk(validating: Desk) -> Desk:
    return validating.fork()


def report(desk: Desk, *found: Statistic, **changes: Any) -> i.StatisticsComputed:
    tally = desk.state.tally
    assert tally is not None
    known = {
        "run_started_at": tally.series.started_at,
        "as_of_seq": desk.state.seq,
        "as_of": desk.state.at,
        "covered_ms": tally.covered_ms,
        "series_digest": tally.series.digest(),
        "figures": found,
    }
    return i.StatisticsComputed(**{**known, **changes})


def metric(desk: Desk, name: MetricName = MetricName.PSR) -> Metric | None:
    bundle = gather(desk.state, desk.policy, GateName.VALIDATION)
    assert bundle is not None
    return bundle.metric(name)


def test_no_statistic_is_in_the_evidence_before_the_first_is_computed(desk: Desk) -> None:
    assert metric(desk) is None


def test_a_statistic_is_journalled_and_in_the_evidence(desk: Desk) -> None:
    desk.give(report(desk, PSR))
    found = metric(desk)
    assert found is not None
    assert (found.value, found.samples, found.detail) == (Decimal("0.61"), 864, "after 3 covered days")


def test_a_statistic_is_as_old_as_what_it_was_computed_from(desk: Desk) -> None:
    asked = report(desk, PSR)
    desk.run(5_000)
    desk.give(asked)
    found = metric(desk)
    assert found is not None
    assert found.measured_at == asked.as_of < desk.now


def test_statistics_of_an_earlier_run_are_not_journalled(desk: Desk) -> None:
    asked = report(desk, PSR)
    desk.move(Verb.DEMOTE, Stage.MOCK)
    assert desk.give(asked).events == ()


def test_a_new_run_has_no_statistics_of_the_one_before(desk: Desk) -> None:
    desk.give(report(desk, PSR))
    desk.move(Verb.DEMOTE, Stage.MOCK)
    desk.run(2_000)
    bundle = gather(desk.state, desk.policy, GateName.TESTNET_READY)
    assert bundle is not None
    assert bundle.metric(MetricName.PSR) is None


def test_statistics_of_an_entry_that_does_not_exist_are_not_journalled(desk: Desk) -> None:
    assert desk.give(report(desk, PSR, as_of_seq=desk.state.seq + 1)).events == ()


def test_a_failed_computation_replaces_older_figures(desk: Desk) -> None:
    desk.give(report(desk, PSR))
    desk.give(report(desk, error="the statistics failed: MemoryError"))
    found = metric(desk)
    assert found is not None
    assert (found.value, found.error) == (None, "the statistics failed: MemoryError")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1000000000000"])
def test_a_figure_that_no_document_can_hold_has_no_value(desk: Desk, value: str) -> None:
    desk.give(report(desk, Statistic(MetricName.PROFIT_FACTOR, Decimal(value), 40, "")))
    found = metric(desk, MetricName.PROFIT_FACTOR)
    assert found is not None
    assert found.value is None
    assert "no finite number" in found.detail


def test_only_statistics_are_taken_over(desk: Desk) -> None:
    desk.give(report(desk, PSR, Statistic(MetricName.COVERED_MS, Decimal(10**9), 1, "")))
    event = desk.journal[-1][0]
    assert isinstance(event, e.RunMeasured)
    assert [one.name for one in event.figures] == [MetricName.PSR]


def test_what_is_not_known_says_why(desk: Desk) -> None:
    desk.give(report(desk, Statistic(MetricName.CLAIM_Z, None, 864, "the claim names no `annual_sharpe`")))
    found = metric(desk, MetricName.CLAIM_Z)
    assert found is not None
    assert (found.value, found.detail) == (None, "the claim names no `annual_sharpe`")


def test_drills_inside_the_run_are_counted_by_kind(desk: Desk) -> None:
    found = metric(desk, MetricName.DRILLS_IN_RUN)
    assert found is not None
    assert found.value == Decimal(0)


def test_statistics_do_not_change_what_was_measured(desk: Desk) -> None:
    before = desk.state.tally
    desk.give(report(desk, PSR, as_of=Millis(desk.now)))
    assert desk.state.tally == before
