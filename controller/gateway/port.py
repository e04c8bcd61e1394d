"""What the gateway asks of the controller, and what it is told: frozen values and one protocol, nothing else.

The gateway owns the wire (authentication, parsing, rate limits, MEXC's JSON); the controller behind the port owns every decision.

Identity. A bot's name is the owner of its orders: every call carries it, and an order of another bot does not exist for it. The
``order_id`` a bot sees is gatehouse's own client order id (``gh-…``), because an order whose outcome is unknown must be
addressable at once, before the venue has named it, and must keep its name ever after. ``bot_client_id`` is the bot's
``newClientOrderId``, empty when it sent none. Orders and fills are ``exchange.model`` values: ``order_id`` is the ``gh-…`` id,
``client_id`` the bot's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from exchange.model import Balance, Fill, MarketTrade, Millis, OrderReport, OrderStatus, Quote, SymbolRules
from exchange.wire.orders import NewOrder
from policies.limit_types import Deny

DepthView = tuple[int, list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]
"""``(version, bids, asks)``, each level ``(price, quantity)``, best first; as ``exchange.ports.MarketFeed.depth``."""


@dataclass(frozen=True, slots=True)
class BotKey:
    """A bot's gateway credentials. They open nothing but this gateway; the exchange's keys are elsewhere."""

    name: str
    key: str
    secret: str = field(repr=False)


class BotKeys(Protocol):
    """The keys that open the gateway now. Asked on every request, so that a key issued or revoked takes effect at once."""

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

    ``order`` is what was accepted: for a repeated ``newClientOrderId`` that is the first order, whatever the repeat asked for.
    """

    order: NewOrder
    order_id: str
    at: Millis


@dataclass(frozen=True, slots=True)
class VenueRejected:
    """The order was admitted and sent, and the venue refused it with its own code. It never rested."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Outstanding:
    """The order may have been sent and its outcome is unknown; gatehouse is resolving it.

    ``order_id`` can be queried and cancelled at once; it is empty when the controller's own decision did not come in time.
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
    """The cancels are on their way. ``orders`` are the orders as they were before it; only a query proves that one is dead."""

    orders: tuple[OrderReport, ...]


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue did not take the cancel; ``code`` is MEXC's (-2011: it no longer knows the order; 5xx codes: it did not answer)."""

    code: int
    message: str


CancelReply = CancelTaken | CancelRefused | Busy


class GatewayPort(Protocol):
    """One deployment's controller, as its bots may use it.

    The asynchronous calls go through the controller's inbox and answer when the outcome is known, or known to be unknown; they
    never raise for a decision. The others answer from memory, now, and never wait.
    """

    async def place(self, bot: str, order: NewOrder, *, key: str) -> PlaceReply:
        """Decide, remember and send one order. ``order.client_id`` is the bot's own id, ``key`` what signed the request.

        A bot id that was used before answers with the first order's outcome and places nothing.
        """
        ...

    async def cancel(self, bot: str, symbol: str, order_id: str) -> CancelReply:
        """Ask for the cancellation of one of the bot's working orders, by its ``gh-…`` id."""
        ...

    async def cancel_all(self, bot: str, symbols: Sequence[str] | None) -> CancelReply:
        """Ask for the cancellation of all the bot's working orders of these symbols (all for ``None``), never another's."""
        ...

    def order(self, bot: str, symbol: str, *, order_id: str | None = None, bot_client_id: str | None = None) -> OrderReport | None:
        """One of the bot's orders by either id (``order_id`` wins); ``None`` unless the bot, the symbol and the id all match."""
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
        """The bot's newest ``limit`` fills made in ``window``, newest first; of one order unless ``order_id`` is ``None``."""
        ...

    def balances(self, bot: str) -> Mapping[str, Balance]:
        """What the bot may count on, by asset, at the venue of the current stage."""
        ...

    def rules(self, symbols: Sequence[str] | None) -> Mapping[str, SymbolRules]:
        """The rules of those of the symbols that may be traded here; of all of them for ``None``."""
        ...

    def depth(self, symbol: str, limit: int) -> DepthView | None:
        """At most ``limit`` levels a side, or ``None`` while the book cannot be trusted."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """Best prices, or ``None`` while the book cannot be trusted."""
        ...

    def trades(self, symbol: str, limit: int) -> Sequence[MarketTrade]:
        """Recent public trades, newest first."""
        ...

    def now(self) -> Millis:
        """The time requests are judged by, and ``serverTime``."""
        ...

    def ready(self) -> bool:
        """Whether the journal is folded and the queries above can be answered. Independent of being armed or halted."""
        ...
