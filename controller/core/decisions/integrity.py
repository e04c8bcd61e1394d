"""Notes in the journal what was measured of the books and calls of the venue in use. ``decisions.ticks`` calls it."""

from __future__ import annotations

from dataclasses import asdict

from controller.core import events as e
from controller.core.decisions.draft import Draft
from controller.core.inputs import Tick
from controller.core.state import State
from exchange.model import Millis
from exchange.ports import VenueName
from exchange.venue_slots import VenueSlots
from gates.integrity import CallRun, Integrity, Span, observed

OBSERVE_EVERY_MS = 120_000
"""The shortest time between two entries of a run. A process that dies loses what happened since the last one."""

REPEAT_MS = 600_000
"""After so long there is an entry although nothing happened: it says that somebody looked. The adapters keep more than that."""

LOOK_MS = 1_000
"""A slot that closed longer ago was looked at when it closed. So most ticks do nothing here."""


def observe(draft: Draft, venue: VenueName, input_: Tick) -> None:
    """Write what was counted since the last entry: soon when something happened, else seldom."""
    tally, slots = draft.after.tally, input_.slots.get(venue)
    if tally is None or slots is None:
        return
    before = tally.integrity
    began = before == Integrity()
    waited = draft.now - before.at
    if not began and (waited < OBSERVE_EVERY_MS or (waited < REPEAT_MS and draft.now - _closed_at(slots) > LOOK_MS)):
        return
    found = observed(before, slots, tally.started_at, _drills(draft.after, draft.now), draft.now)
    looked = found.calls.slots or any(one.slots for one in found.books)
    if not looked or (found.grown == before.grown and waited < REPEAT_MS):
        return
    draft.emit(
        e.IntegrityObserved(
            venue=venue,
            calls=_calls(found.calls),
            books=tuple(e.BookTotals(**asdict(one)) for one in found.books),
        )
    )


def _closed_at(slots: VenueSlots) -> Millis:
    """When the newest slot was closed."""
    return max((one[-1].end for one in (slots.calls, slots.books) if one), default=Millis(0))


def _calls(run: CallRun) -> e.CallTotals:
    return e.CallTotals(
        upto=run.upto,
        slots=run.slots,
        requests=run.requests,
        limited=run.limited,
        banned=run.banned,
        use={one.limit: one.most for one in run.use},
    )


def _drills(state: State, now: Millis) -> tuple[Span, ...]:
    """When drills ran. What they did to the venue and to us says nothing about the run."""
    records = {id(one): one for one in (*state.drills.values(), *([state.last_drill] if state.last_drill is not None else []))}
    running = ((state.drill.since, now),) if state.drill is not None else ()
    return (*((one.drill.since, one.at) for one in records.values()), *running)
