"""Traces of orders and commands for OpenTelemetry, made from the writer's batches. Nothing waits for them or depends on them.

The assembly makes one ``Tracing``; the operator port opens the traces of commands.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from controller.core import events as e
from controller.runtime.loop.writer import CommittedBatch
from controller.telemetry.facade import CommandPhase, OrderPhase, Telemetry, Trace
from exchange.model import OrderType, Side
from exchange.orders import TERMINAL
from exchange.ports import Clock

MAX_OPEN_TRACES = 10_000


@dataclass(slots=True)
class _Open:
    trace: Trace
    durable_ns: int
    sent: bool = False
    sent_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Times:
    """When one batch began, was decided and was durable, in nanoseconds since the Unix epoch."""

    began: int
    decided: int
    durable: int


class Tracing:
    """One trace for each order, from its admission to its end, and one for each command."""

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._orders: dict[str, _Open] = {}

    def command(self, verb: str) -> Trace:
        """Open the trace of a command that is about to be verified."""
        return self._telemetry.command(verb=verb)

    def verifying(self, trace: Trace) -> AbstractContextManager[None]:
        """Measure the verification of a command's signatures."""
        return trace.phase(CommandPhase.VERIFY)

    def applying(self, trace: Trace) -> AbstractContextManager[None]:
        """Measure the gate and the application of a command."""
        return trace.phase(CommandPhase.APPLY)

    def on_batch(self, batch: CommittedBatch) -> None:
        """Trace what a durable batch did."""
        if not self._telemetry.enabled:
            return
        # Spans need wall time; the batch was measured on the monotonic clock, so add the distance of the two clocks now.
        distance = time.time_ns() - self._clock.monotonic_ns()
        times = _Times(batch.began_ns + distance, batch.decided_ns + distance, batch.durable_ns + distance)
        for _, event in batch.entries:
            self._trace_event(event, batch, times)

    def _trace_event(self, event: e.Event, batch: CommittedBatch, times: _Times) -> None:
        match event:
            case e.OrderAdmitted():
                self._admitted(event, batch, times)
            case e.OrderDenied():
                self._denied(event, batch, times)
            case e.OrderAcked() | e.OrderUnknown() | e.OrderRejected():
                self._sent(event, times.durable)
            case e.OrderReported(status=status) if status in TERMINAL:
                self._end(event.client_id, status.value, times.durable)
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
        if len(self._orders) < MAX_OPEN_TRACES:
            self._orders[event.client_id] = _Open(trace, times.durable)

    def _denied(self, event: e.OrderDenied, batch: CommittedBatch, times: _Times) -> None:
        trace = self._telemetry.order(
            bot=event.bot, symbol=event.symbol, side=Side(event.side).value, type=OrderType(event.type).value
        )
        trace.mark(OrderPhase.ADMISSION, times.began, times.decided, rule=event.rule)
        trace.mark(OrderPhase.JOURNAL, times.decided, times.durable, seq=batch.after.seq, batch=len(batch.entries))
        trace.finish("denied", rule=event.rule)

    def _sent(self, event: e.OrderAcked | e.OrderUnknown | e.OrderRejected, now: int) -> None:
        open_trace = self._orders.get(event.client_id)
        if open_trace is None:
            return
        if not open_trace.sent:
            open_trace.sent, open_trace.sent_ns = True, now
            open_trace.trace.mark(OrderPhase.SEND, open_trace.durable_ns, now, outcome=event.kind)
        if isinstance(event, e.OrderRejected):
            self._end(event.client_id, "rejected", now)

    def _end(self, client_id: str, outcome: str, now: int) -> None:
        open_trace = self._orders.pop(client_id, None)
        if open_trace is not None:
            if not open_trace.sent:
                # A fill can be reported before the acknowledgement; it proves the send too.
                open_trace.sent_ns = now
                open_trace.trace.mark(OrderPhase.SEND, open_trace.durable_ns, now, outcome=outcome)
            open_trace.trace.mark(OrderPhase.OUTCOME, open_trace.sent_ns or open_trace.durable_ns, now, outcome=outcome)
            open_trace.trace.finish(outcome)
