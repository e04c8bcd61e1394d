"""Carries out the writer's effects, one task for each; results return through the inbox (architecture.md §4).

The writer calls ``perform`` after the events behind an effect are durable. An order is sent once only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from controller.core.effects import Alert, Cancel, CancelAll, Effect, Latch, LookUp, Place, PlaceExit, ReadAccount
from controller.core.inputs import CancelAnswered, PlacementAnswered
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.venues.cancel_all import RETRY_AFTER_S, CancelAllResult, NotEmpty, cancel_all_until_empty
from controller.runtime.venues.lookups import LookUps
from controller.runtime.venues.strangers import Strangers
from exchange.errors import GatehouseError, Refused
from exchange.model import OrderIntent
from exchange.ports import (
    NOT_SENT,
    Ack,
    CancelFailed,
    CancelOutcome,
    Clock,
    Permit,
    PlaceOutcome,
    PreparingVenue,
    Rejected,
    Unknown,
    Venue,
    VenueName,
)
from exchange.wire.errors import ErrorCode

_log = logging.getLogger(__name__)


class Performer:
    """Carries out effects at the venues.

    ``on_alert`` gets alerts, ``on_cancel_all_result`` the result of each cancel-all, ``on_not_empty`` each that takes too long.
    ``owner`` tells our id of the order that a venue's id names, and ``strangers`` which orders are not ours.
    ``read_account`` has the account of a venue read soon, and ``on_refused`` hears of each refusal and its code.
    """

    def __init__(
        self,
        *,
        venues: Mapping[VenueName, Venue],
        permits: PermitOffice,
        inbox: Inbox,
        clock: Clock,
        on_alert: Callable[[Alert], object],
        on_cancel_all_result: Callable[[CancelAll, CancelAllResult], None],
        on_not_empty: Callable[[CancelAll, NotEmpty], None],
        still_open: Callable[[VenueName], int],
        working: Callable[[VenueName], int],
        trades_on: Callable[[VenueName], bool],
        owner: Callable[[VenueName, str], str | None],
        strangers: Strangers,
        read_account: Callable[[VenueName], None],
        on_refused: Callable[[VenueName, OrderIntent, int], None] = lambda *_: None,
    ) -> None:
        self._venues = venues
        self._permits = permits
        self._inbox = inbox
        self._clock = clock
        self._on_alert = on_alert
        self._on_cancel_all_result = on_cancel_all_result
        self._on_not_empty = on_not_empty
        self._still_open = still_open
        self._working = working
        self._trades_on = trades_on
        self._strangers = strangers
        self._read_account = read_account
        self._on_refused = on_refused
        self._tasks: set[asyncio.Task[None]] = set()
        self.look_ups = LookUps(venues, inbox, clock, self._start, owner)
        self._cancelling_all: set[VenueName] = set()
        self._cancel_again: dict[VenueName, tuple[CancelAll, int]] = {}

    def prepare(self, effect: Effect) -> None:
        """Begin what an order will need while its events become durable (ADR 48). Nothing leaves for the venue."""
        if isinstance(effect, Place):
            venue = self._venues[effect.venue]
            if isinstance(venue, PreparingVenue):
                venue.prepare(effect.intent, self._permits.current())

    def perform(self, effect: Effect) -> None:
        """Start to carry out one effect."""
        match effect:
            case Place():
                self._start(self._place(effect.venue, effect.intent, self._permits.current()))
            case PlaceExit():
                self._start(self._place(effect.venue, effect.intent, self._permits.exit_permit(effect.intent.client_id)))
            case Cancel():
                self._start(self._cancel(effect))
            case CancelAll():
                self.cancel_all(effect)
            case LookUp():
                self.look_ups.ask(effect)
            case ReadAccount():
                self._read_account(effect.venue)
            case Alert():
                self._on_alert(effect)
            case Latch():
                self._permits.latch(effect.reason)

    def cancel_all(self, effect: CancelAll, cancelled: int = 0) -> None:
        """Cancel everything, or do so after the run that goes on. ``cancelled``: how many a run cancelled that this repeats."""
        if effect.venue in self._cancelling_all:
            self._cancel_again[effect.venue] = effect, self._now()
        else:
            self._cancelling_all.add(effect.venue)
            self._start(self._cancel_all(effect, cancelled))

    async def drain(self) -> None:
        """Wait until every effect has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an effect failed", exc_info=error)

    async def _place(self, venue: VenueName, intent: OrderIntent, permit: Permit) -> None:
        outcome: PlaceOutcome
        try:
            outcome = await self._venues[venue].place(intent, permit)
        except Refused as error:
            # Nothing was sent: the permit had expired or the signer refused.
            outcome = Rejected(NOT_SENT, f"not sent: {error.message}")
        except asyncio.CancelledError:
            answer = PlacementAnswered(intent.client_id, Unknown("the controller stopped while sending"))
            self._inbox.fact(answer, self._now())
            raise
        except Exception as error:
            _log.exception("a venue adapter raised an unexpected error")
            outcome = Unknown(f"{type(error).__name__} while sending")
        if isinstance(outcome, Ack | Rejected):
            self.look_ups.venue_answered(venue)
        if isinstance(outcome, Rejected):
            self._on_refused(venue, intent, outcome.code)
        self._inbox.fact(PlacementAnswered(intent.client_id, outcome), self._now())

    async def _cancel(self, effect: Cancel) -> None:
        outcome: CancelOutcome
        try:
            outcome = await self._venues[effect.venue].cancel(effect.symbol, effect.client_id)
        except GatehouseError as error:
            outcome = CancelFailed(ErrorCode.SERVICE_UNAVAILABLE, error.message)
        except Exception as error:
            _log.exception("a venue adapter raised an unexpected error")
            outcome = CancelFailed(ErrorCode.SERVICE_UNAVAILABLE, f"{type(error).__name__} while cancelling")
        if isinstance(outcome, CancelFailed):
            # -2011 does not say whether the order filled or never existed; only a look-up does (mexc-spot-v3.md §4.6).
            self.look_ups.ask(LookUp(effect.venue, effect.symbol, effect.client_id))
        self._inbox.fact(CancelAnswered(effect.client_id, outcome), self._now())

    async def _cancel_all(self, effect: CancelAll, cancelled: int) -> None:
        try:
            result = await self._until_empty(effect, cancelled)
        finally:
            self._cancelling_all.discard(effect.venue)
            next_effect, asked_ns = self._cancel_again.pop(effect.venue, (effect, -1))
        if result.began_ns < asked_ns:
            # An order may have been placed after the cancels that this proof rests on, and before this was asked for.
            self.cancel_all(next_effect, result.orders)
            return
        self._on_cancel_all_result(next_effect, result)

    async def _until_empty(self, effect: CancelAll, cancelled: int) -> CancelAllResult:
        """The proof, however often it takes: a defect of ours, in a report of it for example, must not end the cancelling."""
        while True:
            try:
                return await cancel_all_until_empty(
                    self._venues[effect.venue],
                    effect.symbols,
                    self._clock,
                    lambda: self._still_open(effect.venue),
                    expected=max(cancelled, self._working(effect.venue)),
                    report=lambda not_empty: self._on_not_empty(effect, not_empty),
                    trades_again=lambda: self._trades_on(effect.venue),
                    strangers=self._strangers,
                )
            except Exception:
                _log.exception("a cancel-all ended without its proof and begins again")
                await asyncio.sleep(RETRY_AFTER_S)

    def _now(self) -> int:
        return self._clock.monotonic_ns()
