"""What a controller takes from the process it runs in: what makes it tick, threads beside the event loop, and chance.

``gatehouse run`` has a real process (``PROCESS``). A rehearsal in virtual time has one event loop, no threads and a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Protocol

from controller.runtime.halt_threads import HaltThreads
from controller.runtime.loop.schedule import StartTicking, start_ticking


class Threads(Protocol):
    """The threads that halt without the event loop's help (``controller.runtime.halt_threads``)."""

    def start(self) -> None:
        """Watch the running event loop."""
        ...

    def stop(self) -> None:
        """Watch no more."""
        ...

    def practise_halt(self, command_id: str) -> None:
        """Practise a halt of the watching thread, for a drill."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``start_ticking`` calls a function four times a second; ``rng`` makes nonces, ids of commands and the jitter of waits."""

    start_ticking: StartTicking = start_ticking
    halt_threads: Callable[..., Threads] = HaltThreads
    rng: Random = field(default_factory=SystemRandom)

    def token(self, size: int) -> str:
        """That many bytes of chance, as hexadecimal digits."""
        return self.rng.randbytes(size).hex()


PROCESS = Surroundings()
"""The surroundings of a process of its own."""
