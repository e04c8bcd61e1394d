"""What a process sees now, for the metrics. The leader's and the standby's operator make it; ``telemetry.observed`` judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from controller.runtime.followers.checkpoints import TargetStatus
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import CommittedBatch, Writer
from controller.runtime.venues.markets import Markets
from controller.telemetry.observed import Seen, Target
from exchange.ports import Clock

EVERY_NS = 500_000_000
"""How often the writer's batches publish what is seen; a change of stage or arming publishes at once."""


def seen_by_the_leader(writer: Writer, markets: Markets, permits: PermitOffice, targets: Iterable[TargetStatus]) -> Seen:
    """What the leader sees. Call it on the event loop."""
    return Seen(
        state=writer.seen,
        leads=not writer.failed_because,
        decided_ns=writer.last_tick_ns,
        permit_until_ns=permits.current().deadline_ns,
        tick=markets.measured_now(),
        unreached=frozenset(markets.silent_venues()),
        targets=tuple(Target(one.target, one.at, not one.problem) for one in targets),
    )


class Published:
    """The newest ``Seen`` of this process. ``on_batch`` follows the writer; any thread reads ``latest``."""

    def __init__(self, see: Callable[[], Seen], clock: Clock) -> None:
        self._see = see
        self._clock = clock
        self._at_ns = 0
        self._of: object = None
        self._latest: Seen | None = None

    def latest(self) -> Seen | None:
        """What was published last."""
        return self._latest

    def refresh(self) -> None:
        """Publish what is seen at this moment. Call it on the event loop."""
        self._latest = self._see()
        self._at_ns = self._clock.monotonic_ns()

    def on_batch(self, batch: CommittedBatch) -> None:
        """Publish after a while, and at once when the stage or the arming changed."""
        after = batch.after
        of = after.position, after.armed, after.drill is None
        if of != self._of or batch.durable_ns - self._at_ns >= EVERY_NS:
            self._of = of
            self.refresh()
