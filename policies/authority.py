"""Which verb needs whose signatures: one table (architecture.md §3, gates-authority-journal.md §2.3).

Up is expensive, down is free: a verb that adds risk needs more people; one that removes risk needs one, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policies.stage import LIVE_STAGES, Mode, Stage


class Verb(StrEnum):
    """What an operator can ask for."""

    ADVANCE = "advance"
    RAMP = "ramp"
    DEMOTE = "demote"
    HALT = "halt"
    RESUME = "resume"
    RESET = "reset"
    VETO = "veto"
    REVOKE = "revoke"
    SET_ROSTER = "set-roster"
    SET_POLICY = "set-policy"
    SET_RELEASE = "set-release"
    ISSUE_BOT_KEY = "issue-bot-key"
    REVOKE_BOT_KEY = "revoke-bot-key"
    ACK_ALERT = "ack-alert"
    DRILL = "drill"


KEEPS_PENDING = frozenset({Verb.REVOKE_BOT_KEY, Verb.ACK_ALERT, Verb.DRILL})
"""The verbs that change nothing a move is signed under: what is waiting or being signed stays good.

Issuing a gateway key is none of them: below real money one person can, and a step up must not take along a key that whoever signed
it could not have seen."""

BOT_KEY_ALERT_OR_DRILL = KEEPS_PENDING | {Verb.ISSUE_BOT_KEY}
"""The verbs that change neither roster, policy, release nor stage."""

WITH_SUBJECT = frozenset({Verb.VETO, Verb.REVOKE, Verb.SET_ROSTER, Verb.SET_POLICY, Verb.SET_RELEASE}) | BOT_KEY_ALERT_OR_DRILL
"""The verbs that are about a command, a key, an alert or a document rather than about a move."""


BY_ITSELF = frozenset({Verb.REVOKE})
"""The verbs that the very key they are about may sign alone, whatever its role: nobody's leave is needed to give a key up."""


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


SIGNERS = frozenset({Role.OPERATOR, Role.APPROVER})
"""The roles whose signatures can add risk."""

_ANYONE = frozenset({Role.OPERATOR, Role.APPROVER, Role.HALT_ONLY})
_ONE = Quorum(1, SIGNERS)
_TWO = Quorum(2, SIGNERS)
_ONE_SLOW = Quorum(1, SIGNERS, cooling_off=True)

_BY_RISK: Mapping[Mode, Quorum] = MappingProxyType({Mode.TEAM: _TWO, Mode.SOLO: _ONE_SLOW})


def signers_needed(mode: Mode) -> int:
    """How many persons with a usable key a deployment needs at the least; with fewer it can only stand still."""
    return _BY_RISK[mode].persons


def quorum(verb: Verb, stage: Stage, mode: Mode) -> Quorum:
    """The signatures ``verb`` needs when the deployment stands at ``stage``."""
    match verb:
        case Verb.HALT | Verb.VETO | Verb.REVOKE_BOT_KEY | Verb.ACK_ALERT:
            return Quorum(1, _ANYONE)
        case Verb.DEMOTE | Verb.RESET | Verb.REVOKE | Verb.SET_RELEASE | Verb.DRILL:
            return _ONE
        case Verb.ISSUE_BOT_KEY:
            return _BY_RISK[mode] if stage in LIVE_STAGES else _ONE
        case Verb.RAMP | Verb.RESUME | Verb.SET_ROSTER | Verb.SET_POLICY:
            return _BY_RISK[mode]
        case Verb.ADVANCE:
            return _BY_RISK[mode] if stage is Stage.VALIDATED else _ONE
