"""The lifecycle: stages, edges and who may take them, as data. The only module that imports ``transitions``.

Theory of operation. A ``Position`` is a stage and, in RAMPING, a step. ``EDGES`` lists every move there is; a pair of stage and
verb that is not listed is a typed refusal, never a silent no-op. What depends on numbers rather than on the pair alone — the next
ramp step, how high a resume may go — is decided by the guards below, from values computed beforehand; no callback does I/O.

Up is one stage or one step at a time. Down is free: any lower stage, any lower step. HALTED is reached from anywhere and left only
by ``resume`` (never above where the halt came from nor above what its kind of halt allows, never into RAMPING) or ``reset``; once
the validation is void only ``reset`` is left (architecture.md §3, ``controller.core.causes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from transitions import Machine, MachineError

from controller.core.causes import RULES, Cause, HaltClass
from exchange.errors import Refused
from policies.authority import Verb
from policies.stage import RISK_ORDER, Stage


@dataclass(frozen=True, slots=True)
class Position:
    """Where a deployment stands. ``step`` is 1-based in RAMPING and 0 everywhere else."""

    stage: Stage
    step: int = 0

    def __str__(self) -> str:
        return f"{self.stage} step {self.step}" if self.stage is Stage.RAMPING else str(self.stage)

    @property
    def risk(self) -> tuple[int, int]:
        """Sorts positions by how much they put at risk; HALTED is below all."""
        return (-1, 0) if self.stage is Stage.HALTED else (RISK_ORDER.index(self.stage), self.step)


@dataclass(frozen=True, slots=True)
class Edge:
    """One declared move."""

    source: Stage
    verb: Verb
    target: Stage

    @property
    def trigger(self) -> str:
        """The edge's name inside the state machine."""
        return f"{self.verb.value}_{self.target.name}"


def _downward() -> tuple[Edge, ...]:
    pairs = [(high, low) for i, high in enumerate(RISK_ORDER) for low in RISK_ORDER[:i]]
    return (*(Edge(high, Verb.DEMOTE, low) for high, low in pairs), Edge(Stage.RAMPING, Verb.DEMOTE, Stage.RAMPING))


EDGES: tuple[Edge, ...] = (
    Edge(Stage.MOCK, Verb.ADVANCE, Stage.TESTNET_VALIDATING),
    Edge(Stage.TESTNET_VALIDATING, Verb.ADVANCE, Stage.VALIDATED),
    Edge(Stage.VALIDATED, Verb.ADVANCE, Stage.LIVE_EUR10),
    Edge(Stage.LIVE_EUR10, Verb.RAMP, Stage.RAMPING),
    Edge(Stage.RAMPING, Verb.RAMP, Stage.RAMPING),
    *_downward(),
    *(Edge(stage, Verb.HALT, Stage.HALTED) for stage in RISK_ORDER),
    Edge(Stage.HALTED, Verb.RESUME, Stage.VALIDATED),
    Edge(Stage.HALTED, Verb.RESUME, Stage.LIVE_EUR10),
    Edge(Stage.HALTED, Verb.RESET, Stage.MOCK),
)
"""Every move an operator can ask for. Automatic moves use the same table: a breach takes ``halt`` or ``demote``, a changed release
``demote``."""


@dataclass(frozen=True, slots=True)
class Halt:
    """What a resume is judged by: where the halt came from, what caused it, and why the validation is void, if it is."""

    came_from: Position | None = None
    cause: Cause | None = None
    void: str = ""

    @property
    def kind(self) -> HaltClass | None:
        """The kind of halt; ``None`` when nothing is halted."""
        return HaltClass.of(self.cause) if self.cause is not None else None


class _Model:
    """Carries one position through one transition."""

    state: Any


@cache
def _machine() -> Machine:
    return Machine(
        model=None,
        states=[stage.name for stage in Stage],
        initial=Stage.HALTED.name,
        transitions=[[edge.trigger, edge.source.name, edge.target.name] for edge in EDGES],
        auto_transitions=False,
        send_event=True,
        queued=False,
    )


def move(current: Position, verb: Verb, target: Position, *, halt: Halt = Halt(), steps: int = 0) -> Position:
    """The position after ``verb`` takes the deployment from ``current`` to ``target``.

    Args:
        halt: the halt the deployment is in; bounds a resume.
        steps: how many ramp steps the policy has.

    Raises:
        Refused: the edge is not declared, or its guard says no.
    """
    _guard(current, verb, target, halt=halt, steps=steps)
    model = _Model()
    machine = _machine()
    machine.add_model(model, initial=current.stage.name)
    try:
        moved = bool(model.trigger(f"{verb.value}_{target.stage.name}"))  # type: ignore[attr-defined]
    except (MachineError, AttributeError):
        moved = False
    finally:
        machine.remove_model(model)
    if not moved:
        ways = sorted({str(edge.target) for edge in EDGES if edge.source is current.stage and edge.verb is verb})
        raise Refused(
            f"{verb} does not lead from {current} to {target}",
            code="no-such-edge",
            remedy=f"From {current}, {verb} leads to {', '.join(ways)}." if ways else f"At {current}, {verb} leads nowhere.",
        )
    return target


def _guard(current: Position, verb: Verb, target: Position, *, halt: Halt, steps: int) -> None:
    if (target.stage is Stage.RAMPING) != (target.step > 0):
        raise _refuse(f"{target.stage} with step {target.step} is not a position", "Give a step for RAMPING and for nothing else.")
    if target.stage is Stage.RAMPING and verb is Verb.RAMP:
        following = current.step + 1
        if target.step != following:
            raise _refuse(f"the ramp goes one step at a time: step {following} is next", f"Ask for step {following}.")
        if target.step > steps:
            raise _refuse(f"the policy has {steps} ramp steps", "Adopt a policy with more steps, or stay here.")
    if verb is Verb.DEMOTE and current.stage is target.stage and target.step >= current.step:
        raise _refuse("a demotion goes down", "Ask for a lower step or stage.")
    if verb is Verb.RESUME:
        _guard_resume(target, halt)


def _guard_resume(target: Position, halt: Halt) -> None:
    if halt.void:
        raise Refused(
            f"the validation is void ({halt.void}), so no resume leads out of this halt",
            code="validation-void",
            remedy="Only `gatehouse reset` is left: back to MOCK, and validate again.",
        )
    came_from = halt.came_from
    if came_from is None or target.risk > came_from.risk:
        raise _refuse(
            f"a resume never goes above where the halt came from ({came_from or 'unknown'})",
            "Resume to a lower stage, or reset to MOCK.",
        )
    rule = RULES[halt.kind] if halt.kind is not None else None
    if rule is not None and target.risk > Position(rule.ceiling).risk:
        raise _refuse(
            f"after this kind of halt ({halt.kind}: {rule.meaning}) a resume leads to {rule.ceiling} at most: {rule.why}",
            f"Resume to {rule.ceiling} and go on from there, or reset to MOCK.",
        )


def _refuse(message: str, remedy: str) -> Refused:
    return Refused(message, code="edge-guard", remedy=remedy)
