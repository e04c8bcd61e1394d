"""Delivers alerts: each channel has a bounded queue and a thread of its own, so nothing that sends an alert ever waits (ADR 68).

``telemetry.alerts`` offers every alert, on whichever thread decided it. A lane takes the most severe notice first and tries again
until the channel takes it over. An attempt that does not end in time is left behind on its thread and counts as failed; at most
``MOST_LEFT_BEHIND`` attempts hang at once, and then the lane waits for one of them. A queue that is full drops the least severe
notice, counts it, and says so with the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Condition, Event, Thread

from controller.alerts.hours import QuietHours
from controller.alerts.notice import Channel, ChannelError, Notice, Source, notice_of
from controller.core.alert_catalogue import SEVERITY_ORDER, Severity, at_least, severity_of
from controller.core.effects import Alert, AlertKind
from exchange.model import Millis
from exchange.ports import Clock

END_WITHIN_S = 3.0
"""How long a process that ends waits for its channels, all together."""

MOST_QUEUED = 128
MOST_LEFT_BEHIND = 3
KEEP_MS = 24 * 3_600_000
"""A notice that could not be handed over for so long is dropped: by then it is in the list of `gatehouse alerts list`."""

_log = logging.getLogger("gatehouse.alerts")


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a lane is, in seconds. ``again_s``: the pauses between attempts, the last one for ever.

    ``failures``: after how many attempts in a row the channel counts as failing.
    """

    within_s: float = 10.0
    again_s: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0, 300.0)
    look_s: float = 15.0
    failures: int = 2


