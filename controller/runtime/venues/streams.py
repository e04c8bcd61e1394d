"""The streams of the venues, for the writer: private events go to it as they come, and every tick says what happened to them.

``controller.runtime.assembly`` runs one ``listen`` for each venue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controller.core.inputs import VenueReported
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.strangers import Strangers
from exchange.model import Fill
from exchange.ports import Clock, MarketFeed, StreamGap, Venue, VenueName
from exchange.stream_life import StreamLife


async def listen(venue: Venue, inbox: Inbox, clock: Clock, after_gap: Callable[[], None], strangers: Strangers) -> None:
    """Pass the events of a venue's private stream on until cancelled, and call ``after_gap`` at every interruption."""
    async for event in venue.events():
        if isinstance(event, StreamGap):
            after_gap()
        else:
            if not isinstance(event, Fill):
                strangers.streamed(venue.name, event)
            inbox.fact(VenueReported(venue.name, event), clock.monotonic_ns())


def lives(feeds: Mapping[VenueName, MarketFeed], venues: Mapping[VenueName, Venue]) -> dict[VenueName, tuple[StreamLife, ...]]:
    """What happened to the streams of each venue, its market's and its account's. A venue without any is left out."""
    found: dict[VenueName, tuple[StreamLife, ...]] = {}
    for one in (feeds, venues):
        for name, streaming in one.items():
            # What ``isinstance`` of ``WatchedStreams`` asks. That looks at every attribute first, and this runs with each tick.
            own: tuple[StreamLife, ...] | None = getattr(streaming, "streams", None)
            if own is not None:
                found[name] = (*found.get(name, ()), *own)
    return found
