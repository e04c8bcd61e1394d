"""Permits to place new orders: short, renewed by the writer, and gone at once when something is wrong (architecture.md §3).

A permit is worth nothing by itself: every use asks the office, so revoking needs no message to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.ports import Clock

LIFETIME_NS = 5_000_000_000
"""How long a permit lives unless it is renewed (architecture.md §3)."""


@dataclass(frozen=True, slots=True)
class IssuedPermit:
    """One permit, judged by the office that issued it."""

    office: PermitOffice
    epoch: int
    serial: int

    def is_live(self) -> bool:
        """Whether it may still be used."""
        return self.office.honours(self)


class PermitOffice:
    """Issues one permit at a time. Latched, it issues none until the writer opens it again after a signed resume or a reset."""

    def __init__(self, clock: Clock, epoch: int) -> None:
        self._clock = clock
        self._epoch = epoch
        self._serial = 0
        self._deadline_ns = 0
        self._latched_because = ""

    @property
    def latched_because(self) -> str:
        """Why no permit is issued; empty when the office is open."""
        return self._latched_because

    def latch(self, reason: str) -> int:
        """Revoke whatever is out and issue no more. Returns the monotonic instant of the latch, in nanoseconds."""
        self._deadline_ns = 0
        self._latched_because = reason or "latched"
        return self._clock.monotonic_ns()

    def unlatch(self) -> None:
        """Allow issuing again. Only the writer calls it, after the journal holds the command that allows it."""
        self._latched_because = ""

    def renew(self, most_ns: int | None = None) -> None:
        """Extend the permit that is out, or issue one; does nothing while latched.

        ``most_ns`` is the monotonic instant after which the lease it rests on allows none (``controller.journal.lease``).
        """
        if self._latched_because:
            return
        now = self._clock.monotonic_ns()
        if self._deadline_ns <= now:
            self._serial += 1
        self._deadline_ns = now + LIFETIME_NS if most_ns is None else min(now + LIFETIME_NS, most_ns)

    def lapse(self) -> None:
        """Revoke whatever is out without latching: the next renewal issues a new one."""
        self._deadline_ns = 0

    def current(self) -> IssuedPermit:
        """The permit that is out; it may be dead."""
        return IssuedPermit(self, self._epoch, self._serial)

    def honours(self, permit: IssuedPermit) -> bool:
        """Whether ``permit`` may be used now."""
        return (
            not self._latched_because
            and permit.epoch == self._epoch
            and permit.serial == self._serial
            and self._clock.monotonic_ns() < self._deadline_ns
        )
