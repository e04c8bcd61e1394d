"""Which verb needs whose signatures: one table (architecture.md §3, gates-authority-journal.md §2.3). Decisions and views use it.

A verb that adds risk needs more persons. A verb that removes risk needs one person, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policies.stage import LIVE_STAGES, Mode, Stage


class Verb(StrEnum):
    """The commands of an operator."""

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
    FLATTEN = "flatten"
    SET_RATE = "set-rate"
    REBASELINE = "rebaseline"
    ARCHIVE = "archive"


KEEPS_PENDING = frozenset({Verb.REVOKE_BOT_KEY, Verb.ACK_ALERT, Verb.DRILL, Verb.FLATTEN, Verb.ARCHIVE})
"""The verbs after which a waiting or signed command stays valid, because they change nothing that a move is signed for.

``issue-bot-key`` is not one of them: one person may issue a key at a stage without real money, and the persons who sign a move up
must have seen every key that it brings to the next stage."""

MOVES_UP = frozenset({Verb.ADVANCE, Verb.RAMP, Verb.RESUME})
"""The verbs that add risk by moving the deployment."""

CHANGES_ROSTER = frozenset({Verb.SET_ROSTER, Verb.REVOKE})
"""The verbs that make a new version of the roster."""

KEEPS_DOCUMENTS = KEEPS_PENDING | {Verb.ISSUE_BOT_KEY, Verb.SET_RATE, Verb.REBASELINE}
"""The verbs about a bot key, an alert, a drill, a holding, a balance, the EUR rate or old entries of the journal.

Roster, policy, release and stage stay."""

WITH_SUBJECT = frozenset({Verb.VETO, Verb.REVOKE, Verb.SET_ROSTER, Verb.SET_POLICY, Verb.SET_RELEASE}) | KEEPS_DOCUMENTS
"""The verbs whose command names a subject (a command, a key, an alert, a symbol, an entry or a document) and is not a move."""


BY_ITSELF = frozenset({Verb.REVOKE})
"""The verbs that the key they are about may sign alone, in any role: anyone may revoke a key of their own."""


class Role(StrEnum):
    """What a person may sign. An observer signs nothing."""

    OPERATOR = "operator"
    APPROVER = "approver"
    HALT_ONLY = "halt-only"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many distinct persons must sign, which roles count, and whether a cooling-off period with a veto follows."""

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
    """How many persons with a valid key a deployment needs. With fewer, no command that adds risk can be signed."""
    return _BY_RISK[mode].persons


def quorum(verb: Verb, stage: Stage, mode: Mode) -> Quorum:
    """Return the signatures that ``verb`` needs when the deployment is at ``stage``."""
    match verb:
        case Verb.HALT | Verb.VETO | Verb.REVOKE_BOT_KEY | Verb.ACK_ALERT:
            return Quorum(1, _ANYONE)
        case Verb.DEMOTE | Verb.RESET | Verb.REVOKE | Verb.SET_RELEASE | Verb.DRILL | Verb.FLATTEN | Verb.REBASELINE | Verb.ARCHIVE:
            return _ONE
        case Verb.ISSUE_BOT_KEY:
            return _BY_RISK[mode] if stage in LIVE_STAGES else _ONE
        case Verb.RAMP | Verb.RESUME | Verb.SET_ROSTER | Verb.SET_POLICY | Verb.SET_RATE:
            return _BY_RISK[mode]
        case Verb.ADVANCE:
            return _BY_RISK[mode] if stage is Stage.VALIDATED else _ONE
