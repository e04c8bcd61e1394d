"""The testnet's state as values that JSON can hold. The testnet's snapshot writes and reads them.

Mappings with a significant order are lists of pairs, because canonical JSON sorts object keys.
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
    """One symbol's published book and its differences from the tape's.

    ``buckets`` are ``(side, published price, ((tape price, quantity), ...))`` after a price shift; ``consumed`` is
    ``(side, price, quantity)``.
    """

    book: BookState
    offset: int
    factor: Decimal
    buckets: tuple[tuple[Side, Decimal, Levels], ...] | None
    consumed: tuple[tuple[Side, Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class MarketState:
    """One symbol: its book, and the quantities traded since the last depth change. The open orders are its resting orders."""

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
    """How many records were played, and in how many ms the next one is due (``None``: there is none)."""

    records: int
    lead: int | None
    position: Millis | None
    paused: bool


def draws_of(random: Random) -> Draws:
    """A generator's inner state."""
    return tuple(random.getstate()[1])


def resume_draws(random: Random, draws: Draws) -> None:
    """Set a generator to a state. Raises ``ValueError`` for numbers that are not a state."""
    random.setstate((_GENERATOR, draws, None))
