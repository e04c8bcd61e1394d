"""Traces for OpenTelemetry: of orders from the bot's request on, of commands, gates, reconciliations, halts and drills.

They are made from the writer's batches; nothing waits for them or depends on them. The assembly makes one ``Tracing``. The bots'
port opens the traces of orders, the operator's port those of commands.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass

from controller.core import events as e
from controller.gateway.port import Busy, Outstanding, PlaceReply
from controller.runtime.loop.writer import CommittedBatch
from controller.telemetry.facade import CommandPhase, Fields, HaltPhase, OrderPhase, Telemetry, Trace, Traced
from controller.telemetry.w3c import REQUEST
from exchange.orders import TERMINAL
from exchange.ports import Clock
from exchange.wire.orders import NewOrder
from policies.limit_types import Deny
from policies.stage import Stage

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


@dataclass(frozen=True, slots=True)
class _Requested:
    """An order that a bot asked for and that no entry names yet."""

    trace: Trace
    at_ns: int


class Tracing:
    """One trace for each order, from the bot's request to its end, and one for each command and each thing of ``Traced``."""

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._orders: dict[str, _Open] = {}
        # By trace and the bot's own id: the orders of one request are in one trace, and those without an id are decided in turn.
        self._requested: dict[tuple[str, str], deque[_Requested]] = {}
        self._halt: Trace | None = None
        self._drills: dict[str, Trace] = {}

    def requested(self, bot: str, order: NewOrder) -> str:
        """Open the trace of an order that a bot asks for; returns its id. Without a collector that is the bot's own, or empty.

        The bot's trace is that of the request which the present task answers (``controller.telemetry.w3c``).
        """
        request = REQUEST.get()
        origin = request.origin if request is not None else None
        trace_id = origin.trace_id if origin is not None else ""
        if self._telemetry.enabled:
            trace = self._telemetry.order(
                origin,
                bot=bot,
                symbol=order.symbol,
                side=order.side.value,
                type=order.type.value,
                quantity=order.quantity,
                price=order.price,
            )
            trace_id = trace.trace_id
            if len(self._requested) < MAX_OPEN_TRACES:
                named = trace_id, order.client_id or ""
                self._requested.setdefault(named, deque()).append(_Requested(trace, time.time_ns()))
        if request is not None and trace_id:
            request.trace_ids.append(trace_id)
        return trace_id

    def replied(self, trace_id: str, order: NewOrder, reply: PlaceReply) -> None:
        """End the trace of an order that no entry names: it was denied early, counted with others, repeated, or there was no room.

        One that was not decided in time may still be, so its trace stays open.
        """
        if isinstance(reply, Outstanding) or (requested := self._take(trace_id, order.client_id or "")) is None:
            return
        match reply:
            case Deny(rule=rule):
                requested.trace.finish("denied", rule=str(rule))
            case Busy():
                requested.trace.finish("busy", failed=True)
            case _:
                requested.trace.finish("repeated")

    def _take(self, trace_id: str, bot_client_id: str) -> _Requested | None:
        """The oldest order of a trace, under the bot's own id, that no entry names yet."""
        waiting = self._requested.get((trace_id, bot_client_id))
        if waiting is None:
            return None
        taken = waiting.popleft()
        if not waiting:
            del self._requested[trace_id, bot_client_id]
        return taken

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
            case e.FillBooked() if (order := self._orders.get(event.client_id)) is not None:
                fields: Fields = {"quantity": event.quantity, "price": event.price, "trade": event.trade_id}
                order.trace.mark(OrderPhase.FILL, times.began, times.durable, **fields)
            case e.EvidenceSealed():
                trace = self._telemetry.begin(Traced.GATE, times.began, gate=event.gate, verdict=event.verdict)
                trace.finish(event.verdict, seq=batch.after.seq)
            case e.Reconciled():
                trace = self._telemetry.begin(Traced.RECONCILIATION, times.began, venue=event.venue.value)
                trace.finish("clean" if event.clean else "broken" if event.breaks else "suspected", failed=bool(event.breaks))
            case _:
                self._trace_stop(event, times)

    def _trace_stop(self, event: e.Event, times: _Times) -> None:
        match event:
            case e.StageChanged(stage=Stage.HALTED):
                self._halt = self._telemetry.begin(Traced.HALT, times.began, stage=event.from_stage.value, rule=event.cause.value)
            case e.HaltMeasured() if self._halt is not None:
                _mark_stop(self._halt, event.breach_to_latch_us, event.latch_to_cancelled_us, times.durable)
                self._halt.finish("empty" if event.verified_empty else "not proven empty", failed=not event.verified_empty)
                self._halt = None
            case e.DrillStarted():
                started = self._telemetry.begin(Traced.DRILL, times.began, drill=event.drill.value, venue=event.venue.value)
                self._drills[event.command_id] = started
            case e.DrillFinished() if (drill := self._drills.pop(event.command_id, None)) is not None:
                _mark_stop(drill, event.breach_to_latch_us, event.latch_to_cancelled_us, times.durable)
                drill.finish("passed")
            case e.DrillFailed() if (drill := self._drills.pop(event.command_id, None)) is not None:
                drill.finish("failed", failed=True)
            case _:
                return

    def _admitted(self, event: e.OrderAdmitted, batch: CommittedBatch, times: _Times) -> None:
        requested = self._take(event.trace_id, event.bot_client_id)
        trace = self._begin(requested, times) if requested is not None else self._own_sale(event)
        trace.about(client_id=event.client_id, venue=event.venue.value, stage=event.stage.value, step=event.step)
        trace.mark(OrderPhase.ADMISSION, times.began, times.decided, exposure_eur=event.exposure_eur, cap_eur=event.cap_eur)
        trace.mark(OrderPhase.JOURNAL, times.decided, times.durable, seq=batch.after.seq, batch=len(batch.entries))
        if len(self._orders) < MAX_OPEN_TRACES:
            self._orders[event.client_id] = _Open(trace, times.durable)

    def _denied(self, event: e.OrderDenied, batch: CommittedBatch, times: _Times) -> None:
        # One that was denied early has no trace in its entry: its reply ends it.
        if (requested := self._take(event.trace_id, event.bot_client_id)) is not None:
            trace = self._begin(requested, times)
            trace.mark(OrderPhase.ADMISSION, times.began, times.decided, rule=event.rule)
            trace.mark(OrderPhase.JOURNAL, times.decided, times.durable, seq=batch.after.seq, batch=len(batch.entries))
            trace.finish("denied", rule=event.rule)

    def _begin(self, requested: _Requested, times: _Times) -> Trace:
        """The trace of a bot's request, whose wait for the writer is over."""
        requested.trace.mark(OrderPhase.REQUEST, requested.at_ns, max(requested.at_ns, times.began))
        return requested.trace

    def _own_sale(self, event: e.OrderAdmitted) -> Trace:
        """A trace of an order that no bot asked for: a sale of a flatten."""
        return self._telemetry.order(
            bot=event.bot,
            symbol=event.symbol,
            side=event.side.value,
            type=event.type.value,
            quantity=event.quantity,
            price=event.price,
        )

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


def _mark_stop(trace: Trace, latch_us: int, cancel_us: int, end_ns: int) -> None:
    """The two parts of a halt, which ended when it was measured; -1 stands for a part that was not reached."""
    latch, cancel = max(0, latch_us) * 1000, max(0, cancel_us) * 1000
    trace.mark(HaltPhase.LATCH, end_ns - cancel - latch, end_ns - cancel)
    trace.mark(HaltPhase.CANCEL, end_ns - cancel, end_ns)
