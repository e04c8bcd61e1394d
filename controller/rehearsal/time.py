"""Virtual time: an event loop whose clock goes on only while everything waits, and the clock that is read from it.

While something can run, no time passes. When nothing can, the loop's time becomes that of the next timer. So hours are rehearsed in
as long as it takes to compute them, and a busy machine changes nothing in what happens.

What asks for a thread gets its work done at once, in the order in which it was asked (``run_in_executor``). Nothing else may reach
the loop from outside: it watches no socket.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import Executor, Future
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from controller.rehearsal.pipes import Pipes
from exchange.errors import GatehouseError
from exchange.model import Millis

P = ParamSpec("P")
T = TypeVar("T")

_NS = 1_000_000_000
_TURNS_AT_ONCE_MOST = 1_000_000
"""A rehearsal that works needs some hundreds at one instant."""
_ENDS_WITHIN_S = 600.0
"""In virtual time: what was cancelled and goes on all the same is left."""


class StandsStill(GatehouseError):
    """Everything waits for something that no timer brings."""

    def __init__(self) -> None:
        super().__init__(
            "the rehearsal stands still: everything waits, and no timer is set",
            code="rehearsal-stands-still",
            remedy="Look at the bot: in virtual time it may wait for time and for the gateway, and for nothing else.",
        )


class TimeStops(GatehouseError):
    """Something runs again and again without waiting, so that no time passes."""

    def __init__(self) -> None:
        super().__init__(
            f"the rehearsal's time does not go on: {_TURNS_AT_ONCE_MOST:,} turns of the loop, and something still wants to run",
            code="rehearsal-time-stops",
            remedy="Look at the bot: it has to wait with `port.sleep`; a loop over `asyncio.sleep(0)` lets no time pass.",
        )


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that skips every wait."""

    def __init__(self) -> None:
        super().__init__(_Skipping(self))
        self.passed_s = 0.0
        self.turns = 0
        self.pipes = Pipes(self)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.passed_s

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Executor | None,  # noqa: ARG002 - asyncio's signature
        func: Callable[..., T],
        *args: Any,
    ) -> asyncio.Future[T]:
        """Call ``func`` in the loop's next turn."""

        async def call() -> T:
            return func(*args)

        return self.create_task(call())

    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **_: Any) -> Any:
        """Listen at a path of this loop (``controller.rehearsal.pipes``)."""
        return self.pipes.listen(protocol_factory, str(path))

    async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **_: Any) -> Any:
        """Connect to a path of this loop."""
        return self.pipes.connect(protocol_factory, str(path))

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        """Nobody signals a part of a rehearsal; the whole process keeps its own handlers."""

    def remove_signal_handler(self, sig: int) -> bool:  # noqa: ARG002 - asyncio's signature
        """None was added."""
        return False

    def _write_to_self(self) -> None:
        """Nothing waits in the kernel for this loop."""


class _Skipping(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._at_once = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        loop.turns += 1
        if timeout is None:
            raise StandsStill
        if timeout > 0:
            loop.passed_s += timeout
            self._at_once = 0
        elif (turns := self._at_once + 1) > _TURNS_AT_ONCE_MOST:
            self._at_once = 0
            raise TimeStops
        else:
            self._at_once = turns
        return []


class VirtualClock:
    """``exchange.ports.Clock`` of a virtual loop: the wall clock begins at ``start``."""

    def __init__(self, loop: VirtualLoop, start: datetime) -> None:
        self._loop = loop
        self._start_ms = int(start.timestamp() * 1_000)
        self._read_at, self._ns = -1.0, 0

    def now(self) -> Millis:
        """Wall time, UTC."""
        return Millis(self._start_ms + self.monotonic_ns() // 1_000_000)

    def monotonic_ns(self) -> int:
        """The loop's time, rounded to microseconds: a sum of waits is not exact."""
        if self._read_at != (passed_s := self._loop.passed_s):
            # One second is not zero: parts of the controller take 0 for "never".
            self._read_at, self._ns = passed_s, _NS + round(passed_s * 1_000_000) * 1_000
        return self._ns


class AtOnce(Executor):
    """An executor without a thread: what is submitted is done when ``submit`` returns. It is for work on files."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it now."""
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except OSError as error:
            done.set_exception(error)
        return done


class NoThreads:
    """Stands where a controller has threads that watch its event loop (``controller.runtime.halt_threads``).

    They are for a loop that hangs, and a loop whose time stands still while it computes cannot hang for a while.
    """

    def __init__(self, **_: object) -> None:
        return

    def start(self) -> None:
        """Nothing is watched."""

    def stop(self) -> None:
        """Nothing was watched."""

    def practise_halt(self, command_id: str) -> None:
        """A drill of a stuck loop has nothing to practise here; it ends by its own time limit."""


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end, at most for some virtual minutes: a bot may go on all the same."""
    for task in tasks:
        task.cancel()
    if tasks:
        ended, _ = await asyncio.wait(tasks, timeout=_ENDS_WITHIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # It was raised already, or the rehearsal is over.


def run_virtually(work: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    """Run ``work`` on the loop to its end, and cancel what it leaves behind."""
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_raised)
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(end_tasks(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def _raised(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    loop.default_exception_handler(dict(context))
