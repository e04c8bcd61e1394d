"""The times of a lease: how long a permit is valid after a renewal, and when a standby may treat a lease as expired.

The PostgreSQL journal, the permits and the standby use it. Neither side reads the other's clock, nor the server's. The writer
counts from the instant BEFORE it sent a renewal that was then committed; the standby counts from the instant AFTER it received an
answer that showed that renewal. For any network delay, the second instant is the later one. So with clocks that run at most
``DRIFT`` fast or slow, and

    PERMIT_NS · (1 + DRIFT)  +  LANDING_NS  +  SKEW_NS  ≤  TERM_NS · (1 - DRIFT)

every permit of the old writer has expired, and the venue can no longer accept the last order signed under it, before a standby may
take over. LANDING is the venue's own limit: it refuses a signed order older than its recvWindow (mexc-spot-v3.md §2.3), even if the
process was suspended between signing and sending; SKEW is the largest error of our estimate of the venue's clock.
"""

from __future__ import annotations

from dataclasses import dataclass

TERM_S = 10
"""How long a lease is valid after its last renewal."""

TERM_NS = TERM_S * 1_000_000_000
LANDING_NS = 5_000_000_000
"""How long after its signature the venue can still accept an order: the recvWindow it is signed with."""

SKEW_NS = 700_000_000
"""The largest error of our estimate of the venue's clock."""

PERMIT_NS = 4_000_000_000
"""How long after a renewal was sent a permit is valid."""

RENEW_NS = 1_000_000_000
"""A writer with nothing to append renews the lease after this time."""

DRIFT_PPM = 10_000
"""The largest rate error of a monotonic clock: one per cent, a hundred times that of real oscillators."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as the journal shows it. It is only compared, never read as a time, because the server's clock is not trusted.

    ``until`` is the end of the lease as the server writes it; empty when the last writer released it.
    """

    epoch: int
    until: str

    @property
    def free(self) -> bool:
        """Whether the last writer released it."""
        return not self.until


class LeaseWatch:
    """Watches a lease from a standby: a lease that did not change for a whole term has expired."""

    def __init__(self) -> None:
        self._lease: Lease | None = None
        self._since_ns = 0

    def saw(self, lease: Lease, received_ns: int) -> None:
        """Record that an answer received at ``received_ns`` (monotonic) showed ``lease``."""
        if lease != self._lease:
            self._lease, self._since_ns = lease, received_ns

    def unchanged_ns(self, now_ns: int) -> int:
        """How long the lease has not changed in the answers we received."""
        return now_ns - self._since_ns if self._lease is not None else 0

    def over(self, now_ns: int) -> Lease | None:
        """The lease, if it was released or has expired; a takeover is allowed only while the journal still shows this lease."""
        lease = self._lease
        if lease is None or not (lease.free or now_ns - self._since_ns >= TERM_NS):
            return None
        return lease
