"""Tallies of runs that deserve to pass, and the evidence made of them."""

from __future__ import annotations

from decimal import Decimal

from exchange.model import DataSource, Millis
from gates.bias import Pair, ShadowTally
from gates.computed import Run
from gates.drills import GreenDrill, drill_metrics
from gates.evidence import Evidence, Subject, bundle, subject_of
from gates.live import parity_metrics, shadow_metrics
from gates.measure import Tally
from gates.metric import Attestation, Metric
from gates.parity import OrderTestTally
from policies.drills import DrillKind
from policies.ramp import cap_eur
from policies.required import VALIDATION_RULES
from policies.rules import GateName, MetricName, Op
from policies.schema import Policy
from policies.stage import Stage

HOUR_MS = 3_600_000
RELEASE = "sha256:" + "a" * 64
STAGE_OF = {
    GateName.TESTNET_READY: Stage.MOCK,
    GateName.VALIDATION: Stage.TESTNET_VALIDATING,
    GateName.LIVE_READY: Stage.VALIDATED,
    GateName.RAMP_STEP: Stage.LIVE_EUR10,
    GateName.RESUME: Stage.HALTED,
}


def subject(policy: Policy, gate: GateName) -> Subject:
    return subject_of(policy, controller_id="demo", stage=STAGE_OF[gate], step=0, release_digest=RELEASE, gatehouse_version="0.1.0")


def good_run(
    policy: Policy,
    *,
    seconds: int = 60,
    orders: int = 20,
    source: DataSource = DataSource.LIVE,
    accelerated: bool = False,
    covered: bool = True,
) -> Tally:
    """A run in which everything was covered, clean and flat."""
    start = Millis(policy.eur_rate.as_of + 1_000)
    tally = Tally.begin(source, at=start, cap_eur=cap_eur(policy, Stage.LIVE_EUR10, 0), accelerated=accelerated)
    for second in range(1, seconds + 1):
        at = Millis(start + second * 1_000)
        tally = tally.with_reconciliation(0).with_clock(20)
        tally = tally.with_sample(Decimal(100), covered=covered, interval_ms=1_000, at=at, unknown_open=0, oldest_unknown_ms=0)
    for _ in range(orders):
        tally = tally.with_order().with_fill()
    return tally


def evidence_of(policy: Policy, gate: GateName, tally: Tally | None = None) -> Evidence:
    """Evidence of a run, with every drill green an hour before its end, an agreeing real venue and good statistics."""
    run = tally if tally is not None else good_run(policy)
    green = {kind: GreenDrill(Millis(run.last_at - HOUR_MS), run.source, run.accelerated) for kind in DrillKind}
    more = drill_metrics(green, run.last_at, run.source, policy.environment, accelerated=run.accelerated)
    shadow = ShadowTally()
    for _ in range(60):
        shadow = shadow.with_pair(Pair(True, True, Decimal(0), 0, 0))
    parity = parity_metrics(OrderTestTally().with_answers(60, {}, {}), run, policy.environment)
    ramp = shadow_metrics(shadow, run, policy.environment)
    added = {GateName.LIVE_READY: (*more, *parity), GateName.RAMP_STEP: ramp}
    made = bundle(gate, subject(policy, gate), run, policy, 42, added.get(gate, ()))
    later = {metric.name: metric for metric in just_enough(policy, gate, run, made.attestation)}
    kept = (metric for metric in made.metrics if metric.name not in later)
    return made.model_copy(update={"metrics": tuple(sorted((*kept, *later.values()), key=lambda metric: metric.name))})


LATER = {rule.metric for rule in VALIDATION_RULES}


def just_enough(policy: Policy, gate: GateName, run: Tally, attestation: Attestation | None) -> list[Metric]:
    """The metrics of the rules about what only days of trading can prove, each at its threshold."""
    of = Run(run, policy.environment, attestation)
    rules = [rule for rule in policy.gates.of(gate) if rule.metric in LATER]
    values = {rule.metric: rule.threshold + (rule.op is Op.ABOVE) for rule in rules}
    if MetricName.FILL_RATIO_EXCESS in values:
        values[MetricName.FILL_RATIO_EXCESS] = Decimal(0)
    return [of.metric(name, value, 1_000) for name, value in values.items()]
