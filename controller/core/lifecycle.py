"""The lifecycle as data: stages and the moves between them. Decisions call ``move``; no other module imports ``transitions``.

A ``Position`` is a stage and, in RAMPING, a step. ``EDGES`` lists every possible move. A pair of stage and verb that is not
listed is refused with a typed error. Rules that depend on numbers, such as the next ramp step and the highest stage of a resume,
are checked by the functions below from values that the caller computed; there is no I/O.

A move up goes one stage or one step at a time. A move down may go to any lower stage or step. HALTED is reached from every stage.
It is left only by ``resume``, which goes no higher than the stage before the halt and than the ceiling of the kind of halt, and
never into RAMPING, or by ``reset``. When the validation is void, only ``reset`` leads out (architecture.md §3,
``controller.core.causes``).
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
    """The stage and step of a deployment. ``step`` counts from 1 in RAMPING, and is 0 in every other stage."""

    stage: Stage
    step: int = 0

    def __str__(self) -> str:
        return f"{self.stage} step {self.step}" if self.stage is Stage.RAMPING else str(self.stage)

    @property
    def risk(self) -> tuple[int, int]:
        """Sorts positions by how much money is at risk; HALTED is the lowest."""
        return (-1, 0) if self.stage is Stage.HALTED else (RISK_ORDER.index(self.stage), self.step)


@dataclass(frozen=True, slots=True)
class Edge:
    """One possible move."""

    source: Stage
    verb: Verb
    target: Stage

    @property
    def trigger(self) -> str:
        """The name of the edge in the state machine."""
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
"""Every possible move. Automatic moves use the same table: a breach uses ``halt`` or ``demote``, a changed release ``demote``."""


@dataclass(frozen=True, slots=True)
class Halt:
    """The facts that decide a resume: the position before the halt, the cause, and why the validation is void, if it is."""

    came_from: Position | None = None
    cause: Cause | None = None
    void: str = ""

    @property
    def kind(self) -> HaltClass | None:
        """The kind of halt; ``None`` when the deployment is not halted."""
        return HaltClass.of(self.cause) if self.cause is not None else None


class _Model:
    """The object that ``transitions`` moves from one state to the next."""

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
    """Return the position after ``verb`` moves the deployment from ``current`` to ``target``.

    Args:
        halt: the present halt; it limits a resume.
        steps: how many ramp steps the policy has.

    Raises:
        Refused: there is no such edge, or a rule refuses the move.
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
        targets = sorted({str(edge.target) for edge in EDGES if edge.source is current.stage and edge.verb is verb})
        raise Refused(
            f"{verb} does not lead from {current} to {target}",
            code="no-such-edge",
            remedy=f"From {current}, {verb} leads to {', '.join(targets)}."
            if targets
            else f"At {current}, {verb} is not possible.",
        )
    return target


def _guard(current: Position, verb: Verb, target: Position, *, halt: Halt, steps: int) -> None:
    if (target.stage is Stage.RAMPING) != (target.step > 0):
        raise _refuse(
            f"{target.stage} with step {target.step} is not a position", "Give a step for RAMPING, and for no other stage."
        )
    if target.stage is Stage.RAMPING and verb is Verb.RAMP:
        following = current.step + 1
        if target.step != following:
            raise _refuse(f"the ramp goes one step at a time, and step {following} is next", f"Propose step {following}.")
        if target.step > steps:
            raise _refuse(f"the policy has {steps} ramp steps", "Stay at this step, or adopt a policy with more ramp steps.")
    if verb is Verb.DEMOTE and current.stage is target.stage and target.step >= current.step:
        raise _refuse("a demotion must lead to a lower step or stage", "Propose a lower step or stage.")
    if verb is Verb.RESUME:
        _guard_resume(target, halt)


def _guard_resume(target: Position, halt: Halt) -> None:
    if halt.void:
        raise Refused(
            f"the validation is void ({halt.void}), so a resume is not possible",
            code="validation-void",
            remedy="Go back to MOCK with `gatehouse reset --key KEY --reason WHY`, and validate again.",
        )
    came_from = halt.came_from
    if came_from is None or target.risk > came_from.risk:
        raise _refuse(
            f"a resume must not go above the position before the halt ({came_from or 'unknown'})",
            "Only `gatehouse reset --key KEY --reason WHY` leads out of a halt at MOCK or TESTNET_VALIDATING."
            if came_from is None or came_from.risk < Position(Stage.VALIDATED).risk
            else "Resume to VALIDATED, or go back to MOCK with `gatehouse reset --key KEY --reason WHY`.",
        )
    rule = RULES[halt.kind] if halt.kind is not None else None
    if rule is not None and target.risk > Position(rule.ceiling).risk:
        raise _refuse(
            f"after this kind of halt ({halt.kind}: {rule.meaning}) a resume leads to {rule.ceiling} at most: {rule.why}",
            f"Resume to {rule.ceiling} and advance from there, or go to MOCK with `gatehouse reset --key KEY --reason WHY`.",
        )


def _refuse(message: str, remedy: str) -> Refused:
    return Refused(message, code="edge-guard", remedy=remedy)
