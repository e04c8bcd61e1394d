"""A lumibot strategy on its ccxt broker: buys, sells what it bought, and begins again. It knows nothing of gatehouse.

It is for seeing that the client trades, and loses the fees. `gatehouse_bot.py` is what `gatehouse bot-config` prints.
"""

from gatehouse_bot import BROKER
from lumibot.brokers import Ccxt
from lumibot.entities import Asset
from lumibot.strategies import Strategy
from lumibot.traders import Trader

BASE, QUOTE = Asset("BTC", asset_type="crypto"), Asset("USDT", asset_type="crypto")
DOLLARS = 2.0


class TakeTurns(Strategy):
    """One order in each iteration: a resting bid that the next one cancels, a buy, a sale."""

    def initialize(self) -> None:
        """Every 3 seconds, day and night."""
        self.sleeptime = "3S"
        self.set_market("24/7")
        self.turn = 0

    def on_trading_iteration(self) -> None:
        """Look at the market and take the turn's step."""
        bars = self.get_historical_prices(BASE, 5, "minute", quote=QUOTE)
        market = self.get_quote(BASE, quote=QUOTE)
        amount = round(DOLLARS / market.ask, 6)
        turn, self.turn = self.turn % 3, self.turn + 1
        if turn == 0:
            self.submit_order(self.create_order(BASE, amount, "buy", quote=QUOTE, limit_price=round(market.bid * 0.998, 2)))
        elif turn == 1:
            self.cancel_open_orders()
            self.submit_order(self.create_order(BASE, amount, "buy", quote=QUOTE, limit_price=round(market.ask * 1.001, 2)))
        elif position := self.get_position(BASE):
            held = position.quantity
            self.submit_order(self.create_order(BASE, held, "sell", quote=QUOTE, limit_price=round(market.bid * 0.999, 2)))
        print(f"turn {turn}: {len(bars.df) if bars is not None else 'no'} bars, {market.bid} to {market.ask}", flush=True)

    def on_filled_order(self, position, order, price, quantity, multiplier) -> None:
        """Say what filled."""
        print(f"filled: {order.side} {quantity} at {price}", flush=True)

    def on_canceled_order(self, order) -> None:
        """Say what was cancelled."""
        print(f"cancelled: {order.side} {order.quantity}", flush=True)


trader = Trader()
trader.add_strategy(TakeTurns(broker=Ccxt(BROKER), quote_asset=QUOTE))
trader.run_all()
