"""The cases of a measurement that is not there, row by row (gates-authority-journal.md §1.2). None of them ever passes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from exchange.errors import ConfigError
from exchange.model import DataSource, Millis
from gates.computed import Run, Statistic, statistics
from gates.engine import GateResult, RuleResult, evaluate
from gates.evidence import Evidence
from gates.measure import Tally
from gates.metric import Metric
from gates.registry import GATES
from gates.verdict import SEVERITY, Verdict, combine
from policies.required import VALIDATION_RULES
from policies.rules import (
    METRICS,
    STATISTIC_MAX_AGE_MS,
    STATISTICS,
    Direction,
    GateName,
    Kind,
    MetricName,
    Op,
    Unit,
    direction_of,
    kind_of,
)
from policies.stage import Environment
from policies.values import replace
from tests.unit.gates.gate_kit import evidence_of, good_run
from tests.unit.policies.policy_kit import REHEARSAL, changed, tree_of

VALIDATION = GateName.VALIDATION
RUN = good_run(REHEARSAL)
POLICY = changed(
    REHEARSAL,
    "gates.validation",
    [
        *tree_of(REHEARSAL)["gates"]["validation"],
        {"id": "psr", "metric": "psr", "op": ">=", "threshold": "0.5", "unit": "ratio", "min_samples": 700},
    ],
)
"""The rehearsal policy, which asks for one statistic too."""


def judged(evidence: Evidence, as_of: Millis = RUN.last_at) -> GateResult:
    return evaluate(VALIDATION, POLICY, evidence, as_of)


def psr(result: GateResult) -> RuleResult:
    return next(rule for rule in result.rules if rule.metric is MetricName.PSR)


def evidence(*more: Metric, run: Tally = RUN) -> Evidence:
    made = evidence_of(POLICY, VALIDATION, run)
    kept = tuple(metric for metric in made.metrics if metric.name not in STATISTICS)
    return made.model_copy(update={"metrics": tuple(sorted((*kept, *more), key=lambda metric: metric.name))})


def figure(value: str | None = "0.6", samples: int = 864, *, at: int = RUN.last_at, detail: str = "", error: str = "") -> Metric:
    run = Run(RUN, Environment.REHEARSAL, None)
    found = Statistic(MetricName.PSR, None if value is None else Decimal(value), samples, detail)
    return next(one for one in statistics(run, [found], Millis(at), error) if one.name is MetricName.PSR)


def test_with_a_good_figure_the_gate_passes() -> None:
    assert judged(evidence(figure())).passed


@pytest.mark.parametrize(
    ("metric", "verdict"),
    [
        (None, Verdict.NO_DATA),
        (figure(None, 0, detail="no order of this run has filled"), Verdict.NO_DATA),
        (figure("0.6", 0), Verdict.NO_DATA),
        (figure(error="the statistics failed: ValueError"), Verdict.ERROR),
        (figure("0.6", 699), Verdict.INCONCLUSIVE),
        (figure("0.4", 699), Verdict.INCONCLUSIVE),
        (figure("0.4"), Verdict.FAIL),
        (figure().model_copy(update={"measured_at": RUN.last_at - STATISTIC_MAX_AGE_MS - 1, "window_from": None}), Verdict.STALE),
        (figure().model_copy(update={"measured_at": RUN.last_at + 1}), Verdict.INVALID),
        (figure().model_copy(update={"window_from": RUN.started_at - 1}), Verdict.INVALID),
        (figure().model_copy(update={"environment": Environment.PRODUCTION}), Verdict.INVALID),
    ],
    ids=["absent", "unknown", "unobserved", "failed", "few", "few-and-bad", "bad", "old", "future", "earlier-run", "elsewhere"],
)
def test_a_rule_without_a_good_measurement_does_not_pass(metric: Metric | None, verdict: Verdict) -> None:
    # The rehearsal's evidence is valid for ten minutes only, so an old statistic needs a longer one.
    policy = changed(POLICY, "evidence.ttl_ms", 3 * STATISTIC_MAX_AGE_MS)
    made = evidence_of(policy, VALIDATION, RUN)
    kept = tuple(one for one in made.metrics if one.name is not MetricName.PSR)
    more = () if metric is None else (metric,)
    result = evaluate(VALIDATION, policy, made.model_copy(update={"metrics": (*kept, *more)}), RUN.last_at)
    assert psr(result).verdict is verdict
    assert not result.passed


def test_a_statistic_just_young_enough_still_counts() -> None:
    policy = changed(POLICY, "evidence.ttl_ms", 3 * STATISTIC_MAX_AGE_MS)
    made = evidence_of(policy, VALIDATION, RUN)
    young = figure().model_copy(update={"measured_at": RUN.last_at - STATISTIC_MAX_AGE_MS, "window_from": None})
    kept = tuple(one for one in made.metrics if one.name is not MetricName.PSR)
    assert evaluate(VALIDATION, policy, made.model_copy(update={"metrics": (*kept, young)}), RUN.last_at).passed


def test_sealed_evidence_does_not_age_by_waiting_for_a_second_person() -> None:
    """A cooling-off period is longer than a statistic stays fresh; what was sealed was fresh when it was sealed."""
    policy = changed(POLICY, "evidence.ttl_ms", 3 * STATISTIC_MAX_AGE_MS)
    sealed = evidence_of(policy, VALIDATION, RUN)
    assert evaluate(VALIDATION, policy, sealed, Millis(RUN.last_at + STATISTIC_MAX_AGE_MS + 1)).passed


@pytest.mark.parametrize("written", ["NaN", "sNaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", [MetricName.PSR, MetricName.ROUND_TRIPS, MetricName.SHORTFALL_MEAN_BPS, MetricName.PROFIT_FACTOR])
def test_no_metric_can_be_made_of_what_is_no_number(name: MetricName, written: str) -> None:
    with pytest.raises(ValidationError):
        Run(RUN, Environment.REHEARSAL, None).metric(name, Decimal(written), 1)


@pytest.mark.parametrize("name", MetricName)
@pytest.mark.parametrize("unit", Unit)
def test_a_metric_in_another_unit_is_refused(name: MetricName, unit: Unit) -> None:
    made = Run(RUN, Environment.REHEARSAL, None).metric(name, 1, 1).model_dump()
    if unit is METRICS[name].unit:
        assert Metric(**{**made, "unit": unit}).unit is unit
        return
    with pytest.raises(ValidationError, match="is measured in"):
        Metric(**{**made, "unit": unit})


@pytest.mark.parametrize("value", ["-1", "0.5"])
@pytest.mark.parametrize("name", [name for name in MetricName if METRICS[name].unit is Unit.COUNT])
def test_a_count_that_is_none_is_refused(name: MetricName, value: str) -> None:
    with pytest.raises(ValidationError, match="a count is a whole number"):
        Run(RUN, Environment.REHEARSAL, None).metric(name, Decimal(value), 1)


def test_a_failed_measurement_has_no_value() -> None:
    made = figure().model_dump()
    with pytest.raises(ValidationError, match="a value and an error"):
        Metric(**{**made, "error": "the stream was cut"})


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    made = figure().model_dump()
    with pytest.raises(ValidationError, match="begins after it ends"):
        Metric(**{**made, "window_from": made["measured_at"] + 1})


@pytest.mark.parametrize("gate", GateName)
def test_a_gate_without_rules_cannot_be_written(gate: GateName) -> None:
    with pytest.raises(ConfigError):
        changed(REHEARSAL, f"gates.{gate}", [])


def test_no_verdicts_at_all_are_invalid() -> None:
    assert combine([]) is Verdict.INVALID


def test_a_violation_is_worse_than_a_missing_measurement() -> None:
    assert SEVERITY.index(Verdict.FAIL) > SEVERITY.index(Verdict.ERROR) > SEVERITY.index(Verdict.PASS)
    assert set(SEVERITY) == set(Verdict)


def test_a_run_that_ended_early_does_not_pass() -> None:
    short = good_run(REHEARSAL, seconds=5, orders=1)
    assert not evaluate(VALIDATION, REHEARSAL, evidence_of(REHEARSAL, VALIDATION, short), short.last_at).passed


def test_every_gate_guards_a_move() -> None:
    assert set(GATES.values()) == set(GateName)


def test_a_failed_computation_gives_each_statistic_its_error() -> None:
    found = statistics(Run(RUN, Environment.REHEARSAL, None), (), RUN.last_at, "the statistics failed: MemoryError")
    assert {metric.name for metric in found} == STATISTICS
    assert {(metric.value, metric.error) for metric in found} == {(None, "the statistics failed: MemoryError")}


@pytest.mark.parametrize(("fell", "claimed", "excess"), [("0.03", "0.02", "0.01"), ("0.01", "0.02", "-0.01"), ("0.01", None, None)])
def test_the_drawdown_is_compared_with_the_one_under_the_claim(fell: str, claimed: str | None, excess: str | None) -> None:
    run = Run(replace(RUN, drawdown=Decimal(fell)), Environment.REHEARSAL, None)
    under = Statistic(MetricName.DRAWDOWN_P95, None if claimed is None else Decimal(claimed), 864, "no claim")
    found = {metric.name: metric.value for metric in statistics(run, [under], RUN.last_at, "")}
    assert found[MetricName.DRAWDOWN_EXCESS] == (None if excess is None else Decimal(excess))


def test_each_metric_has_a_kind_and_a_direction() -> None:
    assert {kind_of(name) for name in MetricName} == set(Kind)
    assert {direction_of(name) for name in MetricName} == set(Direction)
    counters = [name for name in MetricName if kind_of(name) is Kind.COUNTER]
    assert all(direction_of(name) is Direction.MORE for name in counters)


@pytest.mark.parametrize("rule", VALIDATION_RULES, ids=lambda rule: f"{rule.metric}{rule.op}")
def test_a_required_rule_asks_in_the_direction_of_its_metric(rule: Any) -> None:
    wanted = {Op.AT_LEAST: Direction.MORE, Op.AT_MOST: Direction.LESS}[rule.op]
    assert direction_of(rule.metric) in {wanted, Direction.NEITHER}


def test_what_a_metric_is_made_of_is_written_into_the_evidence() -> None:
    written = figure().model_dump(mode="json")
    assert {"unit", "samples", "coverage", "measured_at", "window_from", "source"} <= written.keys()
    assert (figure().kind, figure().direction) == (Kind.STATISTIC, Direction.MORE)


def test_a_metric_of_an_earlier_version_keeps_its_bytes() -> None:
    run = good_run(REHEARSAL, seconds=1)
    plain = Metric(
        name=MetricName.ORDERS,
        value=Decimal(3),
        unit=Unit.COUNT,
        samples=1,
        coverage=Decimal(1),
        measured_at=run.last_at,
        source=DataSource.LIVE,
        accelerated=False,
        environment=Environment.REHEARSAL,
    )
    assert "window_from" not in plain.model_dump(mode="json")
