"""Counts what durable batches did, for the metrics. Nothing waits for it. ``bootstrap.metrics`` adds it to the writer."""

from __future__ import annotations

from controller.core import events as e
from controller.runtime.loop.writer import CommittedBatch
from controller.telemetry import instruments as i
from controller.telemetry.book import Book
from exchange.orders import TERMINAL
from policies.authority import Verb
from policies.stage import Stage

MOST_ORDERS = 10_000
"""Of so many orders that are not settled the duration is measured."""

_UNREADABLE = "unreadable"
_VERBS = frozenset(verb.value for verb in Verb)


class Counting:
    """One process's counts since its start."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._admitted_ns: dict[str, int] = {}
        self._answered: set[str] = set()

    def on_batch(self, batch: CommittedBatch) -> None:
        """Count the events of a durable batch and how long it took."""
        self._book.took(i.DECIDING, batch.decided_ns - batch.began_ns)
        if batch.entries:
            self._book.took(i.APPENDING, batch.durable_ns - batch.decided_ns)
        for _, event in batch.entries:
            self._count_order(event, batch.durable_ns)
            self._count_lifecycle(event)
            self._count_check(event)

    def _count_order(self, event: e.Event, now_ns: int) -> None:
        add = self._book.add
        match event:
            case e.OrderAdmitted():
                add(i.ORDERS_ADMITTED, event.venue.value)
                if len(self._admitted_ns) < MOST_ORDERS:
                    self._admitted_ns[event.client_id] = now_ns
            case e.OrderDenied():
                add(i.ORDERS_DENIED, event.rule)
            case e.OrdersDeniedAgain():
                add(i.ORDERS_DENIED, event.rule, amount=event.count)
            case e.OrderAcked():
                self._answer(event.client_id, "acknowledged", now_ns)
            case e.OrderUnknown():
                add(i.ORDERS_UNKNOWN)
                self._answer(event.client_id, "unknown", now_ns)
            case e.OrderRejected():
                self._answer(event.client_id, "rejected", now_ns)
                self._end(event.client_id, "REJECTED", now_ns)
            case e.OrderReported(status=status) if status in TERMINAL:
                self._end(event.client_id, status.value, now_ns)
            case e.FillBooked():
                add(i.FILLS, event.venue.value)
            case _:
                return

    def _answer(self, client_id: str, outcome: str, now_ns: int) -> None:
        admitted = self._admitted_ns.get(client_id)
        if admitted is not None and client_id not in self._answered:
            self._answered.add(client_id)
            self._book.took(i.ORDER_ANSWERED, now_ns - admitted, outcome)

    def _end(self, client_id: str, outcome: str, now_ns: int) -> None:
        self._answered.discard(client_id)
        self._book.add(i.ORDERS_ENDED, outcome)
        if (admitted := self._admitted_ns.pop(client_id, None)) is not None:
            self._book.took(i.ORDER_SETTLED, now_ns - admitted, outcome)

    def _count_lifecycle(self, event: e.Event) -> None:
        add = self._book.add
        match event:
            case e.StageChanged():
                add(i.STAGE_CHANGES, event.stage.value)
                if event.stage is Stage.HALTED:
                    add(i.HALTS, event.cause.value)
            case e.HaltMeasured():
                self._halted(event.breach_to_latch_us, event.latch_to_cancelled_us)
            case e.CommandAccepted():
                add(i.COMMANDS, event.verb.value, "accepted")
            case e.CommandPending():
                add(i.COMMANDS, event.verb.value, "waiting")
            case e.CommandRefused():
                add(i.COMMANDS, event.verb if event.verb in _VERBS else _UNREADABLE, "refused")
            case e.EvidenceSealed():
                add(i.GATES, event.gate, event.verdict)
            case _:
                return

    def _halted(self, latch_us: int, cancel_us: int) -> None:
        """Note the durations of a halt; -1 stands for a step that was not reached."""
        for instrument, micros in ((i.HALT_LATCH, latch_us), (i.HALT_CANCEL, cancel_us)):
            if micros >= 0:
                self._book.took(instrument, micros * 1000)

    def _count_check(self, event: e.Event) -> None:
        add = self._book.add
        match event:
            case e.BreachDetected():
                add(i.BREACHES, event.guard, event.level)
            case e.Reconciled():
                result = "clean" if event.clean else "broken" if event.breaks else "suspected"
                add(i.RECONCILIATIONS, event.venue.value, result, amount=event.count)
            case e.DrillFinished():
                add(i.DRILLS, event.drill.value, "passed")
            case e.DrillFailed():
                add(i.DRILLS, event.drill.value, "failed")
            case _:
                return
