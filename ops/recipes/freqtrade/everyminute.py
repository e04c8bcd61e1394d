"""A freqtrade strategy that shows every step: it buys at each new 1-minute candle, and sells 15 seconds later.

It has no idea about the market and loses the fees. It is for seeing that freqtrade trades, not for earning.
"""

from datetime import datetime

from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy
from pandas import DataFrame


class EveryMinute(IStrategy):
    """Buys a small amount at each candle; ``custom_exit`` sells it."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    startup_candle_count = 30
    minimal_roi = {"0": 10}  # noqa: RUF012 - freqtrade reads a plain dict
    stoploss = -0.10
    process_only_new_candles = True
    order_types = {  # noqa: RUF012
        "entry": "limit",
        "exit": "limit",
        "emergency_exit": "limit",
        "stoploss": "limit",
        "stoploss_on_exchange": False,
    }

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """A moving average, so that the candles are used."""
        dataframe["mean"] = dataframe["close"].rolling(20).mean()
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Each candle with a mean is a signal."""
        dataframe.loc[dataframe["mean"].notna(), "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """No exit by signal."""
        return dataframe

    def custom_exit(
        self, pair: str, trade: Trade, current_time: datetime, current_rate: float, current_profit: float, **kwargs: object
    ) -> str | None:
        """Sell after 15 seconds."""
        return "held for 15 s" if (current_time - trade.open_date_utc).total_seconds() >= 15 else None
