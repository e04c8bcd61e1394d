"""Notes in the journal what happened to the streams of the venue in use. ``controller.core.decisions.ticks`` calls it."""

from __future__ import annotations

from dataclasses import asdict

from controller.core import events as e
from controller.core.decisions.draft import Draft
from controller.core.inputs import Tick
from exchange.model import Millis
from exchange.ports import VenueName
from gates.streams import Streams, observed
from policies.values import replace

OBSERVE_EVERY_MS = 120_000
"""The shortest time between two entries of a run. A process that dies loses what happened since the last one."""


def observe(draft: Draft, venue: VenueName, input_: Tick) -> None:
    """Write what happened since the last entry, if something did. The first entry of a run says which streams there are."""
    tally, lives = draft.after.tally, input_.streams.get(venue, ())
    if tally is None or not lives:
        return
    before = tally.streams
    if before.runs and draft.now - before.at < OBSERVE_EVERY_MS:
        return
    found = observed(before, lives, tally.started_at, draft.now)
    if _plain(found) != _plain(before):
        draft.emit(e.StreamsObserved(venue=venue, streams=tuple(e.StreamTotals(**asdict(one)) for one in found.runs)))


def _plain(streams: Streams) -> Streams:
    """Streams without when they were observed, and which happening came last: one that is older than the run changes nothing."""
    return replace(streams, at=Millis(0), runs=tuple(replace(one, upto=0) for one in streams.runs))


def trouble(input_: Tick, venue: VenueName, stream: str) -> str:
    """Why a stream is of no use now, as the end of a sentence; empty when it is of use or not known."""
    life = next((one for one in input_.streams.get(venue, ()) if one.name == stream), None)
    return "" if life is None or life.down_since is None else f": {life.why}"
