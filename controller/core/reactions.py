"""What each event does at each stage: pause, cancel, demote or halt, as one table. Documents show it, and a test plays it.

The rows are the events. What they lead to is computed from ``policies.guards`` and ``policies.response``, as the decisions do it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from policies.guards import Level, level_of_unseen
from policies.response import Response, response_to
from policies.stage import Stage


class Reaction(StrEnum):
    """One thing that an event does to the deployment, in words."""

    DENY = "no buys"
    PAUSE = "pause"
    CANCEL = "cancel"
    DEMOTE = "demote"
    HALT = "halt"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One event. ``level``: the level of its guard with real money; one without a guard halts, or ``None``: it only pauses.

    ``unseen``: nothing bad was measured, only nothing new. ``overdue``: for longer than ``guards.blind_halt_ms`` of the stage.
    ``denies``: no buy is admitted although no guard is breached. ``keeps``: a halt at VALIDATED keeps the validation.
    """

    name: str
    what: str
    level: Level | None
    unseen: bool = False
    overdue: bool = False
    denies: bool = False
    keeps: bool = False


_NO_ENTRY, _REDUCE, _CANCEL_ALL, _HALT = Level.NO_ENTRY, Level.REDUCE, Level.CANCEL_ALL, Level.HALT

OCCURRENCES: tuple[Occurrence, ...] = (
    Occurrence("bot-silent", "a bot is not heard for longer than its allowed silence", None),
    Occurrence("quote-old", "the newest quote is older than `quote_stale.no_entry_ms`", _NO_ENTRY, unseen=True),
    Occurrence("quote-older", "older than `quote_stale.cancel_ms`", _CANCEL_ALL, unseen=True),
    Occurrence("quote-oldest", "older than `quote_stale.halt_ms`", _HALT, unseen=True),
    Occurrence("equity-unknown", "the account cannot be valued for `blind_deadline_ms`", _HALT, unseen=True),
    Occurrence("account-old", "the account is not reconciled for `reconciliation.max_age_ms`", _NO_ENTRY, unseen=True),
    Occurrence("account-older", "nor for `blind_deadline_ms` more", _HALT, unseen=True),
    Occurrence("clock-unknown", "the venue's clock is not known", _NO_ENTRY, unseen=True),
    Occurrence(
        "clock-long-unknown", "nor for `blind_deadline_ms`, but the last reading and its drift bound it", _CANCEL_ALL, unseen=True
    ),
    Occurrence("clock-longer-unknown", "nor for `reconciliation.max_age_ms` more", _HALT, unseen=True),
    Occurrence(
        "clock-unbounded", "nor for `blind_deadline_ms`, and nothing bounds it to `clock_offset.halt_ms`", _HALT, unseen=True
    ),
    Occurrence(
        "outcome-unseen",
        "an order has no outcome for `unknown_order.max_age_ms`, and the venue does not answer",
        _HALT,
        unseen=True,
    ),
    Occurrence(
        "blind-too-long",
        "one of these, and the gap, last longer than the stage's `blind_halt_ms`, if it has one",
        _HALT,
        unseen=True,
        overdue=True,
    ),
    Occurrence("outcome-unknown", "an order has no outcome for `unknown_order.max_age_ms` while the venue answers", _HALT),
    Occurrence("clock-off", "our clock and the venue's differ by more than `clock_offset.no_entry_ms`", _NO_ENTRY),
    Occurrence("clock-wrong", "by more than `clock_offset.halt_ms`", _HALT),
    Occurrence("loss-near", "a loss is near its limit (`reduce.at`)", _REDUCE),
    Occurrence("loss", "a day's loss or a drawdown reaches its limit", _HALT),
    Occurrence("rejections", "the venue rejects too many orders", _HALT),
    Occurrence("impossible", "a measurement cannot be true, for example it is from the future", _HALT),
    Occurrence("books-differ-once", "one reading of the account differs from our books", None, denies=True),
    Occurrence("books-differ", "two readings in a row differ in the same way", _HALT),
    Occurrence("foreign-order", "the account shows an open order that is not ours", _HALT),
    Occurrence("contradiction", "a report contradicts the journal, for example more was executed than ordered", _HALT),
    Occurrence("fee-asset", "a trade costs a fee in an asset that no loss counts", _HALT),
    Occurrence("watchdog-fired", "the watchdog had to cancel", _HALT, keeps=True),
)
"""Every event of the table, from what is only not seen to what is certainly wrong."""

_OF_RESPONSE = {
    Response.RESTRAIN: (Reaction.DENY,),
    Response.CANCEL: (Reaction.DENY, Reaction.CANCEL),
    Response.STEP_DOWN: (Reaction.CANCEL, Reaction.DEMOTE),
    Response.LEAVE_EMPTY: (Reaction.CANCEL, Reaction.DEMOTE),
    Response.HALT: (Reaction.HALT,),
    Response.HALT_AND_VOID: (Reaction.HALT, Reaction.VOID),
}


def reactions(event: Occurrence, stage: Stage) -> frozenset[Reaction]:
    """What an event does at a stage, other than HALTED. A halt and a demotion end the run, so nothing of it is left to pause."""
    if event.level is None:
        return frozenset({Reaction.PAUSE, *((Reaction.DENY,) if event.denies else ())})
    level = level_of_unseen(event.level, stage, overdue=event.overdue) if event.unseen else event.level
    found = frozenset(_OF_RESPONSE[response_to(stage, level, unseen=event.unseen)])
    found -= {Reaction.VOID} if event.keeps else set()
    ends = found & {Reaction.HALT, Reaction.DEMOTE}
    return found | {Reaction.PAUSE} if event.unseen and not ends else found
