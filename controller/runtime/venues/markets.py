"""Market data for the writer: a tick with what each venue's feed shows now, four times a second and soon after a book moves.

The assembly makes one ``Markets``; the ports of bots and operators read quotes and rules from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from controller.core.inputs import AccountRead, Asked, Market, Tick
from controller.core.state import market_of
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.bots_heard import BotsHeard
from controller.runtime.venues.clocks import ClockSeen, Silence
from controller.runtime.venues.streams import Noted
from exchange.model import Millis, Quote, SymbolRules
from exchange.ports import Clock, MarketFeed, VenueName

MARKET_TICK_EVERY_S = 0.02


class Markets:
    """Reads the feeds, and keeps when each symbol last had a trustworthy quote. ``bots``: when each bot was last heard.

    ``accelerated`` has the venues that are known: one that the start did not reach is missing until it has said what its data is
    and what its rules are. Until then it is no part of a tick and has no quotes.
    """

    def __init__(
        self,
        *,
        feeds: Mapping[VenueName, MarketFeed],
        rules: Mapping[VenueName, dict[str, SymbolRules]],
        accelerated: Mapping[VenueName, bool],
        symbols: Sequence[str],
        clock: Clock,
        inbox: Inbox,
        clocks: Mapping[VenueName, Callable[[], ClockSeen]],
        accounts: Callable[[], Mapping[VenueName, AccountRead]] = dict,
        testnet: Callable[[], Asked | None] = lambda: None,
        streams: Callable[[], Noted] = Noted,
    ) -> None:
        self._feeds = feeds
        self._rules = rules
        self._accelerated = accelerated
        self._symbols = symbols
        self._clock = clock
        self._inbox = inbox
        self._clocks = clocks
        self._accounts = accounts
        self._testnet = testnet
        self._streams = streams
        self._quoted_at: dict[VenueName, dict[str, Millis]] = {venue: {} for venue in feeds}
        self.bots = BotsHeard(clock)
        self._tick_queued = False
        self._withheld: dict[VenueName, dict[str, Quote]] = {}
        self._clock_shift_ms: dict[VenueName, int] = {}

    def withhold(self, venue: VenueName) -> None:
        """For a drill: from now on the quotes of this venue's market are the present ones, which get older and older."""
        self._withheld[market_of(venue)] = self.quotes(venue)

    def release(self, venue: VenueName) -> None:
        """End ``withhold``."""
        self._withheld.pop(market_of(venue), None)

    def shift_clock(self, venue: VenueName, ms: int) -> None:
        """For a drill: add this to the measured offset of the venue's clock; 0 ends it."""
        self._clock_shift_ms[venue] = ms

    @property
    def watching(self) -> bool:
        """Whether there is any market to watch: a standby has none, and hears no bot."""
        return bool(self._feeds)

    @property
    def feeds(self) -> Mapping[VenueName, MarketFeed]:
        """The feed of each market."""
        return self._feeds

    def feed_of(self, venue: VenueName) -> MarketFeed:
        """The feed that prices an account."""
        return self._feeds[market_of(venue)]

    def rules_of(self, venue: VenueName) -> Mapping[str, SymbolRules]:
        """The venue's rules as last read."""
        return self._rules[market_of(venue)]

    def quotes(self, venue: VenueName) -> dict[str, Quote]:
        """The trustworthy quotes that price an account."""
        return self._quotes_of(market_of(venue))

    def tick(self, known_ns: int | None = None) -> None:
        """Queue one tick with everything measured now; does nothing while a tick is still queued."""
        if self._tick_queued:
            return
        self._inbox.fact(self.measured_now(), known_ns if known_ns is not None else self._clock.monotonic_ns())
        # Set last: a tick that could not be measured must not block the next ones.
        self._tick_queued = True

    def measured_now(self) -> Tick:
        """A tick with everything measured now."""
        clocks = {venue: seen() for venue, seen in self._clocks.items()}
        noted = self._streams()
        fresh = {venue: seen.fresh for venue, seen in clocks.items() if seen.fresh is not None}
        return Tick(
            markets={venue: self._market(venue) for venue in self._feeds if venue in self._accelerated},
            clock_offset_ms={venue: offset.ms + self._clock_shift_ms.get(venue, 0) for venue, offset in fresh.items()},
            clock_uncertainty_ms={venue: offset.uncertainty_ms for venue, offset in fresh.items()},
            clock_good={venue: seen.good for venue, seen in clocks.items() if seen.good is not None},
            bots=self.bots.heard_of(),
            accounts=self._accounts(),
            testnet=self._testnet(),
            streams=noted.lives,
            slots=noted.slots,
        )

    def silent_venues(self) -> dict[VenueName, Silence]:
        """The venues that do not answer now, and since when and why."""
        found = {venue: seen().silence for venue, seen in self._clocks.items()}
        return {venue: silence for venue, silence in found.items() if silence is not None}

    def tick_taken(self) -> None:
        """The writer has decided the queued tick; the next one may be queued."""
        self._tick_queued = False

    async def follow(self, venue: VenueName) -> None:
        """Tick soon after the venue's market moves, at most every 20 ms. A breach counts as known from the move on."""
        while True:
            await self._feeds[venue].changed()
            self.tick(self._clock.monotonic_ns())
            await asyncio.sleep(MARKET_TICK_EVERY_S)

    def _quotes_of(self, market: VenueName) -> dict[str, Quote]:
        if (withheld := self._withheld.get(market)) is not None:
            return dict(withheld)
        if market not in self._accelerated:
            return {}
        feed = self._feeds[market]
        return {symbol: quote for symbol in self._symbols if (quote := feed.quote(symbol)) is not None}

    def _market(self, venue: VenueName) -> Market:
        quotes = self._quotes_of(venue)
        quoted_at = self._quoted_at[venue]
        for symbol, quote in quotes.items():
            quoted_at[symbol] = quote.received_at
        feed = self._feeds[venue]
        return Market(
            source=feed.source,
            accelerated=self._accelerated[venue],
            quotes=quotes,
            seen_at=dict(quoted_at),
            rules=dict(self._rules[venue]),
        )
