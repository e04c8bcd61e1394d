"""The function that decides everything: ``decide(state, input, now)`` returns a ``Decision``.

The writer loop calls it, once per input.

Theory of operation
===================

**Input.** A value of ``controller.core.inputs`` is one thing that happened outside: a bot sends an order (``OrderRequested``), a
venue reports a fill (``VenueReported``), an operator submits a signed command (``CommandSubmitted``), time passes (``Tick``).
An input carries every measurement that the decision needs: quotes, symbol rules, account balances, clock offsets. So ``decide``
never has to ask anyone.

**Decision.** A ``Decision`` is what follows from one input: ``events``, ``effects``, ``after``, ``reply``, and what is held back.

**Event.** An event is a fact for the journal, such as ``OrderAdmitted`` or ``StageChanged``. The writer appends the events of a
decision to the journal before anything else happens. Events are the only memory of the controller: what is not in an event is
lost when the process ends.

**Held back.** A measurement in which nothing changed is not worth an entry of its own. A decision that brings only such
measurements gives them back as ``held``, the writer passes them to the next decision, and they are journalled together before any
other event, or after half a minute (``controller.core.decisions.held``).

**Effect.** An effect is an instruction to the shell, such as ``Place`` or ``CancelAll``. The shell carries effects out after the
events are durable on disk. The one exception is ``Latch``, see "Halt" below. What an effect leads to comes back as a new input:
the venue's answer to a ``Place`` comes back as ``PlacementAnswered``.

**Reply.** A reply answers the caller that waits for the input: a bot learns whether its order is admitted or denied, an operator
learns what became of a command. Inputs that no one waits for have no reply.

How it dispatches
-----------------

``_BRANCHES`` maps each type of input to one function in ``controller.core.decisions``. That function receives a ``Draft``, which
holds the state, the time, and the events and effects so far. ``draft.emit(event)`` adds an event and applies it to
``draft.after`` at once, so later steps of the same decision see its consequences. ``draft.do(effect)`` adds an effect.
``Boot`` is the exception: it makes its own draft, because it may refuse to start.

This module does not order inputs. Which input comes first is the business of the inbox and its lanes
(``controller.runtime.loop.inbox``). ``decide`` sees one input at a time, and the state after all earlier ones.

What is pure
------------

``decide`` and everything below it is pure. It reads no clock (``now`` is an argument), does no I/O, draws no random number and
changes no global. The same state, input and time give the same decision, on every machine and in every replay. Tests rely on
this: they decide the same input twice, or rebuild a state from its events, and compare.

How a fold rebuilds the state
-----------------------------

``controller.core.fold.apply`` has one function per kind of event. ``apply(state, event, at)`` returns the next state, and makes no
decision. A fold applies many events in order. After a restart the controller folds its journal, from the first entry or from a
snapshot, and has the state that the last process had. A fold needs only the events: not the inputs, and no market data.

Why a decision carries ``after``
--------------------------------

``after`` is the state with the events of the decision applied. The draft has computed it anyway, and the writer continues with it
as soon as the events are in the journal. Because the draft computes it with the same ``apply`` that a recovery uses, the running
state and the folded journal cannot differ.

Rules that every branch keeps
-----------------------------

- A ``Place`` is only returned together with its ``OrderAdmitted``, so no order reaches a venue before the journal holds it.
- A refusal is an event or a typed error. It is never silent.
- A decision whose branch finds nothing to do has no events and no effects.

Halt
----

A halt returns a ``Latch`` before all other effects. The shell carries the latch out first, even before it writes the journal: it
revokes the permit to place orders, so a halt does not depend on a working disk. Then the journal gets ``StageChanged`` to HALTED,
and ``CancelAll`` cancels every open order of the venue until the venue shows none. When that is done the shell reports the
measured times as ``HaltCompleted``. A second halt changes nothing, except that it withdraws a command that waits.

Example: an operator halts a new deployment.

>>> from functools import reduce
>>> from controller.core.fold.apply import apply
>>> from controller.core.inputs import HaltAsked
>>> before, now = State(), Millis(1_000)
>>> decision = decide(before, HaltAsked(by="operator", reason="the bot misbehaves"), now)

One event says what happened, and the effects say what to do about it, the latch first:

>>> [event.kind for event in decision.events]
['stage-changed']
>>> [type(effect).__name__ for effect in decision.effects]
['Latch', 'CancelAll', 'Alert']
>>> str(decision.after.position), decision.after.halt_reason
('HALTED', 'operator: the bot misbehaves')

A fold of the events gives the state that the decision carries:

>>> reduce(lambda state, event: apply(state, event, now), decision.events, before) == decision.after
True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from controller.core import inputs as i
from controller.core.decisions import (
    alerts,
    boot,
    commands,
    drills,
    measured,
    orders,
    rates,
    shadow,
    signals,
    sweeps,
    ticks,
    trades,
    venue_reports,
    watchdog,
)
from controller.core.decisions.draft import Decision, Draft, Reply
from controller.core.decisions.held import Held
from controller.core.events import AccountChecked, HaltMeasured
from controller.core.state import State
from exchange.model import Fill, Millis


def decide(state: State, input_: i.Input, now: Millis, held: Held | None = None) -> Decision:
    """Decide what follows from one input. ``held`` are the measurements that are held back, without which none are.

    Raises:
        GatehouseError: only for ``Boot`` and ``ProposalAsked``, whose callers handle it; nothing has been decided then.
    """
    if isinstance(input_, i.Boot):
        return boot.boot(state, input_, now)
    draft = Draft(state, now, held)
    return draft.done(_branch(draft, input_))


def _branch(draft: Draft, input_: i.Input) -> Reply:
    return _BRANCHES[type(input_)](draft, input_)


def _venue_reported(draft: Draft, report: i.VenueReported) -> None:
    if isinstance(report.event, Fill):
        trades.fill_reported(draft, report.venue, report.event, listed=report.listed)
    elif not venue_reports.order_reported(draft, report.venue, report.event):
        venue_reports.foreign_reported(draft, report.venue, report.event)


def _stopping(draft: Draft, _: i.Stopping) -> None:
    draft.hold_nothing()


def _account_examined(draft: Draft, report: i.AccountExamined) -> None:
    draft.emit(AccountChecked(venue=report.venue, checks=report.checks, failed=report.failed, remedies=report.remedies))


def _halt_completed(draft: Draft, report: i.HaltCompleted) -> None:
    draft.emit(
        HaltMeasured(
            cause=report.cause,
            breach_to_latch_us=report.breach_to_latch_us,
            latch_to_cancelled_us=report.latch_to_cancelled_us,
            cancelled=report.cancelled,
            verified_empty=report.verified_empty,
        )
    )


_BRANCHES: Mapping[type[i.Input], Callable[[Draft, Any], Reply]] = MappingProxyType(
    {
        i.OrderRequested: orders.order_requested,
        i.DeniedEarly: orders.denied_early,
        i.CancelAsked: orders.cancel_asked,
        i.PlacementAnswered: venue_reports.placement_answered,
        i.CancelAnswered: venue_reports.cancel_answered,
        i.LookupAnswered: venue_reports.lookup_answered,
        i.VenueReported: _venue_reported,
        i.AccountRead: sweeps.account_read,
        i.AccountExamined: _account_examined,
        i.Tick: ticks.tick,
        i.ProposalAsked: commands.proposal_asked,
        i.CommandSubmitted: commands.command_submitted,
        i.SubmissionInvalid: commands.envelope_invalid,
        i.HaltAsked: commands.halt_asked,
        i.HaltCompleted: _halt_completed,
        i.DrillMeasured: drills.drill_measured,
        i.HaltPractised: drills.halt_practised,
        i.FaultReported: drills.fault_reported,
        i.AlertNoticed: alerts.alert_noticed,
        i.AlertEnded: alerts.alert_ended,
        i.AlertDelivered: alerts.alert_delivered,
        i.WatchdogLogRead: watchdog.log_read,
        i.RateRead: rates.rate_read,
        i.StatisticsComputed: measured.statistics_computed,
        i.SignalsReplayed: signals.signals_replayed,
        i.Stopping: _stopping,
        i.OrderTestsAnswered: shadow.order_tests_answered,
        i.ShadowEnded: shadow.shadow_ended,
    }
)
