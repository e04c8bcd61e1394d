"""Which verb needs whose signatures: one table (DESIGN §3, gates-authority-journal.md §2.3).

Up is expensive, down is free: a verb that adds risk needs more people; one that removes risk needs one, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policies.stage import Mode, Stage


class Verb(StrEnum):
    """What an operator can ask for."""

    ADVANCE = "advance"
    RAMP = "ramp"
    DEMOTE = "demote"
    HALT = "halt"
    RESUME = "resume"
    RESET = "reset"


class Role(StrEnum):
    """What a person may sign. An observer signs nothing."""

    OPERATOR = "operator"
    APPROVER = "approver"
    HALT_ONLY = "halt-only"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many distinct persons must sign, which roles count, and how long any key can still veto."""

    persons: int
    roles: frozenset[Role]
    cooling_off: bool = False


_SIGNERS = frozenset({Role.OPERATOR, Role.APPROVER})
_ANYONE = frozenset({Role.OPERATOR, Role.APPROVER, Role.HALT_ONLY})
_ONE = Quorum(1, _SIGNERS)
_TWO = Quorum(2, _SIGNERS)
_ONE_SLOW = Quorum(1, _SIGNERS, cooling_off=True)

_BY_RISK: Mapping[Mode, Quorum] = MappingProxyType({Mode.TEAM: _TWO, Mode.SOLO: _ONE_SLOW})


def quorum(verb: Verb, stage: Stage, mode: Mode) -> Quorum:
    """The signatures ``verb`` needs when the deployment stands at ``stage``."""
    match verb:
        case Verb.HALT:
            return Quorum(1, _ANYONE)
        case Verb.DEMOTE | Verb.RESET:
            return _ONE
        case Verb.RAMP | Verb.RESUME:
            return _BY_RISK[mode]
        case Verb.ADVANCE:
            return _BY_RISK[mode] if stage is Stage.VALIDATED else _ONE
