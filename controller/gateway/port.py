"""The port between the gateway and the controller: frozen values and two protocols. ``runtime.api`` implements it.

The gateway does authentication, parsing, rate limits and MEXC's JSON; the controller behind the port makes every decision.

A bot's name is the owner of its orders: every call names the bot, and it cannot see another bot's orders. The ``order_id`` a bot
sees is gatehouse's own client order id (``gh-…``), because a bot must be able to name an order whose outcome is unknown before the
venue has given it an id, and that name must not change later. ``bot_client_id`` is the bot's ``newClientOrderId``, empty when it
sent none. Orders and fills are ``exchange.model`` values: ``order_id`` is the ``gh-…`` id, ``client_id`` is the bot's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from controller.gateway.stream_port import StreamPort
from exchange.model import Balance, Fill, MarketTrade, Millis, OrderReport, OrderStatus, Quote, SymbolRules
from exchange.wire.market import DayTicker, KlineQuery
from exchange.wire.orders import NewOrder, StpMode
from policies.limit_types import Deny
from policies.silence import BotLiveness, HeardBy

DepthView = tuple[int, list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]
"""``(version, bids, asks)``, each level ``(price, quantity)``, best first; as ``exchange.ports.MarketFeed.depth``."""


@dataclass(frozen=True, slots=True)
class CandlesView:
    """Rows of the ``klines`` reply, each as JSON, oldest first, and the market they are of.

    ``begins``: when the first candle opened, for a testnet, which knows only its own history.
    """

    rows: tuple[bytes, ...]
    market: str
    begins: Millis | None = None


@dataclass(frozen=True, slots=True)
class BotKey:
    """A bot's gateway credentials. They are valid only at this gateway; they are not the exchange's keys."""

    name: str
    key: str
    secret: str = field(repr=False)


class BotKeys(Protocol):
    """The keys that are valid now. The gateway asks on every request, so that issuing or revoking a key takes effect at once."""

    def find(self, api_key: str) -> BotKey | None:
        """The bot's credentials behind a key; ``None`` for one that is unknown, revoked, or without its secret."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, both ends included."""

    start: Millis
    end: Millis


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue has acknowledged the order.

    ``order`` is what was accepted: for a repeated ``newClientOrderId`` that is the first order, which asked for the same.
    A MARKET order has the price and the quantity that the venue made of it, where the venue said so.
    """

    order: NewOrder
    order_id: str
    at: Millis


@dataclass(frozen=True, slots=True)
class VenueRejected:
    """The order was admitted and sent, and the venue refused it with its own code. It was never in the book."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Outstanding:
    """The order may have been sent and its outcome is unknown; gatehouse is resolving it.

    ``order_id`` can be queried and cancelled at once; it is empty when the controller itself did not decide in time.
    """

    order_id: str
    bot_client_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Busy:
    """The controller's inbox is full. Nothing was decided, journalled or sent. ``retry_after_s`` is whole seconds, at least 1."""

    retry_after_s: int = 1


PlaceReply = Accepted | Deny | VenueRejected | Outstanding | Busy


@dataclass(frozen=True, slots=True)
class CancelTaken:
    """The cancels were sent. ``orders`` are the orders as they were before; only a query proves that an order is cancelled."""

    orders: tuple[OrderReport, ...]


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue did not accept the cancel; ``code`` is MEXC's (-2011: unknown order; 5xx codes: it did not answer)."""

    code: int
    message: str


CancelReply = CancelTaken | CancelRefused | Busy


