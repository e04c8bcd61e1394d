"""Stops orders the moment a halt is asked for; the writer records it afterwards. ``controller.runtime.assembly`` makes one.

A halt needs nobody: not the writer, which may be busy, and not the journal, whose disk may hang. So who asks for it suspends the
permits and starts the cancels, and only then puts the halt into the writer's inbox. The suspension ends when the halt is durable,
because then the writer's own latch holds.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.core.decisions.draft import Decision
from controller.core.inputs import HaltAsked, HaltPractised
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import CommittedBatch
from exchange.ports import Clock
from policies.stage import Stage

DECIDED_WITHIN_S = 2.0
"""How long who asks waits for the writer. Orders are stopped before, so more patience gains nothing."""

_WHO = "halt"


class ImmediateHalt:
    """One halt at a time, for the operators' port, the latch file and the halt signal."""

    def __init__(
        self,
        *,
        permits: PermitOffice,
        inbox: Inbox,
        clock: Clock,
        record: Callable[[str], None],
        cancel_now: Callable[[str], None],
    ) -> None:
        """``record`` writes the latch file without waiting; ``cancel_now`` starts to cancel every open order, on the loop."""
        self._permits = permits
        self._inbox = inbox
        self._clock = clock
        self._record = record
        self._cancel_now = cancel_now
        self._undecided: tuple[HaltAsked, int] | None = None

    def suspend(self, reason: str) -> None:
        """Let no order leave from now on. Any thread may call it."""
        self._permits.suspend(_WHO, f"a halt is not recorded yet: {reason}")

    async def ask(self, by: str, reason: str) -> Decision:
        """Halt now, and return what the writer decided.

        Raises:
            Undecided: orders are stopped and being cancelled, but the writer did not record the halt in time.
            GatehouseError: what the writer answered.
        """
        request, known_ns = self._stop(by, reason)
        return await self._inbox.ask(request, known_ns, DECIDED_WITHIN_S)

    def tell(self, by: str, reason: str) -> None:
        """Halt now, without waiting for the writer. Only the loop's thread may call it."""
        request, known_ns = self._stop(by, reason)
        self._inbox.fact(request, known_ns)

    def practise(self, command_id: str, suspended_us: int, asked_ns: int) -> None:
        """Cancel now, for a drill whose thread has suspended the permits; the writer latches afterwards. On the loop only."""
        self._cancel_now("a halt drill is running")
        self._inbox.fact(HaltPractised(command_id, suspended_us), asked_ns)

    def on_batch(self, batch: CommittedBatch) -> None:
        """Once the halt is durable the writer's latch holds, and the suspension ends.

        A halt of a HALTED deployment changes nothing, and a resume in the same batch is decided after it. Then it is asked for
        again: otherwise the deployment would be armed and no permit would ever count.
        """
        if batch.after.position.stage is Stage.HALTED:
            self._permits.lift(_WHO)
            self._undecided = None
        elif self._undecided is not None and batch.began_ns > self._undecided[1]:
            self._inbox.fact(*self._undecided)

    def _stop(self, by: str, reason: str) -> tuple[HaltAsked, int]:
        known_ns = self._clock.monotonic_ns()
        self._undecided = undecided = HaltAsked(by=by, reason=reason), known_ns
        self.suspend(reason)
        self._record(reason)
        self._cancel_now(reason)
        return undecided
