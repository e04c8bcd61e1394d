"""Carrying effects out: one task each, results back through the inbox. An order is placed once only (architecture.md §4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from controller.core.effects import Alert, Cancel, CancelAll, Effect, Latch, LookUp, Place
from controller.core.inputs import LookupAnswered, PlacementAnswered, VenueReported
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.venues.cancel_all import CancelAllResult, cancel_all_until_empty
from exchange.errors import GatehouseError, Refused, VenueError
from exchange.model import Fill, Millis, OrderReport
from exchange.ports import NOT_SENT, CancelFailed, CancelOutcome, Clock, PlaceOutcome, Rejected, Unknown, Venue, VenueName
from exchange.wire.errors import ErrorCode

LOOK_UP_EVERY_NS = 400_000_000
FILLS_BACK_MS = 24 * 3600 * 1000

_log = logging.getLogger(__name__)


class Performer:
    """The shell's hands. ``told`` gets alerts, ``emptied`` what a cancel-all achieved."""

    def __init__(
        self,
        *,
        venues: Mapping[VenueName, Venue],
        permits: PermitOffice,
        inbox: Inbox,
        clock: Clock,
        told: Callable[[Alert], object],
        emptied: Callable[[CancelAll, CancelAllResult], None],
        still_open: Callable[[VenueName], int],
        working: Callable[[VenueName], int],
    ) -> None:
        self._venues = venues
        self._permits = permits
        self._inbox = inbox
        self._clock = clock
        self._told = told
        self._emptied = emptied
        self._still_open = still_open
        self._working = working
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: dict[str, int] = {}
        self._emptying: set[VenueName] = set()
        self._again: dict[VenueName, CancelAll] = {}
        self._cancels: dict[str, asyncio.Future[CancelOutcome]] = {}

    def perform(self, effect: Effect) -> None:
        """Start carrying one effect out."""
        match effect:
            case Place():
                self._start(self._place(effect))
            case Cancel():
                self._start(self._cancel(effect))
            case CancelAll():
                if effect.venue in self._emptying:
                    self._again[effect.venue] = effect
                else:
                    self._emptying.add(effect.venue)
                    self._start(self._cancel_all(effect))
            case LookUp():
                self._look_up_when_due(effect)
            case Alert():
                self._told(effect)
            case Latch():
                self._permits.latch(effect.reason)

    async def drain(self) -> None:
        """Wait until nothing is being carried out."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def expect_cancel(self, client_id: str) -> asyncio.Future[CancelOutcome]:
        """What the venue will answer to the next cancel of this order."""
        return self._cancels.setdefault(client_id, asyncio.get_running_loop().create_future())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an effect failed", exc_info=error)

    async def _place(self, effect: Place) -> None:
        outcome: PlaceOutcome
        try:
            outcome = await self._venues[effect.venue].place(effect.intent, self._permits.current())
        except Refused as error:
            # Nothing was sent: the permit lapsed or the signer said no.
            outcome = Rejected(NOT_SENT, f"not sent: {error.message}")
        except asyncio.CancelledError:
            answer = PlacementAnswered(effect.intent.client_id, Unknown("the controller stopped while sending"))
            self._inbox.fact(answer, self._now())
            raise
        except Exception as error:
            _log.exception("a venue adapter broke its promise")
            outcome = Unknown(f"{type(error).__name__} while sending")
        self._inbox.fact(PlacementAnswered(effect.intent.client_id, outcome), self._now())

    async def _cancel(self, effect: Cancel) -> None:
        outcome: CancelOutcome
        try:
            outcome = await self._venues[effect.venue].cancel(effect.symbol, effect.client_id)
        except GatehouseError as error:
            outcome = CancelFailed(ErrorCode.SERVICE_UNAVAILABLE, error.message)
        except Exception as error:
            _log.exception("a venue adapter broke its promise")
            outcome = CancelFailed(ErrorCode.SERVICE_UNAVAILABLE, f"{type(error).__name__} while cancelling")
        if isinstance(outcome, CancelFailed):
            # -2011 does not say whether it filled or never was; only a look-up does (mexc-spot-v3.md §4.6).
            self._look_up_when_due(LookUp(effect.venue, effect.symbol, effect.client_id))
        expected = self._cancels.pop(effect.client_id, None)
        if expected is not None and not expected.done():
            expected.set_result(outcome)

    def _look_up_when_due(self, effect: LookUp) -> None:
        now = self._now()
        if now < self._looking.get(effect.client_id, 0):
            return
        self._looking = {client_id: due for client_id, due in self._looking.items() if due > now}
        self._looking[effect.client_id] = now + LOOK_UP_EVERY_NS
        self._start(self._look_up(effect))

    async def _look_up(self, effect: LookUp) -> None:
        venue = self._venues[effect.venue]
        try:
            report = await venue.order(effect.symbol, effect.client_id) or await self._listed(venue, effect)
            fills = await self._traded(venue, effect) if report is None else []
        except VenueError as error:
            _log.warning("a look-up was not answered", extra={"fields": {"client_id": effect.client_id, "code": error.code}})
            return
        for fill in fills:
            self._inbox.fact(VenueReported(effect.venue, fill), self._now())
        absent = report is None and not fills
        self._inbox.fact(LookupAnswered(effect.client_id, report, absent_everywhere=absent), self._now())

    async def _listed(self, venue: Venue, effect: LookUp) -> OrderReport | None:
        return next((order for order in await venue.open_orders(effect.symbol) if order.client_id == effect.client_id), None)

    async def _traded(self, venue: Venue, effect: LookUp) -> list[Fill]:
        since = Millis(max(0, self._clock.now() - FILLS_BACK_MS))
        return [fill for fill in await venue.fills(effect.symbol, since) if fill.client_id == effect.client_id]

    async def _cancel_all(self, effect: CancelAll) -> None:
        try:
            result = await cancel_all_until_empty(
                self._venues[effect.venue],
                effect.symbols,
                self._clock,
                lambda: self._still_open(effect.venue),
                known=self._working(effect.venue),
            )
        finally:
            self._emptying.discard(effect.venue)
            again = self._again.pop(effect.venue, None)
        self._emptied(effect, result)
        # Whoever asked meanwhile is served too, unless the venue is proven empty since then.
        if again is not None and result.empty_ns < 0:
            self.perform(again)

    def _now(self) -> int:
        return self._clock.monotonic_ns()
