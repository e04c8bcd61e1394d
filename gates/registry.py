"""Which gate guards which move (architecture.md §3). Commands, views and the auditor use it. Moves down have no gate."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exchange.errors import Refused
from policies.authority import WITH_SUBJECT, Verb
from policies.rules import GateName
from policies.stage import Stage

GATES: Mapping[tuple[Verb, Stage], GateName] = MappingProxyType(
    {
        (Verb.ADVANCE, Stage.MOCK): GateName.TESTNET_READY,
        (Verb.ADVANCE, Stage.TESTNET_VALIDATING): GateName.VALIDATION,
        (Verb.ADVANCE, Stage.VALIDATED): GateName.LIVE_READY,
        (Verb.RAMP, Stage.LIVE_EUR10): GateName.RAMP_STEP,
        (Verb.RAMP, Stage.RAMPING): GateName.RAMP_STEP,
        (Verb.RESUME, Stage.HALTED): GateName.RESUME,
    }
)
"""The gate of every guarded move, by its verb and the stage it starts from."""

UNGATED = frozenset({Verb.DEMOTE, Verb.HALT, Verb.RESET}) | WITH_SUBJECT
"""The verbs that never move a deployment up."""


def gate_for(verb: Verb, stage: Stage) -> GateName | None:
    """Return the gate that ``verb`` must pass at ``stage``; ``None`` for a verb that needs no gate.

    Raises:
        Refused: the verb adds risk and is not possible at this stage, so the answer must not be "no gate".
    """
    if verb in UNGATED:
        return None
    gate = GATES.get((verb, stage))
    if gate is None:
        raise Refused(
            f"{verb.value} is not possible at {stage.value}",
            code="no-such-edge",
            remedy="Run `gatehouse status` to see which commands are possible now.",
        )
    return gate


def stages_of(gate: GateName) -> frozenset[Stage]:
    """Return the stages whose runs can be evidence for ``gate``."""
    return frozenset(stage for (_, stage), guard in GATES.items() if guard is gate)
