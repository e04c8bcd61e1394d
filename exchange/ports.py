"""The interfaces of a venue, a market feed, a signer and a clock. The controller calls them; the adapters implement them.

Placing has three outcomes and no exception: ``Ack``, ``Rejected`` or ``Unknown`` (architecture.md §4). A query without an answer
raises ``VenueError``. Cancelling answers ``CancelAck`` or ``CancelFailed``; only a query proves that the order has ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from exchange.model import (
    Balance,
    CapitalMove,
    DataSource,
    Fill,
    ForeignOrder,
    ListedOrder,
    MarketTrade,
    Millis,
    OrderIntent,
    OrderReport,
    Quote,
    Side,
    SymbolRules,
)
from exchange.stream_life import StreamLife
from exchange.wire.market import Candle, DayTicker, KlineQuery
from exchange.wire.push import DepthUpdate


class VenueName(StrEnum):
    """The three places an order can go (architecture.md §3)."""

    MOCK = "mock"
    TESTNET = "testnet"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Ack:
    """The venue accepted the order. It says nothing about fills.

    ``price`` and ``quantity`` are what the venue made of the order, where it says so: a MARKET order gets its collar as the price,
    and one that names what to spend gets a quantity (mexc-spot-v3.md §4.3).
    """

    order_id: str
    at: Millis
    price: Decimal | None = None
    quantity: Decimal | None = None


NOT_SENT = -1
"""The code of a rejection decided on our side: nothing was sent. MEXC does not use this code."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The order was refused and certainly never entered the book. ``code`` is MEXC's, or ``NOT_SENT``."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The order may or may not exist: time-out, 5xx, cut connection, unreadable reply."""

    reason: str


PlaceOutcome = Ack | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class CancelAck:
    """The venue accepted the cancel. The order may still fill until a query says otherwise."""


@dataclass(frozen=True, slots=True)
class CancelFailed:
    """The venue did not accept the cancel. -2011 means that the order is unknown or has ended: query it."""

    code: int
    message: str


CancelOutcome = CancelAck | CancelFailed


class Permit(Protocol):
    """Permission to place new orders, valid for seconds (architecture.md §3). Cancels need none."""

    @property
    def epoch(self) -> int:
        """The controller's fencing epoch the permit was issued under."""
        ...

    def is_live(self) -> bool:
        """Whether it may be used now, by a monotonic clock."""
        ...

    def leave(self, write: Callable[[], None]) -> bool:
        """Call ``write`` if the permit may be used now, and say whether it may.

        A latch that another thread closes falls before the check or after ``write``, and never between them.
        """
        ...


@runtime_checkable
class ExitPermit(Permit, Protocol):
    """Permission to sell once, for the order with this client id only. The controller's own sales use it (``flatten``)."""

    @property
    def client_id(self) -> str:
        """The only order it is for."""
        ...


def is_for(permit: Permit, intent: OrderIntent) -> bool:
    """Whether ``permit`` may be used for this order: an exit permit is for one sale only, every other permit for any order."""
    return not isinstance(permit, ExitPermit) or (intent.side is Side.SELL and intent.client_id == permit.client_id)


class Signer(Protocol):
    """Holds an exchange secret. Signs every query and cancel, but a new order only with a live permit and within its own limits."""

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


class AskedOrder(Protocol):
    """A new order whose signature was asked for and not waited for."""

    def signed_query(self) -> str | None:
        """The order's parameters with their signature; ``None`` when there is none: ask ``sign_order``.

        Raises:
            Refused: the permit of the question is no longer live.
        """
        ...

    def forget(self) -> None:
        """The signature is not used."""
        ...


@runtime_checkable
class EarlySigner(Signer, Protocol):
    """A signer elsewhere, which signs while its caller does something else (ADR 48)."""

    def ask_order(self, intent: OrderIntent, recv_window: int, at: Millis, permit: Permit) -> AskedOrder | None:
        """Ask for the signature of a new order with this stamp, without waiting. ``None`` when that is not possible now."""
        ...


class Clock(Protocol):
    """The only source of time (architecture.md §9); tests replace it."""

    def now(self) -> Millis:
        """Wall time, UTC."""
        ...

    def monotonic_ns(self) -> int:
        """A clock that never goes back, used for durations."""
        ...


