"""Keeps our requests within MEXC's limits (mexc-spot-v3.md §1.4). Every REST call of ``exchange.mexc.rest`` waits here first.

The limits: 12 orders and cancels a second, 20 requests a second in all, two account queries a second.

Theory of operation. The strictest published limits are enforced as sliding windows. Unlike a token bucket, which allows bursts, a
sliding window never lets more than N requests through in any window. A request counts from the time of its reply, because the venue
counts arrivals and a first request waits for its connection. Placing, querying and market data have lower limits of their own, so
three cancels a second can always be sent even when all other lanes are full, and a book can be repaired while queries wait. Reading
what is still open while a venue is being emptied has a lane of its own too: nothing is placed then, so its share is free.

Candles and statistics of the market are for bots to look at. They get what queries leave: a HISTORY request counts as a query, and
it is sent only while the last second leaves room for ``QUERIES_KEPT`` more queries. So however much bots ask, orders,
cancels, books and the emptying of a venue have what they had, and sweeps and look-ups always find room.

After a 429 only probes are sent for ``Retry-After`` seconds; a 418 or 403 is a lock-out. A cancel is never refused for longer than
the probe interval, however long the venue asks us to wait, because leaving the market must stay possible. A probe that the venue
answers proves that a lock-out is over, and ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from exchange.errors import VenueError
from exchange.mexc.call_meter import ACCOUNTS, ORDERS, CallMeter
from exchange.ports import Clock

SECOND = 1_000_000_000
WINDOW = SECOND + SECOND // 20
"""A little over a second, ns, because requests may arrive closer together than they were sent."""

SETTLE = SECOND // 2
"""Nanoseconds for which an unanswered request counts as on its way; a venue that hangs must not delay cancels."""

ALL_PER_WINDOW, ORDERS_PER_WINDOW = 20, 12
PLACES_PER_WINDOW, QUERIES_PER_WINDOW, MARKET_PER_WINDOW = 8, 7, 2
ACCOUNTS_PER_WINDOW = 2
EMPTYING_PER_WINDOW = 3
HISTORY_PER_WINDOW, QUERIES_KEPT = 2, 4
LOCK_OUT = 600 * SECOND
"""After an over-limit, access returns in about ten minutes (§1.4)."""

PROBE_EVERY = 2 * SECOND
LIST_PROBE_EVERY = 4 * SECOND
MAX_WAIT = 5 * SECOND


class Lane(StrEnum):
    """What a request is for.

    ACCOUNT is for queries with a tighter limit, MARKET repairs and checks books, EMPTYING lists what is left to cancel, HISTORY
    reads candles and statistics.
    """

    PLACE = "place"
    CANCEL = "cancel"
    QUERY = "query"
    ACCOUNT = "account"
    MARKET = "market"
    EMPTYING = "emptying"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class LockOut:
    """The venue blocks this address: HTTP 418 is a ban, 403 its firewall. ``until_ns`` is on the monotonic clock."""

    status: int
    until_ns: int
    seconds: int


class HeldBack(VenueError):
    """The request was not sent: the venue asked us to stop for a while, or our own limits do not allow it within ``MAX_WAIT``."""

    def __init__(self, lane: Lane, wait_ns: int) -> None:
        super().__init__(
            f"a {lane.value} request is held back for {max(1, wait_ns // SECOND)} s to stay within the venue's limits",
            code="venue-held-back",
            remedy="Wait, and lower the rate of orders and queries.",
        )
        self.wait_ns = wait_ns


class Grant:
    """One allowed request. ``at`` is the latest time at which it can have reached the venue, in monotonic ns."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = 0

    def answered(self, now: int) -> None:
        """Note the reply: the request has arrived by now, and the venue counts it from its arrival."""
        self.at = max(self.at, min(now, self.at + SETTLE))


class Window:
    """At most ``limit`` grants in any ``span`` ns."""

    __slots__ = ("_grants", "_limit", "_span")

    def __init__(self, limit: int, span: int) -> None:
        self._grants: list[Grant] = []
        self._limit = limit
        self._span = span

    def wait(self, now: int) -> int:
        """Nanoseconds until the next grant is possible; 0 for now."""
        if len(self._grants) < self._limit:
            return 0
        return max(0, min(grant.at for grant in self._grants) + self._span - now)

    def wait_for_room(self, room: int, now: int) -> int:
        """Nanoseconds until at least ``room`` more grants are possible; 0 for now."""
        waits = sorted(max(0, grant.at + self._span - now) for grant in self._grants)
        too_many = sum(wait > 0 for wait in waits) + room - self._limit
        return 0 if too_many <= 0 else waits[len(waits) - sum(wait > 0 for wait in waits) + too_many - 1]

    def count(self, grant: Grant) -> None:
        """Count one request."""
        if len(self._grants) == self._limit:
            self._grants.remove(min(self._grants, key=lambda one: one.at))
        self._grants.append(grant)


_BUCKETS = {Lane.PLACE: (ORDERS,), Lane.CANCEL: (ORDERS,), Lane.ACCOUNT: (ACCOUNTS,)}
"""Which limits a lane's requests use, besides that of all requests."""


