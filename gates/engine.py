"""The gate engine: a pure function of policy, evidence and as-of time (architecture.md §6, gates-authority-journal.md §1.5).

Decisions, views, replay and the auditor call it. The same three inputs give the same result bytes on every machine, so anyone can
check a past decision with ``reevaluate``.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.model import DataSource, Millis
from gates import evidence as bundles
from gates.evidence import Evidence
from gates.metric import Attestation, Metric
from gates.registry import stages_of
from gates.verdict import Verdict, combine
from policies import canonical
from policies.document import Policy, parse_journalled
from policies.document import digest as policy_digest
from policies.numbers import text
from policies.rules import METRICS, STATISTIC_MAX_AGE_MS, GateName, Kind, MetricName, Op, Unit
from policies.schema import GateRule
from policies.stage import Environment

UNATTESTED = (
    "is unattested: no signature of the testnet's own key vouches for all of its covered time, so it opens no production gate; "
    "`gatehouse explain testnet` says what is missing"
)

PRODUCTION_SOURCES = frozenset({DataSource.LIVE, DataSource.RECORDED_L2})
"""A floor in code: reconstructed, synthetic or accelerated data never opens a production gate."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The result of one rule. ``measured`` is empty when there is no value; ``explanation`` gives the reason for the verdict."""

    rule: str
    metric: MetricName
    op: Op
    threshold: str
    unit: Unit
    measured: str
    samples: int
    min_samples: int
    verdict: Verdict
    explanation: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of a gate and of each of its rules. ``evidence_digest`` is empty when there was no evidence.

    ``attestation`` is that of the evidence, ``None`` where it needs none.
    """

    gate: GateName
    verdict: Verdict
    as_of: Millis
    policy_digest: str
    evidence_digest: str
    rules: tuple[RuleResult, ...]
    attestation: Attestation | None = None

    @property
    def passed(self) -> bool:
        """Whether the gate passes."""
        return self.verdict is Verdict.PASS


def evaluate(gate: GateName, policy: Policy, evidence: Evidence | None, as_of: Millis) -> GateResult:
    """Judge ``evidence`` by the rules of ``gate``. The gate passes only if every rule passes."""
    in_force = policy_digest(policy)
    objection = _objection(gate, policy, evidence, as_of, in_force)
    results = tuple(
        _result(rule, None, *objection) if objection else _judge(rule, policy, evidence, as_of) for rule in policy.gates.of(gate)
    )
    return GateResult(
        gate=gate,
        verdict=combine(result.verdict for result in results),
        as_of=as_of,
        policy_digest=in_force,
        evidence_digest=bundles.digest(evidence) if evidence else "",
        rules=results,
        attestation=evidence.attestation if evidence else None,
    )


def result_bytes(result: GateResult) -> bytes:
    """Return a result as RFC 8785 JSON, for the journal and for comparison."""
    return canonical.encode(result_document(result))


def result_document(result: GateResult) -> dict[str, object]:
    """Return a result as strings, integers and lists."""
    return {
        "gate": result.gate.value,
        "verdict": result.verdict.value,
        "as_of": result.as_of,
        "policy_digest": result.policy_digest,
        "evidence_digest": result.evidence_digest,
        "rules": [
            {
                "rule": rule.rule,
                "metric": rule.metric.value,
                "op": rule.op.value,
                "threshold": rule.threshold,
                "unit": rule.unit.value,
                "measured": rule.measured,
                "samples": rule.samples,
                "min_samples": rule.min_samples,
                "verdict": rule.verdict.value,
                "explanation": rule.explanation,
            }
            for rule in result.rules
        ],
        **({} if result.attestation is None else {"attestation": result.attestation.value}),
    }


def reevaluate(policy_bytes: bytes, evidence_bytes: bytes, as_of: Millis) -> bytes:
    """Judge a bundle again from its bytes, for the gate it names. Returns the same bytes as the first judgement.

    Raises:
        IntegrityError: either is not in canonical form.
        ConfigError: the policy is malformed, or looser than today's floors.
    """
    policy, evidence = parse_journalled(policy_bytes), bundles.parse(evidence_bytes)
    return result_bytes(evaluate(evidence.gate, policy, evidence, as_of))


def _objection(
    gate: GateName, policy: Policy, evidence: Evidence | None, as_of: Millis, in_force: str
) -> tuple[Verdict, str] | None:
    """The reason why no rule can be judged, with its verdict; ``None`` when there is none."""
    if evidence is None:
        return Verdict.NO_DATA, "there is no evidence"
    subject = evidence.subject
    objections = (
        (evidence.gate is not gate, Verdict.INVALID, f"the evidence is for {evidence.gate}"),
        (subject.stage not in stages_of(gate), Verdict.INVALID, f"the evidence is from a run of {subject.stage.value}"),
        (subject.environment is not policy.environment, Verdict.INVALID, f"the evidence is from {subject.environment.value}"),
        (subject.policy_digest != in_force, Verdict.INVALID, "the evidence was gathered under another policy"),
        (
            evidence.expires_at_ms > evidence.window_to_ms + policy.evidence.ttl_ms,
            Verdict.INVALID,
            "the evidence expires later than the policy allows",
        ),
        (as_of < evidence.window_to_ms, Verdict.INVALID, "the evidence is from the future"),
        (bundles.expired(evidence, as_of), Verdict.STALE, "the evidence has expired; propose again with new evidence"),
    )
    return next(((verdict, why) for applies, verdict, why in objections if applies), None)


def _judge(rule: GateRule, policy: Policy, evidence: Evidence | None, as_of: Millis) -> RuleResult:
    metric = evidence.metric(rule.metric) if evidence is not None else None
    verdict, explanation = _verdict(rule, policy, evidence, metric, as_of)
    return _result(rule, metric, verdict, explanation)


def _verdict(
    rule: GateRule, policy: Policy, evidence: Evidence | None, metric: Metric | None, as_of: Millis
) -> tuple[Verdict, str]:
    name = rule.metric.value
    if metric is None or evidence is None:
        return Verdict.NO_DATA, f"{name} is not in the evidence"
    if metric.error:
        return Verdict.ERROR, f"{name} could not be measured: {metric.error}"
    untrusted = _untrusted(policy, evidence, metric, as_of)
    if untrusted:
        return Verdict.INVALID, f"{name} {untrusted}"
    too_old = _too_old(policy, evidence, metric, as_of)
    return (Verdict.STALE, f"{name} {too_old}") if too_old else _compare(rule, metric)


def _too_old(policy: Policy, evidence: Evidence, metric: Metric, as_of: Millis) -> str:
    """The reason why a metric is too old to be used; empty when it is not."""
    if as_of - metric.measured_at > policy.evidence.ttl_ms:
        return f"was measured {as_of - metric.measured_at} ms ago; {policy.evidence.ttl_ms} ms are accepted"
    behind = evidence.window_to_ms - metric.measured_at
    if metric.kind is Kind.STATISTIC and behind > STATISTIC_MAX_AGE_MS:
        return f"was computed {behind} ms before the end of its evidence; {STATISTIC_MAX_AGE_MS} ms are accepted"
    return ""


def _compare(rule: GateRule, metric: Metric) -> tuple[Verdict, str]:
    if metric.value is None:
        why = f": {metric.detail}" if metric.detail else ""
        return Verdict.NO_DATA, f"{rule.metric.value} was not measured in this run{why}"
    measured, threshold = text(metric.value), text(rule.threshold)
    sentence = f"{rule.metric.value} is {measured} and must be {rule.op.value} {threshold}"
    if rule.op.holds(metric.value, rule.threshold):
        if metric.samples < rule.min_samples:
            return Verdict.INCONCLUSIVE, f"{sentence}, but {metric.samples} of {rule.min_samples} observations are not enough yet"
        return Verdict.PASS, sentence
    if METRICS[rule.metric].accumulates and rule.op in {Op.AT_LEAST, Op.ABOVE}:
        return Verdict.INCONCLUSIVE, f"{sentence}; it grows while the run continues"
    if metric.samples < rule.min_samples:
        return Verdict.INCONCLUSIVE, f"{sentence}; {metric.samples} of {rule.min_samples} observations are not enough to judge"
    return Verdict.FAIL, f"{sentence}: {metric.detail}" if metric.detail else sentence


def _untrusted(policy: Policy, evidence: Evidence, metric: Metric, as_of: Millis) -> str:
    """The reason why a metric may not be used under this policy; empty when it may."""
    production = policy.environment is Environment.PRODUCTION
    earlier = metric.window_from is not None and metric.window_from < evidence.window_from_ms
    unproven = metric.source not in PRODUCTION_SOURCES
    objections = (
        (metric.measured_at > as_of, "was measured in the future"),
        (earlier, "is of an earlier run"),
        (metric.environment is not policy.environment, f"was measured in {metric.environment.value}"),
        (production and unproven, f"comes from {metric.source.value} data, which cannot open a production gate"),
        (production and metric.attestation is Attestation.UNATTESTED, UNATTESTED),
        (production and metric.accelerated, "was measured on an accelerated clock, which cannot open a production gate"),
    )
    return next((why for applies, why in objections if applies), "")


def _result(rule: GateRule, metric: Metric | None, verdict: Verdict, explanation: str) -> RuleResult:
    return RuleResult(
        rule=rule.id,
        metric=rule.metric,
        op=rule.op,
        threshold=text(rule.threshold),
        unit=rule.unit,
        measured="" if metric is None or metric.value is None else text(metric.value),
        samples=0 if metric is None else metric.samples,
        min_samples=rule.min_samples,
        verdict=verdict,
        explanation=explanation,
    )
