"""Orders that are denied before the writer sees them: each is counted, and the writer journals the first and then a count a minute.

``runtime.api.bots`` denies an order at once while no order may leave, or while the signer would not sign it. The writer may be what
is stuck then, so nothing waits for it here: the first denial of a bot by a rule is queued as a fact, and those that follow are a
number in memory. They are queued together after a minute, and only when the writer has made a batch, so a writer that hangs
gets at most one of a kind (ADR 56).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.core.decisions.refusals import COUNT_MS, fact_of
from controller.core.inputs import DeniedEarly
from controller.core.state import State
from controller.runtime.loop.inbox import Inbox
from exchange.model import Millis, OrderIntent
from exchange.ports import Clock
from policies.limit_types import Deny

JUDGED_COUNT_MS = 1_000
"""How long they are counted while a gate compares how many orders were denied: a process that is killed loses what it counted."""


@dataclass(slots=True)
class _Counted:
    """The denials of one bot by one rule. ``queued_ns``: when the writer last got one. ``count`` of them came from ``since`` on."""

    queued_ns: int
    count: int = 0
    since: Millis = Millis(0)
    newest: tuple[OrderIntent, Deny] | None = None


class EarlyDenials:
    """Counts them. There are as many kinds as bots with a key, times two rules."""

    def __init__(self, state: Callable[[], State], inbox: Inbox, clock: Clock) -> None:
        self._state = state
        self._inbox = inbox
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Counted] = {}

    @property
    def pending(self) -> int:
        """How many are counted and not queued for the journal yet."""
        return sum(one.count for one in self._kinds.values())

    def note(self, bot: str, intent: OrderIntent, denial: Deny) -> None:
        """An order of ``bot`` was denied now."""
        now_ns, name = self._clock.monotonic_ns(), (bot, str(denial.rule))
        kind = self._kinds.get(name)
        if kind is None or (not kind.count and now_ns - kind.queued_ns >= self._count_ns):
            self._kinds[name] = _Counted(now_ns)
            self._inbox.fact(DeniedEarly(bot, intent, denial), now_ns)
            return
        kind.since = kind.since if kind.count else self._clock.now()
        kind.count, kind.newest = kind.count + 1, (intent, denial)

    def queue_due(self) -> None:
        """Queue what was counted for long enough. Call it after every batch of the writer."""
        now_ns = self._clock.monotonic_ns()
        for name, kind in self._kinds.items():
            if kind.count and now_ns - kind.queued_ns >= self._count_ns:
                self._inbox.fact(_joined(name[0], kind), now_ns)
                self._kinds[name] = _Counted(now_ns)

    @property
    def _count_ns(self) -> int:
        return (JUDGED_COUNT_MS if fact_of(self._state()) is None else COUNT_MS) * 1_000_000

    def take(self) -> tuple[DeniedEarly, ...]:
        """Everything that was counted and not queued, for the last batch of a process that ends."""
        taken = tuple(_joined(bot, kind) for (bot, _), kind in self._kinds.items() if kind.count)
        self._kinds.clear()
        return taken


def _joined(bot: str, kind: _Counted) -> DeniedEarly:
    assert kind.newest is not None
    return DeniedEarly(bot, *kind.newest, again=kind.count, since=kind.since)
