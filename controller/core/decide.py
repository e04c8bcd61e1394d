"""``decide(state, input, now) → Decision``: the one place anything is decided. No clock, no I/O, no randomness.

Ordering rules, which every branch keeps:

- an order's ``Place`` is only ever returned beside the ``OrderAdmitted`` that the shell makes durable first;
- a halt's ``Latch`` precedes every other effect, and the shell carries it out before it writes the journal;
- events are folded as they are decided, so a decision never contradicts itself;
- a refusal is an event or a typed error, never a silent nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from controller.core import inputs as i
from controller.core.decisions import alerts, boot, commands, drills, orders, sweeps, ticks, venue_reports
from controller.core.decisions.draft import Decision, Draft, Reply
from controller.core.events import AccountChecked, HaltMeasured
from controller.core.state import State
from exchange.model import Fill, Millis


def decide(state: State, given: i.Input, now: Millis) -> Decision:
    """What follows from one input.

    Raises:
        GatehouseError: only for ``Boot`` and ``ProposalAsked``, whose callers can act on it; nothing has been decided then.
    """
    if isinstance(given, i.Boot):
        return boot.boot(state, given, now)
    draft = Draft(state, now)
    return draft.done(_branch(draft, given))


def _branch(draft: Draft, given: i.Input) -> Reply:
    return _BRANCHES[type(given)](draft, given)


def _venue_reported(draft: Draft, given: i.VenueReported) -> None:
    if isinstance(given.event, Fill):
        venue_reports.filled(draft, given.venue, given.event)
    else:
        venue_reports.reported(draft, given.venue, given.event)


def _account_examined(draft: Draft, given: i.AccountExamined) -> None:
    draft.emit(AccountChecked(venue=given.venue, checks=given.checks, failed=given.failed))


def _latched(draft: Draft, given: i.Latched) -> None:
    draft.emit(
        HaltMeasured(
            cause=given.cause,
            breach_to_latch_us=given.breach_to_latch_us,
            latch_to_cancelled_us=given.latch_to_cancelled_us,
            cancelled=given.cancelled,
            verified_empty=given.verified_empty,
        )
    )


_BRANCHES: Mapping[type[i.Input], Callable[[Draft, Any], Reply]] = MappingProxyType(
    {
        i.OrderRequested: orders.requested,
        i.CancelAsked: orders.cancel_asked,
        i.Placed: venue_reports.placed,
        i.Looked: venue_reports.looked,
        i.VenueReported: _venue_reported,
        i.Swept: sweeps.swept,
        i.AccountExamined: _account_examined,
        i.Tick: ticks.ticked,
        i.ProposalAsked: commands.proposed,
        i.Submitted: commands.submitted,
        i.SubmissionInvalid: commands.invalid,
        i.HaltAsked: commands.halted,
        i.Latched: _latched,
        i.DrillMeasured: drills.measured,
        i.Noticed: alerts.noticed,
    }
)