class GatewayPort(Protocol):
    """One deployment's controller, as its bots may use it.

    The asynchronous calls go through the controller's inbox and return when the outcome is known, or when the time to wait for it
    is over; they never raise for a decision. The calls about candles and
    statistics may ask the venue. The other calls answer from memory and never wait.
    """

    @property
    def streams(self) -> StreamPort:
        """What the streams pass on."""
        ...

    async def place(self, bot: str, order: NewOrder, *, key: str) -> PlaceReply:
        """Decide, journal and send one order. ``order.client_id`` is the bot's own id, ``key`` is the key that signed the request.

        A bot id that was used before places nothing. The same order again, while it can trade, returns the first order's outcome;
        anything else is denied.
        """
        ...

    async def cancel(self, bot: str, symbol: str, order_id: str) -> CancelReply:
        """Cancel one of the bot's working orders, by its ``gh-…`` id."""
        ...

    async def cancel_all(self, bot: str, symbols: Sequence[str] | None) -> CancelReply:
        """Cancel all the bot's working orders of these symbols (all for ``None``), never another bot's."""
        ...

    def order(self, bot: str, symbol: str, *, order_id: str | None = None, bot_client_id: str | None = None) -> OrderReport | None:
        """One of the bot's orders by either id (``order_id`` wins); ``None`` unless the bot, the symbol and the id all match."""
        ...

    def stp_mode(self, bot: str, order_id: str) -> StpMode:
        """What one of the bot's orders asked for against self-trades. It has no effect, as at MEXC in an account in no group."""
        ...

    def cancel_reason(self, bot: str, order_id: str) -> str | None:
        """Why gatehouse ended one of the bot's orders that the bot did not cancel; ``None`` where it did not."""
        ...

    def open_orders(self, bot: str, symbol: str | None) -> Sequence[OrderReport]:
        """The bot's working orders (``exchange.orders.WORKING``), newest first; of every symbol for ``None``."""
        ...

    def all_orders(
        self, bot: str, symbol: str, window: Window, limit: int, statuses: frozenset[OrderStatus] | None
    ) -> Sequence[OrderReport]:
        """The bot's newest ``limit`` orders created in ``window``, newest first; only those in ``statuses`` unless ``None``."""
        ...

    def fills(self, bot: str, symbol: str, order_id: str | None, window: Window, limit: int) -> Sequence[Fill]:
        """The bot's newest ``limit`` fills made in ``window``, newest first; of one order unless ``order_id`` is ``None``.

        Without ``order_id`` they are those of the venue of the current stage: its account is the one that ``balances`` shows.
        """
        ...

    def balances(self, bot: str) -> Mapping[str, Balance]:
        """What the bot may use, by asset, at the venue of the current stage."""
        ...

    def rules(self, symbols: Sequence[str] | None) -> Mapping[str, SymbolRules]:
        """The rules of the given symbols that may be traded here; of all tradable symbols for ``None``."""
        ...

    def depth(self, symbol: str, limit: int) -> DepthView | None:
        """At most ``limit`` levels a side, or ``None`` while the book is stale or broken."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """Best prices, or ``None`` while the book is stale or broken."""
        ...

    def trades(self, symbol: str, limit: int) -> Sequence[MarketTrade]:
        """Recent public trades, newest first."""
        ...

    async def candles(self, query: KlineQuery) -> CandlesView:
        """Candles of the market that prices the stage. Raises ``GatehouseError`` while they cannot be had; shows no old ones."""
        ...

    async def day(self, symbol: str) -> DayTicker:
        """The statistics of the last 24 hours of that market, a few seconds old. Raises as ``candles``."""
        ...

    async def average_price(self, symbol: str) -> Decimal:
        """The mean price of five minutes on that market. Raises as ``candles``."""
        ...

    def heard_from(self, bot: str, by: HeardBy) -> None:
        """A proven bot was heard now. The gateway reports every sign of it here, and only here."""
        ...

    def connected(self, bot: str) -> AbstractContextManager[None]:
        """A proven bot has an open stream for as long as the context lasts. Its server has to end a stream that is dead."""
        ...

    def liveness(self, bot: str) -> BotLiveness | None:
        """Whether the bot counts as connected now; ``None`` before a policy is in force."""
        ...

    def now(self) -> Millis:
        """The time that requests are checked against, and ``serverTime``."""
        ...

    def started(self) -> Millis:
        """When this process took the journal over. It is never earlier than the journal's last entry before.

        Nothing is remembered of the signatures that were accepted before.
        """
        ...

    def ready(self) -> bool:
        """Whether the journal is read and the queries above can be answered. Independent of being armed or halted."""
        ...
