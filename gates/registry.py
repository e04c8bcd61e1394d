"""Which gate guards which edge (architecture.md §3). Steps down are guarded by none."""

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
"""Every guarded edge, by verb and the stage it leaves."""

UNGATED = frozenset({Verb.DEMOTE, Verb.HALT, Verb.RESET}) | WITH_SUBJECT
"""The verbs that only ever lower the risk, and those that move nothing up."""


def gate_for(verb: Verb, stage: Stage) -> GateName | None:
    """The gate ``verb`` has to pass when leaving ``stage``; ``None`` for a verb that needs none.

    Raises:
        Refused: a verb that adds risk, from a stage it does not lead out of. It is never "no gate needed".
    """
    if verb in UNGATED:
        return None
    gate = GATES.get((verb, stage))
    if gate is None:
        raise Refused(
            f"{verb.value} does not lead anywhere from {stage.value}",
            code="no-such-edge",
            remedy="See `gatehouse status` for the verbs that can be used now.",
        )
    return gate


def stages_of(gate: GateName) -> frozenset[Stage]:
    """The stages whose runs can be evidence for ``gate``."""
    return frozenset(stage for (_, stage), guard in GATES.items() if guard is gate)
