"""pymexc 1.3.0, unmodified, as a trader. It blocks, so it runs on its own thread (mexc-spot-v3.md §8.3)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

import pymexc.base
import pymexc.base_websocket
import pytest
from pymexc import spot

from exchange.model import Balance, OrderIntent, OrderStatus, Side
from exchange.wire.numbers import plain
from tests.conformance.trader import SYMBOL, ClientOrder, Denied, Levels, Market, StreamState, Trade

_T = TypeVar("_T")
_WORDS = {1: "NEW", 2: "FILLED", 3: "PARTIALLY_FILLED", 4: "CANCELED", 5: "PARTIALLY_CANCELED"}


@contextmanager
def pointed_at(base: str, ws: str) -> Iterator[None]:
    """Its two addresses, which are module globals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pymexc.base, "SPOT", base)
        patch.setattr(pymexc.base_websocket, "SPOT", ws)
        yield


class PymexcTrader:
    """One account."""

    def __init__(self, key: str, secret: str, ws: str, thread: ThreadPoolExecutor) -> None:
        self._ws = ws
        self._keys = (key, secret)
        self._thread = thread
        self._listeners: list[PymexcListener] = []
        self.http = spot.HTTP(key, secret)

    async def close(self) -> None:
        """End its connections."""
        for listener in self._listeners:
            await listener.close()
        await self.ask(self.http.session.close)

    async def ask(self, call: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """One blocking call, on the thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(*args, **kwargs))
        except pymexc.base.MexcAPIError as error:
            code = re.match(r"\(code=(-?\d+)\)", str(error))
            assert code is not None
            raise Denied(int(code[1]), str(error)) from error

    async def market(self) -> Market:
        (one,) = (await self.ask(self.http.exchange_info, symbol=SYMBOL))["symbols"]
        assert (one["status"], one["isSpotTradingAllowed"]) == ("1", True)
        steps = (Decimal(1).scaleb(-one[name]) for name in ("quotePrecision", "baseAssetPrecision"))
        return Market(*steps, *(Decimal(one[name]) for name in ("quoteAmountPrecision", "makerCommission", "takerCommission")))

    async def ping(self) -> None:
        assert await self.ask(self.http.ping) == {}

    async def time(self) -> int:
        return int((await self.ask(self.http.time))["serverTime"])

    async def book(self) -> tuple[int, Levels, Levels]:
        book = await self.ask(self.http.order_book, SYMBOL, 20)
        return book["lastUpdateId"], _levels(book["bids"]), _levels(book["asks"])

    async def depth_of(self, symbol: str) -> None:
        await self.ask(self.http.order_book, symbol)

    async def public_trades(self) -> list[tuple[Decimal, Decimal]]:
        single = [(Decimal(one["price"]), Decimal(one["qty"])) for one in await self.ask(self.http.trades, SYMBOL)]
        merged = [(Decimal(one["p"]), Decimal(one["q"])) for one in await self.ask(self.http.agg_trades, SYMBOL)]
        assert set(single) & set(merged)
        return single

    async def candles(self) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        rows = await self.ask(self.http.klines, SYMBOL, "1m")
        return [(row[0], *(Decimal(value) for value in row[1:6])) for row in rows]  # type: ignore[misc]

    async def ticker(self) -> tuple[Decimal, Decimal, Decimal]:
        one = await self.ask(self.http.ticker_24h, symbol=SYMBOL)
        return Decimal(one["lastPrice"]), Decimal(one["bidPrice"]), Decimal(one["askPrice"])

    async def best_prices(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        assert {one["symbol"] for one in await self.ask(self.http.ticker_price)} >= {SYMBOL}
        found = await self.ask(self.http.ticker_book_price)
        return {one["symbol"]: (Decimal(one["bidPrice"]), Decimal(one["askPrice"])) for one in found}

    async def fee(self) -> tuple[Decimal, Decimal]:
        data = (await self.ask(self.http.query_symbol_commission, SYMBOL))["data"]
        return Decimal(str(data["makerCommission"])), Decimal(str(data["takerCommission"]))

    async def balance(self) -> Mapping[str, Balance]:
        rows = (await self.ask(self.http.account_information))["balances"]
        return {row["asset"]: Balance(row["asset"], Decimal(row["free"]), Decimal(row["locked"])) for row in rows}

    async def place(self, intent: OrderIntent, **options: str) -> str:
        return str((await self.ask(self.http.order, **_terms(intent), **options))["orderId"])

    async def place_unrounded(self, intent: OrderIntent) -> None:
        await self.place(intent)

    async def dry_run(self, intent: OrderIntent) -> None:
        assert await self.ask(self.http.test_order, **_terms(intent)) == {}

    async def batch(self, intents: Sequence[OrderIntent]) -> list[bool]:
        names = {"quantity": "quantity", "price": "price", "new_client_order_id": "newClientOrderId", "side": "side"}
        orders = [{names[name]: value for name, value in _terms(one).items() if name in names} for one in intents]
        first = _terms(intents[0])
        replies = await self.ask(self.http.batch_orders, orders, SYMBOL, first["side"], first["order_type"], quantity=1, price=1)
        return ["code" not in reply for reply in replies]

    async def order(self, client_id: str) -> ClientOrder:
        return _client_order(await self.ask(self.http.query_order, SYMBOL, orig_client_order_id=client_id))

    async def cancel(self, client_id: str) -> None:
        await self.ask(self.http.cancel_order, SYMBOL, orig_client_order_id=client_id)

    async def cancel_symbol(self) -> None:
        await self.ask(self.http.cancel_all_open_orders, SYMBOL)

    async def cancel_everything(self) -> None:
        raise NotImplementedError("pymexc has no such call")

    async def open_orders(self) -> list[ClientOrder]:
        return [_client_order(row) for row in await self.ask(self.http.current_open_orders, SYMBOL)]

    async def filled_orders(self) -> list[ClientOrder]:
        return [one for one in await self._all() if one.status is OrderStatus.FILLED]

    async def canceled_orders(self) -> list[ClientOrder]:
        return [one for one in await self._all() if one.status in {OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED}]

    async def _all(self) -> list[ClientOrder]:
        return [_client_order(row) for row in await self.ask(self.http.all_orders, SYMBOL)]

    async def trades(self) -> list[Trade]:
        return [_trade(row) for row in await self.ask(self.http.account_trade_list, SYMBOL)]

    async def trades_of(self, order_id: str) -> list[Trade]:
        return [_trade(row) for row in await self.ask(self.http.account_trade_list, SYMBOL, order_id=order_id)]

    async def listen(self) -> PymexcListener:
        listener = PymexcListener(self, await self.socket(*self._keys))
        self._listeners.append(listener)
        await listener.ready()
        return listener

    async def watch(self) -> PymexcWatcher:
        """Its public streams."""
        watcher = PymexcWatcher(self, await self.socket())
        self._listeners.append(watcher)
        return watcher

    async def socket(self, *keys: str) -> Any:
        """Its websocket; with keys the constructor uses production's address, which is corrected afterwards (§8.3)."""
        socket = await self.ask(spot.WebSocket, *keys, ping_interval=5, ping_timeout=3)
        socket.endpoint = f"{self._ws}?listenKey={socket.listenKey}" if keys else self._ws
        return socket


class PymexcListener:
    """One websocket; its callbacks run on its thread and are passed to our event loop."""

    def __init__(self, trader: PymexcTrader, socket: Any) -> None:
        self._trader = trader
        self.socket = socket
        self._loop = asyncio.get_running_loop()
        self._updated = asyncio.Event()
        self._state = StreamState({}, {}, {})

    async def ready(self) -> None:
        """Subscribe to the three private channels."""
        for subscribe, note in (
            (self.socket.account_orders, self._on_order),
            (self.socket.account_deals, self._on_deal),
            (self.socket.account_update, self._on_account),
        ):
            await self._trader.ask(subscribe, self.on_our_loop(note))

    async def close(self) -> None:
        """End the connection."""
        await self._trader.ask(self._end)

    async def wait_until(self, enough: Callable[[StreamState], object]) -> StreamState:
        await self.wait(lambda: enough(self._state))
        return self._state

    async def wait(self, done: Callable[[], object]) -> None:
        """Wait for updates until ``done``."""
        async with asyncio.timeout(10):
            while not done():
                self._updated.clear()
                await self._updated.wait()

    def on_our_loop(self, note: Callable[[Any], None]) -> Callable[[Any], None]:
        """A callback for the socket's thread that runs ``note`` on our event loop."""

        def run(body: Any) -> None:
            note(body)
            self._updated.set()

        return lambda body: self._loop.call_soon_threadsafe(run, body) and None

    def _end(self) -> None:
        self.socket.restart_on_error = False
        # Its keep-alive thread sleeps for 59 minutes; joining it would wait a second without need.
        self.socket.kal = None
        self.socket.exit()

    def _on_order(self, body: Any) -> None:
        status = OrderStatus(_WORDS[body.status])
        pushed = {body.clientId: (status, Decimal(body.cumulativeQuantity or 0))}
        self._state = StreamState({**self._state.orders, **pushed}, self._state.trades, self._state.balances)

    def _on_deal(self, body: Any) -> None:
        numbers = (Decimal(text) for text in (body.price, body.quantity, body.amount, body.feeAmount))
        side = Side.BUY if body.tradeType == 1 else Side.SELL
        trade = Trade(body.tradeId, body.orderId, side, *numbers, body.feeCurrency, body.isMaker)
        self._state = StreamState(self._state.orders, {**self._state.trades, trade.trade_id: trade}, self._state.balances)

    def _on_account(self, body: Any) -> None:
        pushed = {body.vcoinName: Balance(body.vcoinName, Decimal(body.balanceAmount), Decimal(body.frozenAmount))}
        self._state = StreamState(self._state.orders, self._state.trades, {**self._state.balances, **pushed})


class PymexcWatcher(PymexcListener):
    """Its public streams. It passes depth changes on as they come, so the book is built here."""

    def __init__(self, trader: PymexcTrader, socket: Any) -> None:
        super().__init__(trader, socket)
        self._changes: list[Any] = []
        self._book: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        self._version = 0

    async def keep_book(self, move: Callable[[], Awaitable[None]]) -> None:
        await self._trader.ask(self.socket.depth_stream, self.on_our_loop(self._changes.append), SYMBOL)
        await move()
        await self.wait(lambda: self._changes)
        snapshot = await self._trader.ask(self._trader.http.order_book, SYMBOL, 5000)
        self._version = snapshot["lastUpdateId"]
        self._book = (dict(_levels(snapshot["bids"])), dict(_levels(snapshot["asks"])))

    async def agrees(self, version: int, bids: Levels, asks: Levels) -> bool:
        await self.wait(lambda: self._caught_up() >= version)
        mine = (sorted(self._book[0].items(), reverse=True)[:10], sorted(self._book[1].items())[:10])
        return self._version == version and mine == (bids, asks)

    def _caught_up(self) -> int:
        for change in self._changes:
            if int(change.toVersion) <= self._version:
                continue
            assert int(change.fromVersion) <= self._version + 1, "a gap"
            for side, levels in zip(self._book, (change.bids, change.asks), strict=True):
                side.update((Decimal(level.price), Decimal(level.quantity)) for level in levels)
                for price in [price for price, quantity in side.items() if not quantity]:
                    del side[price]
            self._version = int(change.toVersion)
        self._changes.clear()
        return self._version

    async def next_trade(self) -> tuple[Decimal, Decimal]:
        deal = (await self.first(self.socket.deals_stream, SYMBOL, "100ms")).deals[0]
        return Decimal(deal.price), Decimal(deal.quantity)

    async def next_best_prices(self) -> tuple[Decimal, Decimal]:
        body = await self.first(self.socket.book_ticker_stream, SYMBOL)
        return Decimal(body.bidPrice), Decimal(body.askPrice)

    async def next_candle(self) -> tuple[int, Decimal, Decimal]:
        body = await self.first(self.socket.kline_stream, SYMBOL, "Min1")
        return body.windowStart, Decimal(body.highestPrice), Decimal(body.lowestPrice)

    async def first(self, subscribe: Callable[..., Any], *args: object) -> Any:
        """The first push after subscribing."""
        pushed: list[Any] = []
        await self._trader.ask(subscribe, self.on_our_loop(pushed.append), *args)
        await self.wait(lambda: pushed)
        return pushed[0]


def _terms(intent: OrderIntent) -> dict[str, Any]:
    numbers = {"quantity": intent.quantity, "quote_order_qty": intent.quote_quantity, "price": intent.price}
    set_numbers = {name: plain(value) for name, value in numbers.items() if value is not None}
    named = {"new_client_order_id": intent.client_id}
    return {"symbol": intent.symbol, "side": intent.side.value, "order_type": intent.type.value, **set_numbers, **named}


def _levels(rows: Sequence[Sequence[str]]) -> Levels:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in rows]


def _client_order(row: Mapping[str, Any]) -> ClientOrder:
    numbers = (Decimal(row[name]) for name in ("price", "origQty", "executedQty"))
    return ClientOrder(row["orderId"], row["clientOrderId"], OrderStatus(row["status"]), *numbers)


def _trade(row: Mapping[str, Any]) -> Trade:
    numbers = (Decimal(row[name]) for name in ("price", "qty", "quoteQty", "commission"))
    side = Side.BUY if row["isBuyer"] else Side.SELL
    return Trade(row["id"], row["orderId"], side, *numbers, row["commissionAsset"], row["isMaker"])
