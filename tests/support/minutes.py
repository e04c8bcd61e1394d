"""Minutes of trading before what a testnet has played, so that a bot finds a history of candles."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from exchange.candles import MINUTE, single
from exchange.matching.saved import HistoryState
from exchange.model import MarketTrade, Millis, Side
from exchange.testnet.server import RunningTestnet
from exchange.wire.market import Candle
from tests.support.rig import SYMBOL

MINUTES = 1_700


def give_history(testnet: RunningTestnet, seed: int, around: int = 60_000) -> None:
    """Put ``MINUTES`` minutes at prices within 100 of ``around`` before what the testnet has played."""
    rng, history = Random(seed), testnet.venue.history
    (played,) = [state for state in history.state() if state.symbol == SYMBOL]
    first = played.minutes[0].open_time if played.minutes else testnet.venue.clock.now() // MINUTE * MINUTE

    def minute(number: int) -> Candle:
        opened = Millis(first - number * MINUTE)
        price = Decimal(rng.randrange((around - 100) * 100, (around + 100) * 100)) / 100
        return single(MarketTrade(SYMBOL, price, Decimal(1), Side.BUY, opened, f"h{number}"), opened, Millis(opened + MINUTE))

    older = tuple(minute(number) for number in range(MINUTES, 0, -1))
    history.load([HistoryState(SYMBOL, played.trades, (*older, *played.minutes))])
