"""Watches the writer and the event loop from a thread of its own, and stops what they can no longer stop (architecture.md §4).

``controller.runtime.assembly`` makes one ``Liveness`` for each process. It reads two instants: when the loop last had a turn, and
when the writer last decided a tick. Both move four times a second while all is well.

    ``SUSPEND_AFTER_NS`` without progress: no permit counts, so no order leaves. It ends by itself when progress resumes.
    ``STUCK_AFTER_NS`` without progress, or a halt that the loop does not take within ``HALT_TAKEN_WITHIN_NS``: the writer is stuck.
        ``on_stuck`` is called once, on this thread, and ends the process. Time in which the loop's thread waited for a processor
        does not count here, because on an overloaded machine it is slow and not stuck; but after ``STARVED_AFTER_NS`` it ends too.

Only time that this thread was awake counts, so a suspended machine is not stuck.

SIGUSR1 reaches this thread although the event loop is blocked: the process keeps that signal pending (``block_halt_signal``), and
this thread takes it.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event, Thread

from controller.runtime.loop.permit import PermitOffice
from exchange.ports import Clock

POLL_S = 0.1
_MOST_COUNTED_NS = 500_000_000
"""How much of the time between two polls counts: a thread that was not awake has seen nothing."""

SUSPEND_AFTER_NS = 2_000_000_000
STUCK_AFTER_NS = 5_000_000_000
STARVED_AFTER_NS = 30_000_000_000
HALT_TAKEN_WITHIN_NS = 1_000_000_000
HALT_SIGNAL = signal.SIGUSR1

WHO = "liveness"
"""Who a suspension of this thread belongs to (``PermitOffice``)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """One instant that must move on: its last value, and for how long this thread has seen it stand still, in nanoseconds.

    ``stuck_ns`` is the part of it in which the loop's thread did not wait for a processor.
    """

    at_ns: int
    still_ns: int = 0
    stuck_ns: int = 0

    @property
    def is_stuck(self) -> bool:
        """Whether nothing can be expected of it any more."""
        return self.stuck_ns >= STUCK_AFTER_NS or self.still_ns >= STARVED_AFTER_NS

    def observed(self, at_ns: int, awake_ns: int, waited_ns: int) -> Watched:
        """What is known after one more poll, ``awake_ns`` after the one before, of which the loop waited ``waited_ns``."""
        if at_ns != self.at_ns:
            return Watched(at_ns)
        return replace(self, still_ns=self.still_ns + awake_ns, stuck_ns=self.stuck_ns + max(0, awake_ns - waited_ns))


@contextmanager
def block_halt_signal() -> Iterator[None]:
    """Keep SIGUSR1 pending until the liveness thread takes it. Enter it on the main thread before any other thread starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {HALT_SIGNAL})
    try:
        yield
    finally:
        if HALT_SIGNAL not in before:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {HALT_SIGNAL})


class Liveness:
    """The watching thread. ``loop_turn`` and ``last_decision`` are read on it and return monotonic nanoseconds."""

    def __init__(
        self,
        *,
        clock: Clock,
        permits: PermitOffice,
        loop_turn: Callable[[], int],
        last_decision: Callable[[], int],
        on_signal: Callable[[], None],
        on_stuck: Callable[[str], None],
        on_practice: Callable[[], None] = lambda: None,
        waited: Callable[[], int] = lambda: 0,
    ) -> None:
        """``on_practice`` is called on this thread after ``practise``. ``waited``: how long the loop's thread has waited, in ns."""
        self._clock = clock
        self._permits = permits
        self._instants = {"the event loop": loop_turn, "the writer": last_decision}
        self._on_signal = on_signal
        self._on_stuck = on_stuck
        self._on_practice = on_practice
        self._waited = waited
        self._waited_ns = waited()
        self._practice = Event()
        self._watched: dict[str, Watched] = {}
        self._polled_ns = clock.monotonic_ns()
        self._halt_waits: str | None = None
        self._halt_waits_ns = 0
        self._fired = False
        self._ending = Event()
        self._thread = Thread(target=self._run, name="liveness", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more. Returns when the thread has ended."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def halt_waits(self, reason: str) -> None:
        """A halt was asked for on another thread, and the event loop must take it. Any thread may call it."""
        if self._halt_waits is None:
            self._halt_waits, self._halt_waits_ns = reason, 0

    def halt_taken(self) -> None:
        """The event loop has taken the halt: it is latched, and its cancels have begun."""
        self._halt_waits = None

    def practise(self) -> None:
        """Practise a halt on this thread, for a drill. Any thread may call it; a halt signal stays a real halt."""
        self._practice.set()

    def poll(self) -> None:
        """Look once, and act on what is seen. The thread calls it ten times a second."""
        now = self._clock.monotonic_ns()
        awake_ns = min(max(0, now - self._polled_ns), _MOST_COUNTED_NS)
        self._polled_ns = now
        before, self._waited_ns = self._waited_ns, self._waited()
        waited_ns = self._waited_ns - before
        for name, instant in self._instants.items():
            at_ns = instant()
            self._watched[name] = self._watched.get(name, Watched(at_ns)).observed(at_ns, awake_ns, waited_ns)
        name, worst = max(self._watched.items(), key=lambda one: one[1].still_ns)
        if worst.still_ns < SUSPEND_AFTER_NS:
            self._permits.lift(WHO)
        else:
            self._permits.suspend(WHO, f"{name} has made no progress for {worst.still_ns // 1_000_000} ms")
        if worst.is_stuck:
            self._fire(f"{name} has made no progress for {worst.still_ns // 1_000_000} ms")
        if (reason := self._halt_waits) is not None:
            self._halt_waits_ns += awake_ns
            if self._halt_waits_ns >= HALT_TAKEN_WITHIN_NS:
                self._fire(f"the event loop did not take a halt ({reason})")

    def _fire(self, reason: str) -> None:
        if not self._fired:
            self._fired = True
            self._on_stuck(reason)

    def _run(self) -> None:
        while not self._ending.wait(POLL_S):
            try:
                # Not sigtimedwait: after a SIGCONT, Python 3.11 returns from it as if a signal had come.
                if HALT_SIGNAL in signal.sigpending():
                    signal.sigwait({HALT_SIGNAL})
                    self._on_signal()
                if self._practice.is_set():
                    self._practice.clear()
                    self._on_practice()
                self.poll()
            except Exception:
                # This thread must outlive its own defects: it is the last one that can stop orders.
                _log.exception("the liveness thread failed once")
