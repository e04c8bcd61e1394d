"""Counts what is declared before a validation: the verdicts that are asked for, and the releases that try (ADR 60).

``decisions.commands`` and the views call it. Without ``performance`` in the policy nothing is declared and nothing is refused: no
production policy that comes into force is without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import Refused
from gates.engine import GateResult
from gates.replay_parity import detail, why_none
from gates.signals import Signals
from gates.verdict import Verdict
from policies.authority import Verb
from policies.rules import METRICS, GateName, Op
from policies.schema import Policy
from policies.stage import Stage


@dataclass(frozen=True, slots=True)
class Count:
    """How many of something are used, and how many the policy declares."""

    used: int
    declared: int

    @property
    def left(self) -> int:
        """How many are left."""
        return max(self.declared - self.used, 0)


def looks(state: State, policy: Policy) -> Count | None:
    """The verdicts of ``validation`` in this run; ``None`` where the policy declares none."""
    if policy.performance is None:
        return None
    return Count(state.tally.looks if state.tally is not None else 0, policy.performance.looks)


def variants(state: State, policy: Policy) -> Count | None:
    """The releases that began a validation; ``None`` where the policy declares none."""
    return None if policy.performance is None else Count(len(state.variants), policy.performance.variants)


def is_look(result: GateResult) -> bool:
    """Whether a verdict is one of those that a policy declares: the minima of time, orders and fills are met, and it is decided."""
    if result.gate is not GateName.VALIDATION or result.verdict not in {Verdict.PASS, Verdict.FAIL}:
        return False
    minima = (one for one in result.rules if METRICS[one.metric].accumulates and one.op in {Op.AT_LEAST, Op.ABOVE})
    return all(one.verdict is Verdict.PASS for one in minima)


def check_look(state: State, policy: Policy, result: GateResult) -> None:
    """Refuse a verdict beyond those that were declared."""
    count = looks(state, policy)
    if count is not None and not count.left and is_look(result):
        raise Refused(
            f"{count.used} of {count.declared} declared verdicts of gate {result.gate} were asked for in this run",
            code="looks-used",
            remedy="Begin a new validation: demote to MOCK and advance again. More looks need a signed policy.",
        )


def check_variant(state: State, policy: Policy, verb: Verb, target: Position) -> None:
    """Refuse to begin a validation of one more release than was declared."""
    if verb is not Verb.ADVANCE or target.stage is not Stage.TESTNET_VALIDATING or state.release is None:
        return
    count = variants(state, policy)
    if count is not None and not count.left and state.release.digest not in state.variants:
        raise Refused(
            f"{count.used} releases began a validation, and the policy declares {count.declared}",
            code="variants-used",
            remedy="Declare more in `performance.variants` and sign it: `gatehouse set-policy policy.toml --key KEY --reason WHY`.",
        )


def _replay(state: State, policy: Policy) -> tuple[str, ...]:
    """What the policy declares of a replay of the bot's signals, and what came of it."""
    signals = Signals() if state.tally is None else state.tally.signals
    why = why_none(policy.performance, signals)
    compared = signals.compared
    if why or compared is None:
        return (f"replay of signals: {why}",)
    return (f"replay of signals: {compared.error or detail(compared)}",)


def lines(state: State, policy: Policy, gate: GateName) -> tuple[str, ...]:
    """What is left of what the policy declares, for people, at the gate where it counts."""
    if gate is GateName.VALIDATION and (count := looks(state, policy)) is not None:
        looked = f"looks: {count.used} of {count.declared} declared verdicts were asked for, {count.left} left in this run"
        return (looked, *_replay(state, policy))
    if gate is GateName.TESTNET_READY and (count := variants(state, policy)) is not None:
        return (f"variants: {count.used} of {count.declared} declared releases began a validation, {count.left} left",)
    return ()
