"""The writer's inbox: three lanes, so that a halt overtakes everything and a flood of orders crowds out nothing but orders.

It belongs to the thread that made it, the event loop's. ``asyncio.Event`` and the lanes are not safe between threads: a wake-up
that is lost there is lost for good, and the writer sleeps on. So every call from another thread is refused.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from controller.core.decisions.draft import Decision
from controller.core.inputs import HaltAsked, Input, OrderRequested, CommandSubmitted
from exchange.errors import DeadlineExceeded, GatehouseError, Refused
from policies.authority import Verb

_STOPPING = frozenset({Verb.HALT, Verb.VETO, Verb.REVOKE, Verb.REVOKE_BOT_KEY, Verb.DRILL})
"""The verbs that must not come a tick too late; and a drill, which is to be as quick as what it practises."""


@dataclass(frozen=True, slots=True, eq=False)
class QueuedInput:
    """One input on its way, when it became known (monotonic nanoseconds), and who waits for its decision."""

    input: Input
    known_ns: int
    answer: asyncio.Future[Decision] | None


class InboxFull(Refused):
    """Nothing was decided: there is no room. Ask again in a second."""

    def __init__(self) -> None:
        super().__init__("the controller's inbox is full", code="inbox-full", remedy="Send fewer orders at once.")


class WrongThread(GatehouseError):
    """Code on another thread touched what belongs to the event loop's thread. Nothing was put in or taken out."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was used from thread {threading.current_thread().name}, which is not the event loop's",
            code="wrong-thread",
            remedy="Call it from a coroutine, or through the loop's `call_soon_threadsafe`. Report this as a defect of gatehouse.",
        )


class Undecided(DeadlineExceeded):
    """No decision came in time. ``withdrawn``: the request is taken back and will never be decided; else it may still be."""

    def __init__(self, within_s: float, *, withdrawn: bool) -> None:
        became = "the request is withdrawn, nothing was decided" if withdrawn else "the request may still be decided"
        super().__init__(
            f"the controller did not decide within {within_s:g} s; {became}",
            code="undecided",
            remedy="Look at `gatehouse status` and at the controller's log, then ask again.",
        )
        self.withdrawn = withdrawn


class Inbox:
    """What stops something first, signed or not, then what venues and the clock report, then what bots and operators ask.

    Only orders are bounded.
    """

    def __init__(self, bound: int = 1024) -> None:
        self._bound = bound
        self._urgent: deque[QueuedInput] = deque()
        self._facts: deque[QueuedInput] = deque()
        self._requests: deque[QueuedInput] = deque()
        self._something = asyncio.Event()
        self._on_stop: Callable[[], None] | None = None
        self._owner = threading.get_ident()

    def on_stop(self, told: Callable[[], None]) -> None:
        """Call ``told`` the moment something that stops arrives, before anybody takes it."""
        self._on_stop = told

    def fact(self, given: Input, known_ns: int) -> None:
        """Something happened; it is never dropped."""
        self._put(QueuedInput(given, known_ns, None), self._facts)

    def request(self, given: Input, known_ns: int) -> asyncio.Future[Decision]:
        """Somebody asks and waits. Raises ``InboxFull`` when there is no room for an order; everything else always has room."""
        self._check_thread()
        if isinstance(given, OrderRequested) and len(self._requests) >= self._bound:
            raise InboxFull
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._put(QueuedInput(given, known_ns, answer), self._requests)
        return answer

    async def ask(self, given: Input, known_ns: int, within_s: float) -> Decision:
        """As ``request``, waiting at most ``within_s`` seconds for the decision.

        What stops something is never withdrawn: it is decided as soon as the writer can.

        Raises:
            InboxFull: there is no room for an order.
            Undecided: the writer did not answer in time.
            GatehouseError: what the writer answered.
        """
        answer = self.request(given, known_ns)
        try:
            await asyncio.wait({answer}, timeout=within_s)
            if not answer.done():
                raise Undecided(within_s, withdrawn=not _stops(given) and self._withdraw(answer))
            return answer.result()
        finally:
            answer.cancel()

    def _withdraw(self, answer: asyncio.Future[Decision]) -> bool:
        letter = next((one for one in self._requests if one.answer is answer), None)
        if letter is not None:
            self._requests.remove(letter)
        return letter is not None

    def take_stops(self) -> list[QueuedInput]:
        """What stops something and has not been taken yet; does not wait."""
        self._check_thread()
        taken = list(self._urgent)
        self._urgent.clear()
        if not (self._facts or self._requests):
            self._something.clear()
        return taken

    def _put(self, letter: QueuedInput, lane: deque[QueuedInput]) -> None:
        self._check_thread()
        stops = _stops(letter.input)
        (self._urgent if stops else lane).append(letter)
        self._something.set()
        if stops and self._on_stop is not None:
            self._on_stop()

    async def take(self, most: int) -> list[QueuedInput]:
        """Wait for something, then take up to ``most`` letters, the most urgent first."""
        self._check_thread()
        await self._something.wait()
        taken: list[QueuedInput] = []
        for lane in (self._urgent, self._facts, self._requests):
            while lane and len(taken) < most:
                taken.append(lane.popleft())
        if not (self._urgent or self._facts or self._requests):
            self._something.clear()
        return taken

    def _check_thread(self) -> None:
        if threading.get_ident() != self._owner:
            raise WrongThread("the inbox")


def _stops(given: Input) -> bool:
    return isinstance(given, HaltAsked) or (isinstance(given, CommandSubmitted) and given.verified.command.verb in _STOPPING)
