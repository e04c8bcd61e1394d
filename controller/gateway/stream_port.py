"""The port between the gateway's streams and the controller. ``runtime.api.bot_streams`` implements it.

A stream says nothing that REST does not say. What happens to an order arrives here once its journal entry is durable, one value for
each entry, in the journal's order; a balance is what ``GET account`` shows at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from exchange.model import Fill, Millis, OrderReport
from exchange.ports import FeedEvent
from exchange.wire.push import BalanceUpdate, OrderExtras


@dataclass(frozen=True, slots=True)
class MarketReplaced:
    """The market that prices the stage is another one from now on: nothing that was subscribed goes on."""

    why: str


MarketNews = FeedEvent | MarketReplaced


@dataclass(frozen=True, slots=True)
class OrderNews:
    """One of a bot's orders, as REST shows it from ``at`` on."""

    bot: str
    report: OrderReport
    extras: OrderExtras
    at: Millis


@dataclass(frozen=True, slots=True)
class FillNews:
    """One trade of a bot."""

    bot: str
    fill: Fill


@dataclass(frozen=True, slots=True)
class BalanceNews:
    """An asset that the bots may use, after a change. All bots of a deployment share its account."""

    update: BalanceUpdate


@dataclass(frozen=True, slots=True)
class AccountEnded:
    """No private stream goes on from here: something would be missing, or the account is another one."""

    why: str


BotNews = OrderNews | FillNews | BalanceNews | AccountEnded


class StreamPort(Protocol):
    """What the controller passes on to the gateway's streams. Everything happens on the event loop, and no listener may raise."""

    def follow_market(self, listener: Callable[[MarketNews], None]) -> None:
        """Call ``listener`` with everything that the market of the present stage does."""
        ...

    def market_problem(self, symbol: str) -> str:
        """Why nothing of a symbol's market can be streamed now; empty when it can."""
        ...

    def follow_bots(self, listener: Callable[[BotNews], None], listening: Callable[[], Collection[str]]) -> None:
        """Call ``listener`` with what happens to the bots that ``listening`` names."""
        ...

    def refresh_balances(self) -> None:
        """Publish what changed in the balances without an order, such as the room that a moved price leaves. Called every second.

        The first call, with which an account's stream begins, publishes nothing: REST shows where it begins.
        """
        ...

    def forget_balances(self) -> None:
        """Nobody listens to balances any more."""
        ...
