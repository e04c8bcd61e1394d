"""Causes of moves, and the rules of each kind of halt: two tables of data (architecture.md §3). Decisions, views and docs use them.

A ``Cause`` is written into the journal with every move and every withdrawn command; its values never change. A ``HaltClass`` groups
causes. ``RULES`` says for each class how high a resume may go, and whether a halt at VALIDATED also voids the validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policies.authority import Verb
from policies.stage import Stage


class Cause(StrEnum):
    """What moved the deployment or withdrew a command: an operator's verb, or an automatic cause."""

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
    REFUSED = "refused"
    CHANGED_DEPLOYMENT = "changed-deployment"
    SOFT_BREACH = "soft-breach"
    BREACH = "breach"
    CLOCK = "clock"
    INTEGRITY = "integrity"
    JOURNAL = "journal"
    CONTROLLER = "controller"
    WATCHDOG = "watchdog"
    RESTORED = "restored"
    RESTORED_OLDER = "restored-older"

    @classmethod
    def of(cls, verb: Verb) -> Cause:
        """The cause for a verb."""
        return cls(verb.value)


class HaltClass(StrEnum):
    """The kinds of halt."""

    OPERATOR = "operator"
    AUTHORITY = "authority"
    BREACH = "breach"
    CLOCK = "clock"
    INTEGRITY = "integrity"
    JOURNAL = "journal"
    CONTROLLER = "controller"
    RESTORED = "restored"

    @classmethod
    def of(cls, cause: Cause) -> HaltClass:
        """The kind of halt for a cause; ``OPERATOR`` for every operator's verb but ``revoke``."""
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
        Cause.WATCHDOG: HaltClass.CONTROLLER,
        Cause.RESTORED: HaltClass.RESTORED,
        Cause.RESTORED_OLDER: HaltClass.INTEGRITY,
    }
)


@dataclass(frozen=True, slots=True)
class HaltRule:
    """The rule for one kind of halt.

    ``ceiling``: the highest stage of a resume. ``voids``: a halt at VALIDATED voids the validation.
    """

    meaning: str
    ceiling: Stage
    voids: bool
    why: str


RULES: Mapping[HaltClass, HaltRule] = MappingProxyType(
    {
        HaltClass.OPERATOR: HaltRule("an operator requested it", Stage.LIVE_EUR10, voids=False, why="the evidence is still valid"),
        HaltClass.AUTHORITY: HaltRule(
            "too few persons with a valid key remain",
            Stage.LIVE_EUR10,
            voids=False,
            why="the quorum of the resume proves that there are enough persons again",
        ),
        HaltClass.BREACH: HaltRule(
            "an always-on guard was breached or could not be measured",
            Stage.LIVE_EUR10,
            voids=True,
            why="the post-mortem explains it, and the quorum accepts it",
        ),
        HaltClass.CLOCK: HaltRule(
            "our clock and the venue's clock differ too much",
            Stage.LIVE_EUR10,
            voids=True,
            why="the post-mortem explains it, and the quorum accepts it",
        ),
        HaltClass.INTEGRITY: HaltRule(
            "the venue contradicts our books, or a checkpoint contradicts our journal",
            Stage.VALIDATED,
            voids=True,
            why="the holdings are in doubt, so gate live-ready must check the account first",
        ),
        HaltClass.JOURNAL: HaltRule(
            "a process halted because it could not write its journal",
            Stage.VALIDATED,
            voids=False,
            why="the journal may be incomplete, so gate live-ready must check the account first",
        ),
        HaltClass.CONTROLLER: HaltRule(
            "a part of gatehouse itself failed",
            Stage.VALIDATED,
            voids=False,
            why="gatehouse could not judge the deployment, so gate live-ready must check the account first",
        ),
        HaltClass.RESTORED: HaltRule(
            "the deployment was put back from a copy, and nothing shows that entries are lost",
            Stage.VALIDATED,
            voids=False,
            why="what happened since the copy is only at the venue, so gate live-ready must check the account first",
        ),
    }
)
"""The rule for every kind of halt."""
