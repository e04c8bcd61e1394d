"""The controller's side of the streams in memory: the test says what happens."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from controller.gateway.stream_port import BotNews, MarketNews


@dataclass
class FakeStreams:
    """Implements ``StreamPort``."""

    problem: str = ""
    balances_wanted: list[str] = field(default_factory=list)
    market: Callable[[MarketNews], None] = lambda _: None
    say: Callable[[BotNews], None] = lambda _: None
    listening: Callable[[], Collection[str]] = tuple

    def follow_market(self, listener: Callable[[MarketNews], None]) -> None:
        self.market = listener

    def market_problem(self, symbol: str) -> str:
        return self.problem

    def follow_bots(self, listener: Callable[[BotNews], None], listening: Callable[[], Collection[str]]) -> None:
        self.say, self.listening = listener, listening

    def refresh_balances(self) -> None:
        self.balances_wanted.append("refresh")

    def forget_balances(self) -> None:
        self.balances_wanted.append("forget")