class Limits:
    """The pure part: decides from the time alone whether a lane may send now."""

    def __init__(self) -> None:
        total, orders = Window(ALL_PER_WINDOW, WINDOW), Window(ORDERS_PER_WINDOW, WINDOW)
        places, queries = Window(PLACES_PER_WINDOW, WINDOW), Window(QUERIES_PER_WINDOW, WINDOW)
        self._windows = {
            Lane.PLACE: (total, orders, places),
            Lane.CANCEL: (total, orders),
            Lane.QUERY: (total, queries),
            Lane.MARKET: (total, Window(MARKET_PER_WINDOW, WINDOW)),
            Lane.ACCOUNT: (total, queries, Window(ACCOUNTS_PER_WINDOW, WINDOW)),
            Lane.EMPTYING: (total, Window(EMPTYING_PER_WINDOW, WINDOW)),
            Lane.HISTORY: (total, queries, Window(HISTORY_PER_WINDOW, WINDOW)),
        }
        self._left_free = (total, queries)
        self._probes = {Lane.CANCEL: Window(1, PROBE_EVERY), Lane.EMPTYING: Window(1, LIST_PROBE_EVERY)}
        self._silent_since = 0
        self._silent_until = 0
        self._lockout: LockOut | None = None

    def take(self, lane: Lane, now: int, grant: Grant | None = None) -> int:
        """Count a request (as ``grant`` if one is passed) and return 0, or return the nanoseconds to wait before asking again.

        Raises:
            HeldBack: the venue asked us to stop for a while. One cancel still passes every ``PROBE_EVERY``, and one list of what is
                left to cancel every ``LIST_PROBE_EVERY``.
        """
        windows = self._windows[lane]
        if now < self._silent_until:
            probe = self._probes.get(lane)
            if probe is None or probe.wait(now) > 0:
                raise HeldBack(lane, self._silent_until - now)
            windows = (*windows, probe)
        wait = max(window.wait(now) for window in windows)
        if lane is Lane.HISTORY:
            wait = max(wait, *(window.wait_for_room(QUERIES_KEPT + 1, now) for window in self._left_free))
        if wait == 0:
            grant = grant or Grant()
            grant.at = now
            for window in windows:
                window.count(grant)
        return wait

    def lockout(self, now: int) -> LockOut | None:
        """The lock-out in force, ``None`` without one."""
        return self._lockout if self._lockout is not None and now < self._lockout.until_ns else None

    def answered(self, status: int, retry_after: int | None, now: int) -> LockOut | None:
        """Take note of a reply's status: 429 is a pause, 418 and 403 a lock-out. Returns a lock-out that begins now.

        ``retry_after`` is in seconds.
        """
        if status == 429:
            pause = SECOND if retry_after is None else retry_after * SECOND
        elif status in {403, 418}:
            pause = LOCK_OUT if retry_after is None else retry_after * SECOND
        else:
            return None
        self._silent_since = now
        self._silent_until = max(self._silent_until, now + pause)
        if status == 429:
            return None
        in_force = self.lockout(now)
        self._lockout = LockOut(status, self._silent_until, (self._silent_until - now) // SECOND)
        return self._lockout if in_force is None else None

    def probe_answered(self, sent_ns: int, now: int) -> None:
        """The venue answered a probe: end the lock-out, if the probe was sent after it began. A pause after a 429 stays."""
        if self.lockout(now) is not None and sent_ns > self._silent_since:
            self._lockout = None
            self._silent_until = now


class RateLimiter:
    """The asynchronous part: each lane has its own queue, so a queue of orders never delays a cancel."""

    def __init__(self, clock: Clock, limits: Limits | None = None, *, on_lockout: Callable[[LockOut], None] | None = None) -> None:
        """``on_lockout`` is called once at the start of every lock-out."""
        self._clock = clock
        self._on_lockout = on_lockout
        self._limits = limits or Limits()
        self._turns = {lane: asyncio.Lock() for lane in Lane}
        self._slow: set[Lane] = set()
        self.meter = CallMeter(clock)
        """What was sent and refused."""

    @property
    def lockout(self) -> LockOut | None:
        """The lock-out in force, ``None`` without one."""
        return self._limits.lockout(self._clock.monotonic_ns())

    def flows(self, lane: Lane) -> bool:
        """Whether the lane's last request did not have to wait, and none waits now."""
        return lane not in self._slow and not self._turns[lane].locked()

    @asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[None]:
        """Wait until the lane may send one request; send it inside the block.

        Raises:
            HeldBack: as ``acquire``.
        """
        grant = await self.acquire(lane)
        try:
            yield
        finally:
            grant.answered(self._clock.monotonic_ns())

    async def acquire(self, lane: Lane) -> Grant:
        """Return when the lane may send one request.

        Raises:
            HeldBack: not within ``MAX_WAIT``, or the venue asked us to stop for a while.
        """
        deadline, grant = self._clock.monotonic_ns() + MAX_WAIT, Grant()
        waits = self._turns[lane].locked()
        self._slow.add(lane)
        async with self._turns[lane]:
            while True:
                now = self._clock.monotonic_ns()
                if now > deadline:
                    raise HeldBack(lane, 0)
                wait = self._limits.take(lane, now, grant)
                if wait == 0:
                    self.meter.sent(*_BUCKETS.get(lane, ()))
                    if not waits:
                        self._slow.discard(lane)
                    return grant
                waits = True
                await asyncio.sleep(wait / SECOND)

    def answered(self, status: int, retry_after: int | None) -> None:
        """Take note of a reply's status."""
        self.meter.answered(status)
        begun = self._limits.answered(status, retry_after, self._clock.monotonic_ns())
        if begun is not None and self._on_lockout is not None:
            self._on_lockout(begun)

    def probe_answered(self, sent_ns: int) -> None:
        """The venue itself answered a cancel that was sent at ``sent_ns``, monotonic: a lock-out that began before is over."""
        self._limits.probe_answered(sent_ns, self._clock.monotonic_ns())
