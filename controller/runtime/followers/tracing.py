"""Traces of orders and commands, made from what the writer journalled; nothing waits for them and nothing depends on them."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from controller.core import events as e
from controller.runtime.loop.writer import CommittedBatch
from controller.telemetry.facade import CommandPhase, Count, Level, OrderPhase, Telemetry, Trace
from exchange.model import OrderType, Side
from exchange.orders import TERMINAL
from exchange.ports import Clock

_CENT = 100
MOST_OPEN_TRACES = 10_000


@dataclass(slots=True)
class _Open:
    trace: Trace
    durable_ns: int
    sent: bool = False
    sent_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Times:
    """When one batch was begun, decided and durable, in nanoseconds since the epoch."""

    began: int
    decided: int
    durable: int


class Tracing:
    """Follows the writer. One trace per order from admission to its end, one per command."""

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._orders: dict[str, _Open] = {}

    def command(self, verb: str) -> Trace:
        """Begin to trace a command that is about to be verified."""
        return self._telemetry.command(verb=verb)

    def verifying(self, trace: Trace) -> AbstractContextManager[None]:
        """Measure the verification of a command's signatures."""
        return trace.phase(CommandPhase.VERIFY)

    def applying(self, trace: Trace) -> AbstractContextManager[None]:
        """Measure the gate and the application of a command."""
        return trace.phase(CommandPhase.APPLY)

    def carried(self, batch: CommittedBatch) -> None:
        """One durable batch."""
        if not self._telemetry.enabled:
            return
        # Spans are on the wall clock; what was measured on the monotonic one is placed by their distance now.
        distance = time.time_ns() - self._clock.monotonic_ns()
        times = _Times(batch.began_ns + distance, batch.decided_ns + distance, batch.durable_ns + distance)
        for _, event in batch.entries:
            self._follow(event, batch, times)

    def _follow(self, event: e.Event, batch: CommittedBatch, times: _Times) -> None:
        match event:
            case e.OrderAdmitted():
                self._admitted(event, batch, times)
            case e.OrderDenied():
                self._denied(event, batch, times)
            case e.OrderAcked() | e.OrderUnknown() | e.OrderRejected():
                self._sent(event, times.durable)
            case e.OrderReported(status=status) if status in TERMINAL:
                self._end(event.client_id, status.value, times.durable)
            case e.FillBooked():
                self._telemetry.count(Count.FILLS, symbol=event.symbol, venue=event.venue.value)
            case e.BreachDetected():
                self._telemetry.count(Count.BREACHES, guard=event.guard)
            case e.Sampled():
                self._levels(event, batch)
            case _:
                return

    def _admitted(self, event: e.OrderAdmitted, batch: CommittedBatch, times: _Times) -> None:
        trace = self._telemetry.order(
            client_id=event.client_id,
            bot=event.bot,
            symbol=event.symbol,
            side=event.side.value,
            type=event.type.value,
            quantity=event.quantity,
            price=event.price,
            venue=event.venue.value,
            stage=event.stage.value,
            step=event.step,
        )
        trace.mark(OrderPhase.ADMISSION, times.began, times.decided, exposure_eur=event.exposure_eur, cap_eur=event.cap_eur)
        trace.mark(OrderPhase.JOURNAL, times.decided, times.durable, seq=batch.after.seq, batch=len(batch.entries))
        self._telemetry.count(Count.ORDERS, symbol=event.symbol, venue=event.venue.value)
        if len(self._orders) < MOST_OPEN_TRACES:
            self._orders[event.client_id] = _Open(trace, times.durable)

    def _denied(self, event: e.OrderDenied, batch: CommittedBatch, times: _Times) -> None:
        trace = self._telemetry.order(
            bot=event.bot, symbol=event.symbol, side=Side(event.side).value, type=OrderType(event.type).value
        )
        trace.mark(OrderPhase.ADMISSION, times.began, times.decided, rule=event.rule)
        trace.mark(OrderPhase.JOURNAL, times.decided, times.durable, seq=batch.after.seq, batch=len(batch.entries))
        trace.finish("denied", rule=event.rule)
        self._telemetry.count(Count.DENIALS, rule=event.rule)

    def _sent(self, event: e.OrderAcked | e.OrderUnknown | e.OrderRejected, now: int) -> None:
        known = self._orders.get(event.client_id)
        if known is None:
            return
        if not known.sent:
            known.sent, known.sent_ns = True, now
            known.trace.mark(OrderPhase.SEND, known.durable_ns, now, outcome=event.kind)
        if isinstance(event, e.OrderRejected):
            self._end(event.client_id, "rejected", now)

    def _end(self, client_id: str, outcome: str, now: int) -> None:
        known = self._orders.pop(client_id, None)
        if known is not None:
            if not known.sent:
                # A fill can be told before the acknowledgement: it proves the send all the same.
                known.sent_ns = now
                known.trace.mark(OrderPhase.SEND, known.durable_ns, now, outcome=outcome)
            known.trace.mark(OrderPhase.OUTCOME, known.sent_ns or known.durable_ns, now, outcome=outcome)
            known.trace.finish(outcome)

    def _levels(self, event: e.Sampled, batch: CommittedBatch) -> None:
        state, level = batch.after, self._telemetry.level
        if event.equity_eur is not None:
            level(Level.EQUITY_CENTS, int(event.equity_eur * _CENT), venue=event.venue.value)
        if event.exposure_eur is not None:
            level(Level.EXPOSURE_CENTS, int(event.exposure_eur * _CENT), venue=event.venue.value)
        level(Level.JOURNAL_SEQ, state.seq)
        level(Level.ARMED, int(state.armed))
