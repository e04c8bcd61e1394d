"""What a practised fault may touch, and how it says that it was not practised or not proven. Every fault of this folder uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from controller.core.state import Drill, State
from controller.journal.port import JournalHold
from controller.runtime.drills.control import TestnetControl
from controller.runtime.followers.disk_space import DiskReserve
from controller.runtime.followers.heartbeat import Heartbeat
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.surroundings import Threads
from controller.runtime.venues.markets import Markets
from exchange.errors import GatehouseError
from exchange.ports import Clock, Venue, VenueName
from policies.schema import Policy

POLL_S = 0.02
Measured = Mapping[str, int]
"""The figures of a fault, by name. A name ends with its unit."""


class NotExercised(GatehouseError):
    """The fault could not be practised, so the drill fails and nothing halts."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, code="drill-not-exercised", remedy=remedy)


class Unproven(GatehouseError):
    """The fault was practised, and what has to follow did not: the deployment halts."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="drill-unproven", remedy="Read the controller's log and `gatehouse explain drill`.")


@dataclass(frozen=True, slots=True)
class Means:
    """What some drills need and not every deployment has.

    ``forbid_growth`` lets the journal's file grow no more, or again; ``None`` for a journal in a database. ``journal_hold`` makes
    the appends of a journal in a database wait; ``None`` for a journal in a file. ``restore`` restores the newest backup elsewhere
    and returns what it measured, or raises ``NotExercised``; ``None`` where the settings do not say how.
    """

    forbid_growth: Callable[[bool], None] | None = None
    journal_hold: Callable[[], JournalHold] | None = None
    restore: Callable[[], Awaitable[Measured]] | None = None


NO_MEANS = Means()


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts of the running controller that a fault can break or observe. ``controller.runtime.assembly`` makes one.

    ``sweep`` reads an account at once. ``control`` reaches the testnet's control endpoint, or says why it cannot.
    """

    state: Callable[[], State]
    policy: Policy
    clock: Clock
    permits: PermitOffice
    markets: Markets
    venues: Mapping[VenueName, Venue]
    threads: Threads
    heartbeat: Heartbeat | None
    disk: DiskReserve | None
    means: Means
    sweep: Callable[[VenueName], None]
    control: TestnetControl

    def ms_since(self, began_ns: int) -> int:
        """Milliseconds since an instant of the monotonic clock."""
        return (self.clock.monotonic_ns() - began_ns) // 1_000_000

    def drill(self, drill: Drill) -> Drill:
        """The drill as the journal shows it now; as it was given once it has ended."""
        current = self.state().drill
        return current if current is not None and current.command_id == drill.command_id else drill

    async def until(self, holds: Callable[[], bool], what: str, within_s: float) -> None:
        """Wait until ``holds``. Raises ``Unproven``, naming ``what`` has not happened in time."""
        end_ns = self.clock.monotonic_ns() + int(within_s * 1e9)
        while not holds():
            if self.clock.monotonic_ns() > end_ns:
                raise Unproven(f"{what} within {within_s:g} s")
            await asyncio.sleep(POLL_S)
