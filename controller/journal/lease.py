"""The arithmetic of a lease: how long a permit may rest on a renewal, and when a standby may hold a lease for dead.

Neither side reads the other's clock, nor the server's. The writer counts from the instant BEFORE it sent a renewal that was then
committed; the standby counts from the instant AFTER it received an answer that showed that renewal. Whatever the network did, the
second instant is the later one. So with clocks that run at most ``DRIFT`` fast or slow, and

    PERMIT_NS · (1 + DRIFT)  +  LANDING_NS  +  SKEW_NS  ≤  TERM_NS · (1 - DRIFT)

every permit of the old writer has run out, and the last order signed under it can no longer be taken by the venue, before a
standby is let in. LANDING is the venue's own limit: a signed order older than its recvWindow is refused (mexc-spot-v3.md §2.3),
however long the process that signed it slept before the bytes left; SKEW is how wrong our idea of the venue's clock may be.
"""

from __future__ import annotations

from dataclasses import dataclass

TERM_S = 10
"""How long a lease that nobody renews keeps others out."""

TERM_NS = TERM_S * 1_000_000_000
LANDING_NS = 5_000_000_000
"""How long after its signature an order can still be taken: the recvWindow it is signed with."""

SKEW_NS = 700_000_000
"""How much later than by our reckoning the venue's clock may call an order old."""

PERMIT_NS = 4_000_000_000
"""How long after a renewal was sent a permit may live."""

RENEW_NS = 1_000_000_000
"""A writer with nothing to append renews after this long."""

DRIFT_PPM = 10_000
"""How wrong the rate of a monotonic clock may be: one per cent, a hundred times what oscillators do."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as the journal shows it. It is compared, never read as a time: the server's clock takes no part.

    ``until`` is the server's word for when it ends; empty when the last writer gave it back.
    """

    epoch: int
    until: str

    @property
    def free(self) -> bool:
        """Whether the last writer gave it back."""
        return not self.until


class LeaseWatch:
    """Watches a lease from a standby: one that did not change for a whole term has run out."""

    def __init__(self) -> None:
        self._lease: Lease | None = None
        self._since_ns = 0

    def saw(self, lease: Lease, received_ns: int) -> None:
        """The journal showed ``lease`` in an answer that was received at ``received_ns``, monotonic."""
        if lease != self._lease:
            self._lease, self._since_ns = lease, received_ns

    def unchanged_ns(self, now_ns: int) -> int:
        """How long the lease has not changed, as far as we saw."""
        return now_ns - self._since_ns if self._lease is not None else 0

    def over(self, now_ns: int) -> Lease | None:
        """The lease, if it was given back or has run out; whoever takes over must find this very lease still there."""
        lease = self._lease
        if lease is None or not (lease.free or now_ns - self._since_ns >= TERM_NS):
            return None
        return lease
