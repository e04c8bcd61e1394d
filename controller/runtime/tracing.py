"""Traces of orders and commands, made from what the writer journalled; nothing waits for them and nothing depends on them."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from controller import events as e
from controller.runtime.writer import Carried
from controller.telemetry.facade import CommandPhase, Count, Level, OrderPhase, Telemetry, Trace
from exchange.model import OrderType, Side
from exchange.orders import TERMINAL
from exchange.ports import Clock

_CENT = 100
MOST_OPEN_TRACES = 10_000


@dataclass(slots=True)
class _Open:
    trace: Trace
    admitted_ns: int
    sent: bool = False


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

    def carried(self, batch: Carried) -> None:
        """One durable batch."""
        if not self._telemetry.enabled:
            return
        now = time.time_ns()
        for _, event in batch.entries:
            self._follow(event, batch, now)

    def _follow(self, event: e.Event, batch: Carried, now: int) -> None:
        match event:
            case e.OrderAdmitted():
                self._admitted(event, batch, now)
            case e.OrderDenied():
                self._denied(event, batch, now)
            case e.OrderAcked() | e.OrderUnknown() | e.OrderRejected():
                self._sent(event, now)
            case e.OrderReported(status=status) if status in TERMINAL:
                self._end(event.client_id, status.value, now)
            case e.FillBooked():
                self._telemetry.count(Count.FILLS, symbol=event.symbol, venue=event.venue.value)
            case e.BreachDetected():
                self._telemetry.count(Count.BREACHES, guard=event.guard)
            case e.Sampled():
                self._levels(event, batch)
            case _:
                return

    def _admitted(self, event: e.OrderAdmitted, batch: Carried, now: int) -> None:
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
        trace.mark(OrderPhase.ADMISSION, now, now, exposure_eur=event.exposure_eur, cap_eur=event.cap_eur)
        trace.mark(OrderPhase.JOURNAL, now, now, seq=batch.after.seq, batch=len(batch.entries))
        self._telemetry.count(Count.ORDERS, symbol=event.symbol, venue=event.venue.value)
        if len(self._orders) < MOST_OPEN_TRACES:
            self._orders[event.client_id] = _Open(trace, now)

    def _denied(self, event: e.OrderDenied, batch: Carried, now: int) -> None:
        trace = self._telemetry.order(
            bot=event.bot, symbol=event.symbol, side=Side(event.side).value, type=OrderType(event.type).value
        )
        trace.mark(OrderPhase.ADMISSION, now, now, rule=event.rule)
        trace.mark(OrderPhase.JOURNAL, now, now, seq=batch.after.seq, batch=len(batch.entries))
        trace.finish("denied", rule=event.rule)
        self._telemetry.count(Count.DENIALS, rule=event.rule)

    def _sent(self, event: e.OrderAcked | e.OrderUnknown | e.OrderRejected, now: int) -> None:
        known = self._orders.get(event.client_id)
        if known is None:
            return
        if not known.sent:
            known.sent = True
            known.trace.mark(OrderPhase.SEND, known.admitted_ns, now, outcome=event.kind)
        if isinstance(event, e.OrderRejected):
            self._end(event.client_id, "rejected", now)

    def _end(self, client_id: str, outcome: str, now: int) -> None:
        known = self._orders.pop(client_id, None)
        if known is not None:
            known.trace.mark(OrderPhase.OUTCOME, now, now, outcome=outcome)
            known.trace.finish(outcome)

    def _levels(self, event: e.Sampled, batch: Carried) -> None:
        state, level = batch.after, self._telemetry.level
        if event.equity_eur is not None:
            level(Level.EQUITY_CENTS, int(event.equity_eur * _CENT), venue=event.venue.value)
        if event.exposure_eur is not None:
            level(Level.EXPOSURE_CENTS, int(event.exposure_eur * _CENT), venue=event.venue.value)
        level(Level.JOURNAL_SEQ, state.seq)
        level(Level.ARMED, int(state.armed))