@dataclass(frozen=True, slots=True)
class Route:
    """A channel with what it gets: notices from ``floor`` on, that were escalated ``step`` times."""

    channel: Channel
    floor: Severity = Severity.INFO
    step: int = 0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the delivery says, each on a lane's thread: it took a notice over, it fails, it delivers again."""

    handed_over: Callable[[str, Notice], None] = lambda *_: None
    failing: Callable[[str, str], None] = lambda *_: None
    recovered: Callable[[str], None] = lambda *_: None


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as it is now, for people. Times are of this process; ``None``: not since it started.

    ``failing``: why it does not deliver, after several attempts; ``failed_because``: what the last failed attempt said.
    ``next_at``: when a queued notice is tried next, if it waits for its turn.
    """

    name: str
    floor: Severity
    step: int
    queued: int
    dropped: int
    failing: str
    delivered_at: Millis | None
    failed_at: Millis | None
    failed_because: str
    next_at: Millis | None


@dataclass(frozen=True, slots=True)
class _Queued:
    """A notice, and since when it waits. A wall clock that is corrected must neither drop it nor keep it for ever."""

    notice: Notice
    since_ns: int
    number: int


@dataclass(slots=True)
class _Attempt:
    ended: Event = field(default_factory=Event)
    error: ChannelError | None = None


class Lane:
    """One channel's queue and its thread. ``offer`` never waits."""

    def __init__(self, route: Route, clock: Clock, hours: QuietHours, pace: Pace, hooks: Hooks, most: int = MOST_QUEUED) -> None:
        self.route = route
        self._clock = clock
        self._hours = hours
        self._pace = pace
        self._hooks = hooks
        self._most = most
        self._queue: list[_Queued] = []
        self._changed = Condition()
        self._ending = self._hurried = False
        self._dropped = self._dropped_unsaid = self._offered = 0
        self._failures = 0
        self._failing = self._failed_because = ""
        self._delivered_at: Millis | None = None
        self._failed_at: Millis | None = None
        self._next_at: Millis | None = None
        self._left_behind: list[_Attempt] = []
        self._thread = Thread(target=self._run, name=f"alerts to {route.channel.name}", daemon=True)

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.route.channel.name

    @property
    def failing(self) -> str:
        """Why the channel does not deliver; empty while it does."""
        return self._failing

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def end(self, within_s: float) -> None:
        """Deliver what is queued for at most so long, then stop."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def wake(self) -> None:
        """Look again what is due: the clock or the hour has changed."""
        with self._changed:
            self._changed.notify_all()

    def offer(self, notice: Notice) -> None:
        """Queue a notice. When the queue is full, the least severe one is dropped and counted."""
        with self._changed:
            self._offered += 1
            self._queue.append(_Queued(notice, self._clock.monotonic_ns(), self._offered))
            self._hurried = self._hurried or notice.severity is Severity.CRITICAL
            if len(self._queue) > self._most:
                self._queue.remove(min(self._queue, key=_urgency))
                self._count_drop()
            self._changed.notify_all()

    def waiting(self) -> tuple[Notice, ...]:
        """What is queued now."""
        with self._changed:
            return tuple(one.notice for one in self._queue)

    def view(self) -> LaneView:
        """The lane for people."""
        with self._changed:
            return LaneView(
                self.name,
                self.route.floor,
                self.route.step,
                len(self._queue),
                self._dropped,
                self._failing,
                self._delivered_at,
                self._failed_at,
                self._failed_because,
                self._next_at if self._queue else None,
            )

    def _count_drop(self) -> None:
        self._dropped += 1
        self._dropped_unsaid += 1

    def _run(self) -> None:
        while True:
            notice = self._next()
            if notice is None:
                return
            error = self._try(replace(notice, dropped=self._dropped_unsaid))
            if error is None:
                self._taken(notice)
                continue
            self._failed(error)
            pause = self._pace.again_s[min(self._failures, len(self._pace.again_s)) - 1]
            with self._changed:
                if self._ending:
                    return
                self._next_at = Millis(self._clock.now() + int(pause * 1000))
                # A flood of alerts is no flood of attempts at a receiver that is in trouble. Only a critical one hurries.
                least = min(pause, self._pace.again_s[0])
                if not self._changed.wait_for(lambda: self._ending, least):
                    self._changed.wait_for(lambda: self._ending or self._hurried, pause - least)
                self._next_at = None

    def _next(self) -> Notice | None:
        """The most severe notice that is due, the oldest of them first; ``None`` at the end. It stays queued until taken over."""
        with self._changed:
            while True:
                self._forget_the_old()
                quiet = self._hours.quiet(self._clock.now())
                due = [one for one in self._queue if not (quiet and one.notice.severity is Severity.INFO)]
                if due:
                    self._hurried = False
                    return max(due, key=_urgency).notice
                if self._ending:
                    return None
                self._changed.wait(self._pace.look_s)

    def _forget_the_old(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for one in [one for one in self._queue if now_ns - one.since_ns > KEEP_MS * 1_000_000]:
            self._queue.remove(one)
            self._count_drop()

    def _try(self, notice: Notice) -> ChannelError | None:
        """One attempt on a thread of its own; ``None`` when the channel took the notice over."""
        self._left_behind = [one for one in self._left_behind if not one.ended.is_set()]
        if len(self._left_behind) >= MOST_LEFT_BEHIND:
            return ChannelError(
                f"{len(self._left_behind)} attempts hang", code="channel-hangs", remedy="Restart the service behind the channel."
            )
        attempt = _Attempt()
        Thread(target=self._attempt, args=(attempt, notice), name=f"an alert to {self.name}", daemon=True).start()
        if attempt.ended.wait(self._pace.within_s):
            return attempt.error
        self._left_behind.append(attempt)
        return ChannelError(
            f"no answer in {self._pace.within_s:g} s", code="channel-hangs", remedy="Restart the service behind the channel."
        )

    def _attempt(self, attempt: _Attempt, notice: Notice) -> None:
        try:
            self.route.channel.send(notice)
        except ChannelError as error:
            attempt.error = error
        except Exception as error:  # noqa: BLE001 - what an adapter lets through must not leave the lane waiting
            attempt.error = ChannelError(type(error).__name__, code="channel-failed", remedy="Report this error.")
        finally:
            attempt.ended.set()

    def _taken(self, notice: Notice) -> None:
        with self._changed:
            taken = next((one for one in self._queue if one.notice == notice), None)
            if taken is not None:
                self._queue.remove(taken)
            self._delivered_at = self._clock.now()
            self._dropped_unsaid = 0
            failing, self._failing, self._failures = self._failing, "", 0
        self._hooks.handed_over(self.name, notice)
        if failing:
            self._hooks.recovered(self.name)

    def _failed(self, error: ChannelError) -> None:
        with self._changed:
            self._failures += 1
            self._failed_at, self._failed_because = self._clock.now(), error.message
            begins = not self._failing and self._failures >= self._pace.failures
            if begins or self._failing:
                self._failing = error.message
        if begins:
            _log.error("an alert channel does not deliver", extra={"fields": {"channel": self.name, "why": error.message}})
            self._hooks.failing(self.name, error.message)


def _urgency(queued: _Queued) -> tuple[int, bool, int]:
    """The most severe first, a halt before everything, then the oldest."""
    notice = queued.notice
    return SEVERITY_ORDER.index(notice.severity), notice.kind is AlertKind.HALTED, -queued.number


def failing_title(channel: str) -> str:
    """The title of the alert about a channel that does not deliver."""
    return f"the alert channel {channel} does not deliver"


class Delivery:
    """All channels of a deployment. ``offer`` never waits and never raises."""

    def __init__(
        self,
        routes: Sequence[Route],
        source: Source,
        clock: Clock,
        *,
        hours: QuietHours | None = None,
        pace: Pace | None = None,
        hooks: Hooks | None = None,
        most: int = MOST_QUEUED,
    ) -> None:
        self._source = source
        self._clock = clock
        self._said = hooks or Hooks()
        inside = Hooks(handed_over=self._said.handed_over, failing=self._failing, recovered=self._said.recovered)
        self.lanes = tuple(Lane(one, clock, hours or QuietHours(), pace or Pace(), inside, most) for one in routes)

    def start(self) -> None:
        """Begin to deliver."""
        for lane in self.lanes:
            lane.start()

    def end(self, within_s: float) -> None:
        """Deliver what is queued, for at most so long for all channels together, then stop."""
        ends = [Thread(target=lane.end, args=(within_s,), daemon=True) for lane in self.lanes]
        for one in ends:
            one.start()
        for one in ends:
            one.join(within_s)

    def offer(self, alert: Alert) -> None:
        """Queue an alert for every channel that should get it."""
        notice = notice_of(alert, self._source, self._clock.now())
        for lane in self._lanes_for(notice):
            lane.offer(notice)

    def offer_again(self, alert: Alert, at: Millis, reached: Sequence[str]) -> None:
        """After a start: queue an alert of ``at`` for the channels that should have had it and did not take it over.

        ``alert.step`` counts the deadlines that passed: each channel gets the notice of its own step.
        """
        for lane in self.lanes:
            step = lane.route.step
            if lane.name not in reached and step <= alert.step and at_least(severity_of(alert.kind), lane.route.floor):
                notice = notice_of(replace(alert, step=step), self._source, at)
                if lane in self._others(notice):
                    lane.offer(notice)

    def views(self) -> tuple[LaneView, ...]:
        """The lanes for people."""
        return tuple(lane.view() for lane in self.lanes)

    def _lanes_for(self, notice: Notice) -> list[Lane]:
        wanted = [lane for lane in self._others(notice) if at_least(notice.severity, lane.route.floor)]
        chosen = [lane for lane in wanted if lane.route.step == notice.step]
        # No channel of this step delivers, or none has it: then it goes to all of them.
        stuck = all(lane.failing for lane in chosen)
        urgent = notice.severity is Severity.CRITICAL or notice.kind is AlertKind.CHANNEL
        return wanted if stuck and urgent else chosen

    def _others(self, notice: Notice) -> list[Lane]:
        """The lanes but for the one that a notice is about."""
        return [lane for lane in self.lanes if notice.kind is not AlertKind.CHANNEL or notice.title != failing_title(lane.name)]

    def _failing(self, name: str, why: str) -> None:
        """Hand what is critical, and in no lane that delivers, to the channels of later steps; then say that this one fails."""
        failed = next(lane for lane in self.lanes if lane.name == name)
        for notice in failed.waiting():
            if notice.severity is Severity.CRITICAL and not self._has_another(failed, notice):
                for lane in self.lanes:
                    if lane.route.step > notice.step and not lane.failing:
                        lane.offer(notice)
        self._said.failing(name, why)

    def _has_another(self, failed: Lane, notice: Notice) -> bool:
        return any(lane is not failed and not lane.failing and lane.route.step <= notice.step for lane in self.lanes)
