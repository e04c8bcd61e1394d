"""Gates open for good evidence only, say why they stay shut, and give the same bytes again offline."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import IntegrityError
from exchange.model import DataSource, Millis
from gates import evidence as bundles
from gates.engine import GateResult, evaluate, reevaluate, result_bytes, result_document
from gates.evidence import Evidence
from gates.measure import Tally
from gates.metric import Attestation
from gates.verdict import Verdict
from policies import canonical
from policies.document import canonical_bytes
from policies.rules import GateName, MetricName
from policies.schema import Policy
from policies.stage import Environment, Stage
from tests.unit.gates.gate_kit import STAGE_OF, evidence_of, good_run
from tests.unit.policies.policy_kit import REHEARSAL, changed, example

TEAM = example("team")
RUN = good_run(REHEARSAL)
AS_OF = RUN.last_at


def judged(tally: Tally = RUN, gate: GateName = GateName.VALIDATION, policy: Policy = REHEARSAL) -> GateResult:
    return evaluate(gate, policy, evidence_of(policy, gate, tally), tally.last_at)


def verdicts(result: GateResult) -> dict[str, Verdict]:
    return {rule.rule: rule.verdict for rule in result.rules}


def altered(evidence: Evidence, **changes: Any) -> Evidence:
    return evidence.model_copy(update=changes)


def with_metric(evidence: Evidence, name: MetricName, **changes: Any) -> Evidence:
    found = tuple(metric.model_copy(update=changes) if metric.name is name else metric for metric in evidence.metrics)
    return altered(evidence, metrics=found)


@pytest.mark.parametrize("gate", GateName)
def test_a_good_run_passes_its_gate(gate: GateName) -> None:
    result = judged(gate=gate)
    assert result.passed, [rule for rule in result.rules if rule.verdict is not Verdict.PASS]
    assert result.evidence_digest.startswith("sha256:")


@pytest.mark.parametrize("gate", GateName)
def test_without_evidence_there_is_no_data(gate: GateName) -> None:
    result = evaluate(gate, REHEARSAL, None, AS_OF)
    assert set(verdicts(result).values()) == {Verdict.NO_DATA}
    assert result.evidence_digest == ""


@pytest.mark.parametrize("gate", GateName)
def test_a_run_that_was_never_sampled_has_no_data(gate: GateName) -> None:
    empty = Tally.begin(DataSource.LIVE, at=RUN.started_at, cap_eur=Decimal(10), accelerated=False)
    assert judged(empty, gate).verdict is Verdict.NO_DATA


@pytest.mark.parametrize("gate", GateName)
@pytest.mark.parametrize("name", MetricName)
def test_a_gate_with_a_missing_metric_does_not_pass(gate: GateName, name: MetricName) -> None:
    evidence = evidence_of(REHEARSAL, gate, RUN)
    without = altered(evidence, metrics=tuple(metric for metric in evidence.metrics if metric.name is not name))
    needed = any(rule.metric is name for rule in REHEARSAL.gates.of(gate))
    assert evaluate(gate, REHEARSAL, without, AS_OF).passed is not needed


@pytest.mark.parametrize(
    ("tally", "rule", "verdict"),
    [
        (good_run(REHEARSAL, seconds=20), "covered-time", Verdict.INCONCLUSIVE),
        (good_run(REHEARSAL, orders=3), "orders", Verdict.INCONCLUSIVE),
        (good_run(REHEARSAL, orders=3), "reject-ratio", Verdict.INCONCLUSIVE),
        (replace(RUN, fills=3), "fills", Verdict.INCONCLUSIVE),
        (replace(RUN, longest_gap_ms=5_001), "longest-gap", Verdict.FAIL),
        (replace(RUN, covered_ms=56_000), "coverage", Verdict.FAIL),
        (replace(RUN, rejects=3), "reject-ratio", Verdict.FAIL),
        (replace(RUN, reconciliation_breaks=1), "clean-books", Verdict.FAIL),
        (replace(RUN, reconciliations=0), "clean-books", Verdict.NO_DATA),
        (replace(RUN, unknown_open=1), "no-unknown", Verdict.FAIL),
        (replace(RUN, longest_unknown_ms=20_001), "longest-unknown", Verdict.FAIL),
        (replace(RUN, drawdown=Decimal("0.1001")), "drawdown", Verdict.FAIL),
        (replace(RUN, equity_last=Decimal("99.69")), "net-pnl", Verdict.FAIL),
        (replace(RUN, equity_samples=9), "net-pnl", Verdict.INCONCLUSIVE),
        (replace(RUN, equity_samples=0), "drawdown", Verdict.NO_DATA),
    ],
)
def test_a_run_that_falls_short_does_not_pass(tally: Tally, rule: str, verdict: Verdict) -> None:
    result = judged(tally)
    assert verdicts(result)[rule] is verdict
    assert not result.passed


def test_an_explanation_has_the_measured_value_and_the_threshold() -> None:
    result = judged(replace(RUN, unknown_open=2))
    (rule,) = [rule for rule in result.rules if rule.rule == "no-unknown"]
    assert (rule.measured, rule.threshold, rule.samples) == ("2", "0", 60)
    assert rule.explanation == "unknown_orders is 2 and must be == 0"


def test_a_measurement_that_failed_is_an_error() -> None:
    broken = with_metric(evidence_of(REHEARSAL, GateName.VALIDATION), MetricName.FILLS, error="the stream was cut")
    assert verdicts(evaluate(GateName.VALIDATION, REHEARSAL, broken, AS_OF))["fills"] is Verdict.ERROR


def test_evidence_expires_after_its_ttl() -> None:
    evidence = evidence_of(REHEARSAL, GateName.VALIDATION)
    last = Millis(evidence.expires_at_ms - 1)
    assert evaluate(GateName.VALIDATION, REHEARSAL, evidence, last).passed
    assert evaluate(GateName.VALIDATION, REHEARSAL, evidence, Millis(evidence.expires_at_ms)).verdict is Verdict.STALE


def test_one_stale_metric_in_a_fresh_bundle_is_stale() -> None:
    evidence = with_metric(evidence_of(REHEARSAL, GateName.VALIDATION), MetricName.FILLS, measured_at=AS_OF - 600_001)
    assert verdicts(evaluate(GateName.VALIDATION, REHEARSAL, evidence, AS_OF))["fills"] is Verdict.STALE


def test_a_metric_from_the_future_is_invalid() -> None:
    evidence = with_metric(evidence_of(REHEARSAL, GateName.VALIDATION), MetricName.FILLS, measured_at=AS_OF + 1)
    assert verdicts(evaluate(GateName.VALIDATION, REHEARSAL, evidence, AS_OF))["fills"] is Verdict.INVALID


def _subject(evidence: Evidence, **changes: Any) -> Evidence:
    return altered(evidence, subject=evidence.subject.model_copy(update=changes))


FOREIGN = {
    "for another gate": lambda e: altered(e, gate=GateName.RESUME),
    "from another stage": lambda e: _subject(e, stage=Stage.MOCK),
    "from another environment": lambda e: _subject(e, environment=Environment.PRODUCTION),
    "under another policy": lambda e: _subject(e, policy_digest="sha256:" + "0" * 64),
    "from the future": lambda e: altered(e, window_to_ms=AS_OF + 1),
    "with a longer life than it may have": lambda e: altered(e, expires_at_ms=e.expires_at_ms + 1),
}


@pytest.mark.parametrize("how", FOREIGN)
def test_evidence_is_invalid(how: str) -> None:
    result = evaluate(GateName.VALIDATION, REHEARSAL, FOREIGN[how](evidence_of(REHEARSAL, GateName.VALIDATION)), AS_OF)
    assert set(verdicts(result).values()) == {Verdict.INVALID}


def production_run(**changes: Any) -> Tally:
    """72 covered hours of production, without sampling each second of them."""
    hours = replace(
        good_run(TEAM, orders=300),
        samples=260_000,
        equity_samples=260_000,
        clock_samples=260_000,
        reconciliations=20_000,
        covered_ms=259_200_000,
        total_ms=259_200_000,
        account_checks=9,
    )
    hours = replace(hours, **changes)
    return replace(hours, attested_ms=changes.get("attested_ms", hours.covered_ms))


@pytest.mark.parametrize("gate", GateName)
def test_a_production_gate_opens_for_live_and_recorded_data(gate: GateName) -> None:
    for source in (DataSource.LIVE, DataSource.RECORDED_L2):
        assert judged(production_run(source=source), gate, TEAM).passed


@pytest.mark.parametrize("gate", GateName)
@pytest.mark.parametrize("source", [DataSource.RECONSTRUCTED_BARS, DataSource.SYNTHETIC])
def test_synthetic_data_never_opens_a_production_gate(gate: GateName, source: DataSource) -> None:
    assert judged(production_run(source=source), gate, TEAM).verdict is Verdict.INVALID


@pytest.mark.parametrize("gate", GateName)
def test_an_accelerated_clock_never_opens_a_production_gate(gate: GateName) -> None:
    assert judged(production_run(accelerated=True), gate, TEAM).verdict is Verdict.INVALID


@pytest.mark.parametrize("gate", [GateName.VALIDATION, GateName.LIVE_READY])
@pytest.mark.parametrize("attested_ms", [0, 1, 259_199_999])
def test_unattested_time_never_opens_a_production_gate(gate: GateName, attested_ms: int) -> None:
    result = judged(production_run(attested_ms=attested_ms), gate, TEAM)
    assert (result.verdict, result.attestation) == (Verdict.INVALID, Attestation.UNATTESTED)
    assert all("is unattested" in rule.explanation for rule in result.rules if not rule.rule.startswith(("drill-", "order-test")))


def test_a_rehearsal_passes_unattested_and_says_so() -> None:
    result = judged(good_run(REHEARSAL))
    assert (result.passed, result.attestation) == (True, Attestation.UNATTESTED)
    assert b'"attestation":"unattested"' in result_bytes(result)


@pytest.mark.parametrize("gate", [GateName.TESTNET_READY, GateName.RAMP_STEP])
def test_what_no_testnet_measured_needs_no_attestation(gate: GateName) -> None:
    result = judged(production_run(attested_ms=0), gate, TEAM)
    assert (result.passed, result.attestation) == (True, None)


def test_a_rehearsal_may_use_any_source() -> None:
    assert judged(good_run(REHEARSAL, source=DataSource.SYNTHETIC, accelerated=True)).passed


def test_one_millisecond_less_than_72_covered_hours_does_not_pass() -> None:
    short = judged(production_run(covered_ms=259_199_999, total_ms=259_199_999), GateName.VALIDATION, TEAM)
    assert short.verdict is Verdict.INCONCLUSIVE


MEASUREMENTS = st.fixed_dictionaries(
    {
        "covered_ms": st.integers(0, 60_000),
        "longest_gap_ms": st.integers(0, 10_000),
        "orders": st.integers(0, 30),
        "fills": st.integers(0, 10),
        "rejects": st.integers(0, 5),
        "reconciliations": st.integers(0, 2),
        "reconciliation_breaks": st.integers(0, 1),
        "unknown_open": st.integers(0, 1),
        "longest_unknown_ms": st.integers(0, 40_000),
        "equity_samples": st.integers(0, 20),
        "drawdown": st.decimals(min_value=0, max_value=1, places=3),
        "equity_last": st.decimals(min_value=99, max_value=101, places=2),
    }
)


@settings(deadline=None)
@given(MEASUREMENTS)
def test_a_gate_passes_exactly_when_every_one_of_its_rules_holds(measured: dict[str, Any]) -> None:
    tally = replace(RUN, **measured)
    result = judged(tally)
    assert result.passed == all(rule.verdict is Verdict.PASS for rule in result.rules)
    assert result.passed == (
        tally.covered_ms >= 57_000
        and tally.longest_gap_ms <= 5_000
        and tally.orders >= 10
        and tally.fills >= 4
        and tally.rejects * 10 <= tally.orders
        and tally.reconciliations > 0
        and tally.reconciliation_breaks == 0
        and tally.unknown_open == 0
        and tally.longest_unknown_ms <= 20_000
        and tally.equity_samples >= 10
        and tally.drawdown <= Decimal("0.1")
        and measured["equity_last"] >= Decimal("99.7")
    )


@pytest.mark.parametrize("gate", GateName)
def test_an_offline_judgement_gives_the_same_bytes(gate: GateName) -> None:
    evidence = evidence_of(REHEARSAL, gate, replace(RUN, longest_gap_ms=5_001))
    there = result_bytes(evaluate(gate, REHEARSAL, evidence, AS_OF))
    assert reevaluate(canonical_bytes(REHEARSAL), bundles.canonical_bytes(evidence), AS_OF) == there


def test_a_result_names_the_policy_and_the_evidence_it_is_about() -> None:
    evidence = evidence_of(REHEARSAL, GateName.RESUME)
    document = result_document(evaluate(GateName.RESUME, REHEARSAL, evidence, AS_OF))
    assert document["evidence_digest"] == bundles.digest(evidence)
    assert document["policy_digest"] == canonical.digest(canonical_bytes(REHEARSAL))


def test_another_policy_makes_the_same_bundle_invalid_offline() -> None:
    other = canonical_bytes(changed(REHEARSAL, "limits.open_orders_max", 5))
    result = reevaluate(other, bundles.canonical_bytes(evidence_of(REHEARSAL, GateName.RESUME)), AS_OF)
    assert b'"verdict":"INVALID"' in result


def test_reading_a_bundle_gives_the_same_bundle() -> None:
    evidence = evidence_of(REHEARSAL, GateName.VALIDATION)
    assert bundles.parse(bundles.canonical_bytes(evidence)) == evidence


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"value":"60000"', b'"value":"NaN"'),
        (b'"value":"60000"', b'"value":60000'),
        (b'"value":"60000"', b'"value":"60000.0"'),
        (b'"value":"60000"', b'"value":1.5'),
        (b'"version":1', b'"version":2'),
        (b'"version":1', b'"version":1,"waived":true'),
        (b'"name":"fills"', b'"name":"orders"'),
        (b'"error":""', b'"error":"","error":""'),
        (b"{", b" {"),
    ],
)
def test_a_changed_bundle_is_refused(old: bytes, new: bytes) -> None:
    data = bundles.canonical_bytes(evidence_of(REHEARSAL, GateName.VALIDATION))
    assert old in data
    with pytest.raises(IntegrityError):
        bundles.parse(data.replace(old, new, 1))


def test_each_gate_judges_a_run_of_the_stage_it_leaves() -> None:
    assert {gate: evidence_of(REHEARSAL, gate).subject.stage for gate in GateName} == STAGE_OF
