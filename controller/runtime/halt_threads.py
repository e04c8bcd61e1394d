"""The threads that halt a deployment without the event loop's help: liveness, the halt signal, the latch file.

``controller.runtime.assembly`` makes them. A halt that arrives on one of them suspends the permits there, and then goes to the
event loop, which cancels and records it. If the loop does not take it within a second, the writer counts as stuck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import get_native_id

from controller.runtime.followers.latchfile import LatchFile, LatchFileWatch, LatchMarkWriter
from controller.runtime.loop.immediate_halt import ImmediateHalt
from controller.runtime.loop.liveness import Liveness
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.starvation import Starvation
from exchange.ports import Clock

PRACTICE = "drill"
"""Who a suspension of a drill belongs to (``PermitOffice``)."""


class HaltThreads:
    """Both threads of one process. ``on_stuck`` is called once, on the liveness thread; the permits are suspended for good then.

    Make it on the event loop's thread.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        permits: PermitOffice,
        halt: ImmediateHalt,
        latch: LatchFile,
        latch_marks: LatchMarkWriter,
        loop_turn: Callable[[], int],
        last_decision: Callable[[], int],
        on_stuck: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._permits = permits
        self._halt = halt
        self._on_stuck = on_stuck
        self._loop: asyncio.AbstractEventLoop | None = None
        self._practice: tuple[str, int] = ("", 0)
        self._starvation = Starvation(get_native_id())
        self._liveness = Liveness(
            clock=clock,
            permits=permits,
            loop_turn=loop_turn,
            last_decision=last_decision,
            on_signal=lambda: self._asked("the signal SIGUSR1", "an operator sent SIGUSR1"),
            on_stuck=self._stuck,
            on_practice=self._practised,
            waited=self._starvation.waited_ns,
        )
        self._latch_watch = LatchFileWatch(latch, latch_marks, lambda reason: self._asked("the latch file", reason))

    def start(self) -> None:
        """Watch the running event loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._liveness.start()
        self._latch_watch.start()

    def stop(self) -> None:
        """Watch no more."""
        self._liveness.stop()
        self._latch_watch.stop()
        self._starvation.close()

    def practise_halt(self, command_id: str) -> None:
        """Practise, for a drill, the halt that needs nobody: on the watching thread, then on the loop, then in the writer.

        The permits stay suspended until the drill lifts them.
        """
        self._practice = (command_id, self._clock.monotonic_ns())
        self._liveness.practise()

    def _practised(self) -> None:
        assert self._loop is not None
        command_id, asked_ns = self._practice
        self._permits.suspend(PRACTICE, "a drill practises a halt")
        suspended_us = (self._clock.monotonic_ns() - asked_ns) // 1000
        self._liveness.halt_waits("a drill practises a halt")
        self._loop.call_soon_threadsafe(self._take_practised, command_id, suspended_us, asked_ns)

    def _take_practised(self, command_id: str, suspended_us: int, asked_ns: int) -> None:
        self._liveness.halt_taken()
        self._halt.practise(command_id, suspended_us, asked_ns)

    def _asked(self, by: str, reason: str) -> None:
        assert self._loop is not None
        self._halt.suspend(reason)
        self._liveness.halt_waits(reason)
        self._loop.call_soon_threadsafe(self._take, by, reason)

    def _take(self, by: str, reason: str) -> None:
        self._liveness.halt_taken()
        self._halt.tell(by, reason)

    def _stuck(self, reason: str) -> None:
        self._permits.suspend("stuck", reason)
        self._on_stuck(reason)
