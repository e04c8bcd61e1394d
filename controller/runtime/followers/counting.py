"""Counts what durable batches did, for the metrics. Nothing waits for it. ``bootstrap.metrics`` adds it to the writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

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
            if (count := self._COUNTS.get(type(event))) is not None:
                count(self, event, batch.durable_ns)

    def _admitted(self, event: e.OrderAdmitted, now_ns: int) -> None:
        self._book.add(i.ORDERS_ADMITTED, event.venue.value)
        if len(self._admitted_ns) < MOST_ORDERS:
            self._admitted_ns[event.client_id] = now_ns

    def _denied(self, event: e.OrderDenied, _: int) -> None:
        self._book.add(i.ORDERS_DENIED, event.rule)

    def _denied_again(self, event: e.OrdersDeniedAgain, _: int) -> None:
        self._book.add(i.ORDERS_DENIED, event.rule, amount=event.count)

    def _acked(self, event: e.OrderAcked, now_ns: int) -> None:
        self._answer(event.client_id, "acknowledged", now_ns)

    def _unknown(self, event: e.OrderUnknown, now_ns: int) -> None:
        self._book.add(i.ORDERS_UNKNOWN)
        self._answer(event.client_id, "unknown", now_ns)

    def _rejected(self, event: e.OrderRejected, now_ns: int) -> None:
        self._answer(event.client_id, "rejected", now_ns)
        self._end(event.client_id, "REJECTED", now_ns)

    def _reported(self, event: e.OrderReported, now_ns: int) -> None:
        if event.status in TERMINAL:
            self._end(event.client_id, event.status.value, now_ns)

    def _filled(self, event: e.FillBooked, _: int) -> None:
        self._book.add(i.FILLS, event.venue.value)

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

    def _moved(self, event: e.StageChanged, _: int) -> None:
        self._book.add(i.STAGE_CHANGES, event.stage.value)
        if event.stage is Stage.HALTED:
            self._book.add(i.HALTS, event.cause.value)

    def _halted(self, event: e.HaltMeasured, _: int) -> None:
        """Note the durations of a halt; -1 stands for a step that was not reached."""
        for instrument, micros in ((i.HALT_LATCH, event.breach_to_latch_us), (i.HALT_CANCEL, event.latch_to_cancelled_us)):
            if micros >= 0:
                self._book.took(instrument, micros * 1000)

    def _accepted(self, event: e.CommandAccepted, _: int) -> None:
        self._book.add(i.COMMANDS, event.verb.value, "accepted")

    def _pending(self, event: e.CommandPending, _: int) -> None:
        self._book.add(i.COMMANDS, event.verb.value, "waiting")

    def _refused(self, event: e.CommandRefused, _: int) -> None:
        self._book.add(i.COMMANDS, event.verb if event.verb in _VERBS else _UNREADABLE, "refused")

    def _sealed(self, event: e.EvidenceSealed, _: int) -> None:
        self._book.add(i.GATES, event.gate, event.verdict)

    def _breached(self, event: e.BreachDetected, _: int) -> None:
        self._book.add(i.BREACHES, event.guard, event.level)

    def _reconciled(self, event: e.Reconciled, _: int) -> None:
        result = "clean" if event.clean else "broken" if event.breaks else "suspected"
        self._book.add(i.RECONCILIATIONS, event.venue.value, result, amount=event.count)

    def _practised(self, event: e.DrillFinished, _: int) -> None:
        self._book.add(i.DRILLS, event.drill.value, "passed")

    def _not_practised(self, event: e.DrillFailed, _: int) -> None:
        self._book.add(i.DRILLS, event.drill.value, "failed")

    _COUNTS: ClassVar[Mapping[type[e.Event], Callable[[Counting, Any, int], None]]] = MappingProxyType({
        e.OrderAdmitted: _admitted, e.OrderDenied: _denied, e.OrdersDeniedAgain: _denied_again, e.OrderAcked: _acked,
        e.OrderUnknown: _unknown, e.OrderRejected: _rejected, e.OrderReported: _reported, e.FillBooked: _filled,
        e.StageChanged: _moved, e.HaltMeasured: _halted, e.CommandAccepted: _accepted, e.CommandPending: _pending,
        e.CommandRefused: _refused, e.EvidenceSealed: _sealed, e.BreachDetected: _breached, e.Reconciled: _reconciled,
        e.DrillFinished: _practised, e.DrillFailed: _not_practised,
    })  # fmt: skip
