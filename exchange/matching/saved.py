"""The testnet's state as values: what a snapshot holds. Everything here is plain data that survives JSON.

Mappings whose order matters are lists of pairs, because canonical JSON sorts the keys of objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random

from exchange.book import BookState
from exchange.matching.events import FillRecord
from exchange.matching.resting import LiveOrder
from exchange.model import MarketTrade, Millis, Side
from exchange.tape import Levels
from exchange.wire.market import Candle

Draws = tuple[int, ...]
"""The inner state of a random generator."""

_GENERATOR = 3


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account's assets, as ``(asset, free, locked)``."""

    name: str
    assets: tuple[tuple[str, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class MarketBookState:
    """One symbol's published book and what stands between it and the tape's.

    ``buckets`` are ``(side, published price, ((tape price, quantity), ...))`` once prices were shifted; ``consumed`` is
    ``(side, price, quantity)``.
    """

    book: BookState
    offset: int
    factor: Decimal
    buckets: tuple[tuple[Side, Decimal, Levels], ...] | None
    consumed: tuple[tuple[Side, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class MarketState:
    """One symbol: its book, and what has traded since the last depth change. Resting orders are the open ones."""

    symbol: str
    depth: MarketBookState
    traded: tuple[tuple[Side, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class EngineState:
    """Accounts, orders with their places in the queue, fills with their evidence, and books."""

    sequence: int
    accounts: tuple[AccountState, ...]
    orders: tuple[LiveOrder, ...]
    fills: tuple[FillRecord, ...]
    markets: tuple[MarketState, ...]


@dataclass(frozen=True, slots=True)
class HistoryState:
    """One symbol's public trades and its candles by the minute, oldest first."""

    symbol: str
    trades: tuple[MarketTrade, ...]
    minutes: tuple[Candle, ...]


@dataclass(frozen=True, slots=True)
class PlaybackState:
    """How many records have been played, and in how many ms the next one is due (``None``: there is none)."""

    records: int
    lead: int | None
    position: Millis | None
    paused: bool


def draws_of(random: Random) -> Draws:
    """A generator's inner state."""
    return tuple(random.getstate()[1])


def resume_draws(random: Random, draws: Draws) -> None:
    """Put a generator back into a state. Raises ``ValueError`` for numbers that are none."""
    random.setstate((_GENERATOR, draws, None))
