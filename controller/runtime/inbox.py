"""The writer's inbox: three lanes, so that a halt overtakes everything and a flood of orders crowds out nothing but orders."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from controller.deciding.draft import Decision
from controller.inputs import HaltAsked, Input, OrderRequested, Submitted
from exchange.errors import Refused
from policies.authority import Verb

_STOPPING = frozenset({Verb.HALT, Verb.VETO, Verb.REVOKE, Verb.REVOKE_BOT_KEY, Verb.DRILL})
"""The verbs that must not come a tick too late; and a drill, which is to be as quick as what it practises."""


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """One input on its way, when it became known (monotonic nanoseconds), and who waits for its decision."""

    input: Input
    known_ns: int
    answer: asyncio.Future[Decision] | None


class InboxFull(Refused):
    """Nothing was decided: there is no room. Ask again in a second."""

    def __init__(self) -> None:
        super().__init__("the controller's inbox is full", code="inbox-full", remedy="Send fewer orders at once.")


class Inbox:
    """What stops something first, signed or not, then what venues and the clock report, then what bots and operators ask.

    Only orders are bounded.
    """

    def __init__(self, bound: int = 1024) -> None:
        self._bound = bound
        self._urgent: deque[Letter] = deque()
        self._facts: deque[Letter] = deque()
        self._requests: deque[Letter] = deque()
        self._something = asyncio.Event()

    def fact(self, given: Input, known_ns: int) -> None:
        """Something happened; it is never dropped."""
        (self._urgent if _stops(given) else self._facts).append(Letter(given, known_ns, None))
        self._something.set()

    def request(self, given: Input, known_ns: int) -> asyncio.Future[Decision]:
        """Somebody asks and waits. Raises ``InboxFull`` when there is no room for an order; everything else always has room."""
        if isinstance(given, OrderRequested) and len(self._requests) >= self._bound:
            raise InboxFull
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        (self._urgent if _stops(given) else self._requests).append(Letter(given, known_ns, answer))
        self._something.set()
        return answer

    async def take(self, most: int) -> list[Letter]:
        """Wait for something, then take up to ``most`` letters, the most urgent first."""
        await self._something.wait()
        taken: list[Letter] = []
        for lane in (self._urgent, self._facts, self._requests):
            while lane and len(taken) < most:
                taken.append(lane.popleft())
        if not (self._urgent or self._facts or self._requests):
            self._something.clear()
        return taken


def _stops(given: Input) -> bool:
    return isinstance(given, HaltAsked) or (isinstance(given, Submitted) and given.verified.command.verb in _STOPPING)
