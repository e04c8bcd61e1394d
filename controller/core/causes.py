"""Why a deployment moves, and what a halt leaves possible: two tables of data (architecture.md §3).

A ``Cause`` is written into the journal with every move and every withdrawn command; its values never change. A ``HaltClass`` is
what people and ``RULES`` make of it: how high a resume may go, and whether a halt at VALIDATED takes the validation with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policies.authority import Verb
from policies.stage import Stage


class Cause(StrEnum):
    """What moved the deployment or withdrew a command: an operator's verb, or something that needs nobody's leave."""

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
    REFUSED = "refused"
    CHANGED_DEPLOYMENT = "changed-deployment"
    SOFT_BREACH = "soft-breach"
    BREACH = "breach"
    CLOCK = "clock"
    INTEGRITY = "integrity"
    JOURNAL = "journal"
    CONTROLLER = "controller"

    @classmethod
    def of(cls, verb: Verb) -> Cause:
        """The cause a verb is."""
        return cls(verb.value)


class HaltClass(StrEnum):
    """The kinds of halt there are."""

    OPERATOR = "operator"
    AUTHORITY = "authority"
    BREACH = "breach"
    CLOCK = "clock"
    INTEGRITY = "integrity"
    JOURNAL = "journal"
    CONTROLLER = "controller"

    @classmethod
    def of(cls, cause: Cause) -> HaltClass:
        """The kind of halt a cause makes; a verb that halts by itself is an operator's."""
        return _CLASSES.get(cause, cls.OPERATOR)


_CLASSES: Mapping[Cause, HaltClass] = MappingProxyType(
    {
        Cause.REVOKE: HaltClass.AUTHORITY,
        Cause.BREACH: HaltClass.BREACH,
        Cause.SOFT_BREACH: HaltClass.BREACH,
        Cause.CLOCK: HaltClass.CLOCK,
        Cause.INTEGRITY: HaltClass.INTEGRITY,
        Cause.JOURNAL: HaltClass.JOURNAL,
        Cause.CONTROLLER: HaltClass.CONTROLLER,
    }
)


@dataclass(frozen=True, slots=True)
class HaltRule:
    """What a halt of one kind means. ``ceiling``: a resume leads there at most. ``voids``: at VALIDATED the validation goes too."""

    meaning: str
    ceiling: Stage
    voids: bool
    why: str


RULES: Mapping[HaltClass, HaltRule] = MappingProxyType(
    {
        HaltClass.OPERATOR: HaltRule(
            "somebody asked for it", Stage.LIVE_EUR10, voids=False, why="nothing that was proven has been contradicted"
        ),
        HaltClass.AUTHORITY: HaltRule(
            "too few persons are left who could sign",
            Stage.LIVE_EUR10,
            voids=False,
            why="the quorum a resume needs is the proof that enough are there again",
        ),
        HaltClass.BREACH: HaltRule(
            "an always-on guard was broken or could not be measured",
            Stage.LIVE_EUR10,
            voids=True,
            why="the post-mortem and the quorum answer for it",
        ),
        HaltClass.CLOCK: HaltRule(
            "our clock and the venue's are too far apart",
            Stage.LIVE_EUR10,
            voids=True,
            why="the post-mortem and the quorum answer for it",
        ),
        HaltClass.INTEGRITY: HaltRule(
            "the venue contradicts our books, or a checkpoint our journal",
            Stage.VALIDATED,
            voids=True,
            why="what is held is in doubt, and gate live-ready has to examine the account first",
        ),
        HaltClass.JOURNAL: HaltRule(
            "a process halted that could not write its journal any more",
            Stage.VALIDATED,
            voids=False,
            why="something may have happened that is not in the journal, and gate live-ready has to examine the account first",
        ),
        HaltClass.CONTROLLER: HaltRule(
            "a part of gatehouse itself failed",
            Stage.VALIDATED,
            voids=False,
            why="gatehouse could not judge, and gate live-ready has to examine the account first",
        ),
    }
)
"""Every kind of halt, and what a resume may do after it."""
