"""What a run counts of the streams of its venue: rotations and renewals that were survived, and the gaps of each stream.

``controller.core.decisions.streams`` observes what the adapters noted (``exchange.stream_life``), the fold keeps it in the tally,
and ``gates.measure`` makes metrics of it (execution-safety.md §4.3, row A2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from exchange.model import Millis
from exchange.stream_life import PRIVATE, Happening, Kind, StreamLife
from gates.statistics import ratio_down
from policies.values import replace


@dataclass(frozen=True)
class StreamRun:
    """One stream during one run. The counts are of the whole run, over every process that took part in it.

    ``upto`` is the number of the last happening that is counted, in the present process. ``down_ms`` is the time of the gaps that
    have ended; the present one began at ``down_since``. ``rotation_gap_ms`` is the longest gap around a rotation, absent before
    the first one.
    """

    name: str
    upto: int = 0
    rotations: int = 0
    renewals: int = 0
    gaps: int = 0
    down_ms: int = 0
    longest_gap_ms: int = 0
    longest_gap_why: str = ""
    rotation_gap_ms: int | None = None
    down_since: Millis | None = None
    down_why: str = ""

    def down_until(self, now: Millis) -> int:
        """How long it was of no use until now."""
        return self.down_ms + (max(0, now - self.down_since) if self.down_since is not None else 0)

    def coverage(self, total_ms: int, now: Millis) -> Decimal | None:
        """The fraction of a run of ``total_ms`` in which it was of use, rounded down; ``None`` for a run without time."""
        return ratio_down(max(0, total_ms - self.down_until(now)), total_ms)


@dataclass(frozen=True)
class Streams:
    """The streams of a run's venue by name, and when they were last observed. There are none before the first observation."""

    at: Millis = Millis(0)
    runs: tuple[StreamRun, ...] = ()

    def of(self, name: str) -> StreamRun | None:
        """One stream."""
        return next((one for one in self.runs if one.name == name), None)

    def restarted(self, last_at: Millis) -> Streams:
        """As the next process finds them: it counts happenings anew, and since the last sample nobody knows what happened."""
        runs = tuple(
            replace(
                one,
                upto=0,
                down_since=last_at if one.down_since is None else one.down_since,
                down_why=one.down_why or "the controller was not running",
            )
            for one in self.runs
        )
        return replace(self, runs=runs)

    @property
    def rotations(self) -> int | None:
        """How many rotations every stream of the venue survived: the smallest number; ``None`` where there is no stream."""
        return min((one.rotations for one in self.runs), default=None)

    @property
    def renewals(self) -> int | None:
        """How many renewals of its listen key the private stream survived; ``None`` where there is no private stream."""
        private = self.of(PRIVATE)
        return private.renewals if private is not None else None

    @property
    def rotation_gap_ms(self) -> int | None:
        """The longest gap at a rotation of any stream; ``None`` before the first rotation."""
        return max((one.rotation_gap_ms for one in self.runs if one.rotation_gap_ms is not None), default=None)


def observed(before: Streams, lives: Iterable[StreamLife], started_at: Millis, now: Millis) -> Streams:
    """The streams of a run that began at ``started_at``, with what happened to them since ``before``."""
    runs = (_observed(before.of(life.name), life, started_at) for life in lives)
    return Streams(now, tuple(sorted(runs, key=lambda one: one.name)))


def _observed(before: StreamRun | None, life: StreamLife, started_at: Millis) -> StreamRun:
    run = before if before is not None else StreamRun(life.name)
    for one in life.happened:
        if one.number > run.upto:
            run = replace(_counted(run, one, started_at), upto=one.number)
    if life.down_since is None:
        return replace(run, down_since=None, down_why="")
    if run.down_since is not None:
        return run
    return replace(run, down_since=max(life.down_since, started_at), down_why=life.why)


def _counted(run: StreamRun, one: Happening, started_at: Millis) -> StreamRun:
    if one.at < started_at:
        return run
    match one.kind:
        case Kind.ROTATED:
            return replace(run, rotations=run.rotations + 1, rotation_gap_ms=max(run.rotation_gap_ms or 0, one.ms))
        case Kind.RENEWED:
            return replace(run, renewals=run.renewals + 1)
        case Kind.GAP:
            began = max(Millis(one.at - one.ms), started_at)
            # A gap that is known already may have begun in an earlier process.
            known = run.down_since is not None and run.down_since <= one.at
            if known and run.down_since is not None:
                began = min(began, run.down_since)
            lasted, why = one.at - began, (run.down_why if known else one.why)
            longest = lasted > run.longest_gap_ms
            return replace(
                run,
                gaps=run.gaps + 1,
                down_ms=run.down_ms + lasted,
                longest_gap_ms=max(run.longest_gap_ms, lasted),
                longest_gap_why=why if longest else run.longest_gap_why,
                down_since=None,
                down_why="",
            )
