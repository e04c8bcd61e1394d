"""Evidence of the present run, and its judgement by a gate. Called by commands and by the operator API."""

from __future__ import annotations

from controller.core.lifecycle import Position, move
from controller.core.state import State
from controller.version import VERSION
from exchange.errors import Refused
from exchange.model import Millis
from gates import evidence as bundles
from gates import replay_parity
from gates.computed import Run, counted, statistics
from gates.drills import GreenDrill, drill_metrics
from gates.engine import GateResult, evaluate, result_bytes
from gates.evidence import Evidence, Subject
from gates.live import parity_metrics, shadow_metrics
from gates.measure import Tally, attestation_of
from gates.metric import Metric
from gates.registry import gate_for
from policies.authority import Verb
from policies.drills import DRILLS
from policies.ramp import next_step
from policies.rules import GateName
from policies.schema import Policy
from policies.stage import RISK_ORDER, Environment, Stage

_ASKS_THE_VENUE = frozenset({GateName.VALIDATION, GateName.LIVE_READY})


def gather(state: State, policy: Policy, gate: GateName) -> Evidence | None:
    """The evidence of the present run for ``gate``; ``None`` before the first measurement."""
    if state.tally is None or state.release is None:
        return None
    subject = bundles.subject_of(
        policy,
        controller_id=state.controller_id,
        stage=state.position.stage,
        step=state.position.step,
        release_digest=state.release.digest,
        gatehouse_version=VERSION,
    )
    more = _drills(state, state.tally, subject.environment) if gate is GateName.LIVE_READY else ()
    if gate in _ASKS_THE_VENUE:
        more += parity_metrics(state.order_tests, state.tally, subject.environment)
    if gate is GateName.RAMP_STEP:
        more += shadow_metrics(state.shadow, state.tally, subject.environment)
    return bundles.bundle(gate, subject, state.tally, policy, state.seq, (*more, *_computed(state, state.tally, subject)))


def _computed(state: State, tally: Tally, subject: Subject) -> tuple[Metric, ...]:
    """What is no tally: the drills inside the run, what was declared, and the statistics, if there are any of this run."""
    run = Run(tally, subject.environment, attestation_of(tally, subject.stage))
    asked_for = {kind for kind, spec in DRILLS.items() if spec.metric is not None}
    passed = sum(1 for kind, one in state.drills.items() if kind in asked_for and one.green and one.at >= tally.started_at)
    found = counted(run, drills=passed, variants=len(state.variants))
    found += replay_parity.metrics(run, None if state.policy is None else state.policy.performance)
    measured = state.measured
    if measured is None or measured.run_started_at != tally.series.started_at:
        return found
    return (*found, *statistics(run, measured.figures, measured.as_of, measured.error))


def _drills(state: State, tally: Tally, environment: Environment) -> tuple[Metric, ...]:
    green = {
        kind: GreenDrill(record.at, record.source, record.accelerated)
        for kind, record in state.drills.items()
        if record.green and record.source is not None
    }
    return drill_metrics(green, tally.last_at, tally.source, environment, accelerated=tally.accelerated)


def judge(state: State, policy: Policy, gate: GateName, now: Millis) -> GateResult:
    """Judge the present evidence with the gate."""
    return evaluate(gate, policy, gather(state, policy, gate), now)


def text(evidence: Evidence) -> str:
    """The bundle's canonical bytes as text, for the journal."""
    return bundles.canonical_bytes(evidence).decode()


def result_text(result: GateResult | None) -> str:
    """A gate's canonical result as text; empty when there was no gate."""
    return result_bytes(result).decode() if result is not None else ""


def _resumable(state: State, stage: Stage) -> bool:
    try:
        move(state.position, Verb.RESUME, Position(stage), halt=state.halt)
    except Refused:
        return False
    return True


def gated_moves(state: State) -> tuple[tuple[Verb, Position, GateName], ...]:
    """The moves up from the present position that have a gate, each with its gate."""
    policy, here = state.policy, state.position
    if policy is None:
        return ()
    moves: list[tuple[Verb, Position]] = []
    if here.stage is Stage.HALTED:
        moves = [(Verb.RESUME, Position(stage)) for stage in (Stage.VALIDATED, Stage.LIVE_EUR10) if _resumable(state, stage)]
    elif here.stage in {Stage.LIVE_EUR10, Stage.RAMPING}:
        following = next_step(policy, here.stage, here.step)
        moves = [(Verb.RAMP, Position(Stage.RAMPING, following))] if following is not None else []
    else:
        moves = [(Verb.ADVANCE, Position(RISK_ORDER[RISK_ORDER.index(here.stage) + 1]))]
    gated = []
    for verb, target in moves:
        try:
            gate = gate_for(verb, here.stage)
        except Refused:
            continue
        if gate is not None:
            gated.append((verb, target, gate))
    return tuple(gated)
