"""The streams of the venues, for the writer: private events go to it as they come, and every tick says what happened to them.

``controller.runtime.assembly`` runs one ``listen`` for each venue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from controller.core.inputs import VenueReported
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.strangers import Strangers
from exchange.model import Fill
from exchange.ports import Clock, MarketFeed, StreamGap, Venue, VenueName
from exchange.stream_life import StreamLife
from exchange.venue_slots import BookSlot, CallSlot, VenueSlots


async def listen(venue: Venue, inbox: Inbox, clock: Clock, after_gap: Callable[[], None], strangers: Strangers) -> None:
    """Pass the events of a venue's private stream on until cancelled, and call ``after_gap`` at every interruption."""
    async for event in venue.events():
        if isinstance(event, StreamGap):
            after_gap()
        else:
            if not isinstance(event, Fill):
                strangers.streamed(venue.name, event)
            inbox.fact(VenueReported(venue.name, event), clock.monotonic_ns())


@dataclass(frozen=True, slots=True)
class Noted:
    """What the adapters noted of each venue, its market's and its account's. A venue without any is left out."""

    lives: Mapping[VenueName, tuple[StreamLife, ...]] = field(default_factory=dict)
    slots: Mapping[VenueName, VenueSlots] = field(default_factory=dict)


def noted(feeds: Mapping[VenueName, MarketFeed], venues: Mapping[VenueName, Venue]) -> Noted:
    """What happened to the streams, and what was counted of calls and books.

    What ``isinstance`` of the protocols asks is asked by name: that looks at every attribute first, and this runs with each tick.
    """
    lives: dict[VenueName, tuple[StreamLife, ...]] = {}
    slots: dict[VenueName, VenueSlots] = {}
    for one in (feeds, venues):
        for name, streaming in one.items():
            own: tuple[StreamLife, ...] | None = getattr(streaming, "streams", None)
            if own is not None:
                lives[name] = (*lives.get(name, ()), *own)
    for name, venue in venues.items():
        calls: tuple[CallSlot, ...] | None = getattr(venue, "call_slots", None)
        books: tuple[BookSlot, ...] | None = getattr(feeds.get(name), "book_slots", None)
        if calls is not None or books is not None:
            slots[name] = VenueSlots(calls or (), books or ())
    return Noted(lives, slots)
