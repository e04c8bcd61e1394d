"""What the rest of gatehouse may ask of a venue, a market feed and a signer. Adapters implement these; nobody else knows MEXC.

Placing has three outcomes and no exception: ``Ack``, ``Rejected`` or ``Unknown`` (architecture.md §4). A query without an answer
raises ``VenueError``. Cancelling answers ``CancelAck`` or ``CancelFailed``; neither proves the order is dead — only a query does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from exchange.model import Balance, DataSource, Fill, MarketTrade, Millis, OrderIntent, OrderReport, Quote, SymbolRules


class VenueName(StrEnum):
    """The three places an order can go (architecture.md §3)."""

    MOCK = "mock"
    TESTNET = "testnet"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Ack:
    """The venue accepted the order. It says nothing about fills."""

    order_id: str
    at: Millis


NOT_SENT = -1
"""The code of a rejection decided on our side: nothing left this process. MEXC has none such."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The order was refused and it is certain that it never rested. ``code`` is MEXC's, or ``NOT_SENT``."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The order may or may not exist: time-out, 5xx, cut connection, unreadable reply."""

    reason: str


PlaceOutcome = Ack | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class CancelAck:
    """The venue took the cancel. The order may still fill until a query says otherwise."""


@dataclass(frozen=True, slots=True)
class CancelFailed:
    """The venue did not take the cancel. -2011 means it no longer knows the order: query it."""

    code: int
    message: str


CancelOutcome = CancelAck | CancelFailed


class Permit(Protocol):
    """Permission to place new orders, held for seconds (architecture.md §3). Cancels need none."""

    @property
    def epoch(self) -> int:
        """The controller's fencing epoch the permit was issued under."""
        ...

    def is_live(self) -> bool:
        """Whether it may still be used, judged on a monotonic clock, now."""
        ...


class Signer(Protocol):
    """Holds an exchange secret. Signs queries and cancels always, a new order only under a live permit and its own limits."""

    @property
    def api_key(self) -> str:
        """The public half, sent as ``X-MEXC-APIKEY``."""
        ...

    def sign(self, payload: str) -> str:
        """Lower-case hex HMAC-SHA256 of a query or cancel (mexc-spot-v3.md §2.2)."""
        ...

    def sign_order(self, intent: OrderIntent, payload: str, permit: Permit) -> str:
        """As ``sign``, for a new order. Raises ``Refused`` without a live permit or outside the signer's own limits."""
        ...


class Clock(Protocol):
    """The one seam time comes through (architecture.md §9)."""

    def now(self) -> Millis:
        """Wall time, UTC."""
        ...

    def monotonic_ns(self) -> int:
        """A clock that never goes back, for durations."""
        ...


class Venue(Protocol):
    """One account on one venue."""

    @property
    def name(self) -> VenueName:
        """Which of the three it is."""
        ...

    async def place(self, intent: OrderIntent, permit: Permit) -> PlaceOutcome:
        """Send one order, once. Never raises for a venue's answer, never retries."""
        ...

    async def cancel(self, symbol: str, client_id: str) -> CancelOutcome:
        """Ask for one order's cancellation by our client id."""
        ...

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        """Ask for the cancellation of every open order of these symbols."""
        ...

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        """Look one order up by our client id; ``None`` when the venue says it does not exist (which may be lag)."""
        ...

    async def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        """Every order that can still trade."""
        ...

    async def fills(self, symbol: str, since: Millis) -> Sequence[Fill]:
        """Our trades at or after ``since``, oldest first, complete."""
        ...

    async def balances(self) -> Mapping[str, Balance]:
        """Every asset with a balance."""
        ...

    async def symbol_rules(self, symbols: Sequence[str]) -> Mapping[str, SymbolRules]:
        """Rules for those of the symbols that the venue lists."""
        ...

    async def server_time(self) -> Millis:
        """The venue's clock."""
        ...

    def events(self) -> AsyncIterator[VenueEvent]:
        """Private events as they arrive; ``StreamGap`` after any interruption, because private streams have no replay."""
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Our wall clock less the venue's, ms, and how old that measurement is, ms. Guards judge both."""

    offset_ms: int
    age_ms: int


@runtime_checkable
class ClockedVenue(Protocol):
    """A venue that measures its own clock as it goes."""

    @property
    def clock_reading(self) -> ClockReading | None:
        """The clock as measured last, ``None`` before the first measurement."""
        ...


@dataclass(frozen=True, slots=True)
class StreamGap:
    """Private events may have been lost since the last one; sweep by REST."""

    reason: str


VenueEvent = OrderReport | Fill | StreamGap


class FeedStatus(StrEnum):
    """Whether a feed's book can be trusted right now."""

    LIVE = "live"
    STALE = "stale"
    RESYNCING = "resyncing"


class MarketFeed(Protocol):
    """One venue's public market data for a few symbols, kept current in the background."""

    @property
    def source(self) -> DataSource:
        """Where the data comes from; travels with every metric."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """Best prices, or ``None`` while the book is missing, gapped or crossed. Age is the caller's to judge."""
        ...

    def depth(self, symbol: str, limit: int) -> tuple[int, list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]] | None:
        """``(version, bids, asks)`` best first, or ``None`` as for ``quote``."""
        ...

    def trades(self, symbol: str, limit: int) -> Sequence[MarketTrade]:
        """Recent public trades, newest first."""
        ...

    def status(self, symbol: str) -> FeedStatus:
        """Whether the book is live."""
        ...

    async def run(self) -> None:
        """Keep the feed current until cancelled."""
        ...

    async def changed(self) -> None:
        """Wait until any quote or trade has changed since the calling task last awaited it.

        Any number of tasks may wait; a change wakes all of them. A task that awaits for the first time waits for the next change.
        """
        ...
