"""The writer's inbox: three lanes, so that a stop overtakes every other input and a flood of orders delays only orders.

The ports of bots and operators, the venues, the feeds and the clock put inputs in; the writer takes them out. An inbox belongs to
the event loop's thread that made it. ``asyncio.Event`` and the lanes are not safe between threads: a wake-up lost there would leave
the writer asleep. So every call from another thread is refused.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from controller.core.decisions.draft import Decision
from controller.core.inputs import CommandSubmitted, HaltAsked, HaltPractised, Input, OrderRequested
from exchange.errors import DeadlineExceeded, Refused
from exchange.threads import OwnThread
from policies.authority import Verb

_STOPPING = frozenset({Verb.HALT, Verb.VETO, Verb.REVOKE, Verb.REVOKE_BOT_KEY, Verb.DRILL})
"""The verbs that stop something, and a drill, which must be as quick as the halt that it practises."""


@dataclass(frozen=True, slots=True, eq=False)
class QueuedInput:
    """One input in the inbox, when it became known (monotonic nanoseconds), and the future of the caller that waits for it."""

    input: Input
    known_ns: int
    answer: asyncio.Future[Decision] | None


class InboxFull(Refused):
    """The inbox holds its maximum of requests. Nothing was decided; send the order again in a second."""

    def __init__(self) -> None:
        super().__init__(
            "the controller's inbox is full",
            code="inbox-full",
            remedy="Send the order again in a second, and send fewer orders at once.",
        )


class Undecided(DeadlineExceeded):
    """No decision came in time. ``withdrawn``: the request was removed and is never decided; otherwise it may still be decided."""

    def __init__(self, within_s: float, *, withdrawn: bool) -> None:
        outcome = "the request is withdrawn, nothing was decided" if withdrawn else "the request may still be decided"
        super().__init__(
            f"the controller did not decide within {within_s:g} s; {outcome}",
            code="undecided",
            remedy="Read `gatehouse status` and the controller's log, then ask again.",
        )
        self.withdrawn = withdrawn


class Inbox:
    """First the stops, signed or not, then the facts of venues and the clock, then the requests of bots and operators.

    Only orders are bounded: an order is refused while ``bound`` requests wait.
    """

    def __init__(self, bound: int = 1024) -> None:
        self._bound = bound
        self._stops: deque[QueuedInput] = deque()
        self._facts: deque[QueuedInput] = deque()
        self._requests: deque[QueuedInput] = deque()
        self._not_empty = asyncio.Event()
        self._on_stop: Callable[[], None] | None = None
        self._thread = OwnThread("the inbox")

    def on_stop(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` as soon as a stop arrives, before it is taken. The writer of a leased journal uses it."""
        self._on_stop = notify

    def fact(self, input_: Input, known_ns: int) -> None:
        """Queue something that happened. It is never dropped and has no caller to answer."""
        self._put(QueuedInput(input_, known_ns, None), self._facts)

    def request(self, input_: Input, known_ns: int) -> asyncio.Future[Decision]:
        """Queue what a caller asks; the future gets the decision. Raises ``InboxFull`` for an order that is one too many."""
        self._thread.check()
        if isinstance(input_, OrderRequested) and len(self._requests) >= self._bound:
            raise InboxFull
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._put(QueuedInput(input_, known_ns, answer), self._requests)
        return answer

    async def ask(self, input_: Input, known_ns: int, within_s: float) -> Decision:
        """As ``request``, waiting at most ``within_s`` seconds for the decision.

        A stop is never withdrawn: the writer decides it as soon as it can.

        Raises:
            InboxFull: the inbox already holds its maximum of requests, and this is an order.
            Undecided: the writer did not answer in time.
            GatehouseError: what the writer answered.
        """
        answer = self.request(input_, known_ns)
        try:
            await asyncio.wait({answer}, timeout=within_s)
            if not answer.done():
                raise Undecided(within_s, withdrawn=not _is_stop(input_) and self._withdraw(answer))
            return answer.result()
        finally:
            answer.cancel()

    def _withdraw(self, answer: asyncio.Future[Decision]) -> bool:
        queued = next((one for one in self._requests if one.answer is answer), None)
        if queued is not None:
            self._requests.remove(queued)
        return queued is not None

    def take_stops(self) -> list[QueuedInput]:
        """Take every stop that is queued, without waiting."""
        self._thread.check()
        taken = list(self._stops)
        self._stops.clear()
        if not (self._facts or self._requests):
            self._not_empty.clear()
        return taken

    def _put(self, queued: QueuedInput, lane: deque[QueuedInput]) -> None:
        self._thread.check()
        stop = _is_stop(queued.input)
        (self._stops if stop else lane).append(queued)
        self._not_empty.set()
        if stop and self._on_stop is not None:
            self._on_stop()

    async def take(self, most: int) -> list[QueuedInput]:
        """Wait for an input, then take up to ``most``, stops first and requests last."""
        self._thread.check()
        await self._not_empty.wait()
        taken: list[QueuedInput] = []
        for lane in (self._stops, self._facts, self._requests):
            while lane and len(taken) < most:
                taken.append(lane.popleft())
        if not (self._stops or self._facts or self._requests):
            self._not_empty.clear()
        return taken


def _is_stop(input_: Input) -> bool:
    return isinstance(input_, HaltAsked | HaltPractised) or (
        isinstance(input_, CommandSubmitted) and input_.verified.command.verb in _STOPPING
    )