class Venue(Protocol):
    """One account on one venue."""

    @property
    def name(self) -> VenueName:
        """Which of the three it is."""
        ...

    async def place(self, intent: OrderIntent, permit: Permit) -> PlaceOutcome:
        """Send one order, once. Never raises for a venue's answer and never retries."""
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

    async def open_orders(self, symbol: str) -> Sequence[ListedOrder]:
        """Every order that can still trade."""
        ...

    async def remaining(self, symbols: Sequence[str]) -> Sequence[ListedOrder]:
        """As ``open_orders`` for several symbols, ahead of other queries: what a cancellation of all orders has left."""
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
        """Private events as they arrive; a ``StreamGap`` after every interruption, because private streams have no replay."""
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Our wall clock minus the venue's, in ms, and the age of that measurement, in ms. Guards check both.

    The true difference is at most ``uncertainty_ms`` away from ``offset_ms``: nobody knows how a round trip divides into two ways.
    """

    offset_ms: int
    age_ms: int
    uncertainty_ms: int


@runtime_checkable
class PreparingVenue(Protocol):
    """A venue client that can prepare an order before it may be sent."""

    def prepare(self, intent: OrderIntent, permit: Permit) -> None:
        """Begin what ``place`` of this order will need. Nothing leaves for the venue, and ``place`` may never be called."""
        ...


@runtime_checkable
class ClockedVenue(Protocol):
    """A venue client that measures the venue's clock during its calls."""

    @property
    def clock_reading(self) -> ClockReading | None:
        """The last measurement of the clock, ``None`` before the first."""
        ...


@runtime_checkable
class CapitalVenue(Protocol):
    """A venue that keeps a history of the money that came and went."""

    async def capital_moves(self, since: Millis) -> Sequence[CapitalMove]:
        """Every complete deposit and withdrawal at or after ``since``. Raises ``VenueError``, also where the key may not ask."""
        ...


@dataclass(frozen=True, slots=True)
class StreamGap:
    """Private events may have been lost since the last event; query orders and fills by REST."""

    reason: str


VenueEvent = OrderReport | ForeignOrder | Fill | StreamGap


class FeedStatus(StrEnum):
    """Whether a feed's book can be trusted right now."""

    LIVE = "live"
    STALE = "stale"
    RESYNCING = "resyncing"


class MarketFeed(Protocol):
    """One venue's public market data for a few symbols, kept current in the background."""

    @property
    def source(self) -> DataSource:
        """Where the data comes from; every metric carries it."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """Best prices, or ``None`` while the book is missing, gapped or crossed. The caller checks its age."""
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
        """Wait until a quote or trade has changed since the calling task last waited.

        Any number of tasks may wait; a change wakes all of them. A task that waits for the first time waits for the next change.
        """
        ...


@dataclass(frozen=True, slots=True)
class FeedBroken:
    """From here on something of a symbol's book or trades may be missing, until its feed is LIVE again."""

    symbol: str
    why: str


FeedEvent = DepthUpdate | MarketTrade | FeedBroken
"""What a feed saw: a book that moved from one version to the next without a gap, a trade, or a break of both."""


@runtime_checkable
class FollowedFeed(MarketFeed, Protocol):
    """A feed that passes on everything that it sees, decoded once. The gateway's streams are made of it."""

    def follow(self, listener: Callable[[FeedEvent], None]) -> None:
        """Call ``listener`` with every event from now on, in order and on the event loop. It must be quick and must not raise."""
        ...


class MarketHistory(Protocol):
    """Candles and statistics of one venue's public market, asked for when somebody wants them. Methods raise ``VenueError``."""

    async def candles(self, query: KlineQuery) -> Sequence[Candle]:
        """Candles oldest first, at most 500 (mexc-spot-v3.md §3); the last one may still be forming."""
        ...

    async def day(self, symbol: str) -> DayTicker:
        """The statistics of the last 24 hours."""
        ...

    async def average_price(self, symbol: str) -> Decimal:
        """The mean price of the last five minutes."""
        ...


@runtime_checkable
class WatchedStreams(Protocol):
    """A venue client or a market feed that keeps count of what happens to its streams."""

    @property
    def streams(self) -> Sequence[StreamLife]:
        """The life of each of its streams."""
        ...
