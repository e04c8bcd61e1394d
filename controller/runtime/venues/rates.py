"""Reads the sources of the EUR rate in the background and gives what they say to the writer, which decides (``policies.eur``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from controller.core.inputs import RateRead
from controller.runtime.loop.inbox import Inbox
from exchange.errors import GatehouseError
from exchange.ports import Clock
from policies.eur import RateSource, sources
from policies.schema import Policy

EVERY_S: Mapping[RateSource, int] = {RateSource.ECB: 1800, RateSource.VENUE: 60}
"""How often a source is read. The ECB publishes once a day."""

RETRY_S = 60
LOOK_EVERY_S = 1.0

ReadRate = Callable[[], Awaitable[RateRead | None]]
"""Reads one source. ``None``: it has no rate now, such as a book with an empty side. Raises ``GatehouseError``."""

_log = logging.getLogger(__name__)


class RateWatch:
    """Reads every source that the policy in force follows: at once, then at its own pace, and after a failure every minute."""

    def __init__(self, readers: Mapping[RateSource, ReadRate], *, policy: Callable[[], Policy], inbox: Inbox, clock: Clock) -> None:
        self._readers = readers
        self._policy = policy
        self._inbox = inbox
        self._clock = clock
        self._failing: set[RateSource] = set()

    async def run(self) -> None:
        """Read what is due, until cancelled."""
        due_ns: dict[RateSource, int] = {}
        while True:
            follow = self._policy().eur_rate.follow
            for source in sources(follow) if follow is not None else ():
                if self._clock.monotonic_ns() >= due_ns.get(source, 0):
                    wait_s = EVERY_S[source] if await self._read(source) else RETRY_S
                    due_ns[source] = self._clock.monotonic_ns() + wait_s * 1_000_000_000
            await asyncio.sleep(LOOK_EVERY_S)

    async def _read(self, source: RateSource) -> bool:
        """Returns whether the source had a rate."""
        try:
            read = await self._readers[source]()
        except GatehouseError as error:
            self._note_failure(source, error.message)
            return False
        if read is None:
            self._note_failure(source, "it has no rate now")
            return False
        if source in self._failing:
            self._failing.discard(source)
            _log.warning("the EUR rate can be read again from %s", source)
        self._inbox.fact(read, self._clock.monotonic_ns())
        return True

    def _note_failure(self, source: RateSource, why: str) -> None:
        if source not in self._failing:
            self._failing.add(source)
            _log.warning("the EUR rate cannot be read from %s, it is tried every %s s: %s", source, RETRY_S, why)
