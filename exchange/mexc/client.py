"""MEXC, or any venue with its protocol, as a ``Venue``. The controller trades through it; an order is sent once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from exchange.errors import VenueError
from exchange.mexc.account import AccountApi
from exchange.mexc.private import PrivateStream
from exchange.mexc.ratelimit import Lane
from exchange.mexc.rest import RestCaller, VenueRefusal
from exchange.mexc.trading import Trading
from exchange.model import Balance, CapitalMove, Fill, ListedOrder, Millis, OrderIntent, OrderReport, SymbolRules
from exchange.ports import CancelAck, CancelFailed, CancelOutcome, ClockReading, Permit, PlaceOutcome, VenueEvent, VenueName
from exchange.stream_life import StreamLife
from exchange.venue_slots import CallSlot
from exchange.wire.account import MY_TRADES_PAGE, HistoryQuery
from exchange.wire.errors import Certainty, ErrorCode, MalformedReply
from exchange.wire.market import BookTicker, parse_book_ticker
from exchange.wire.orders import MAX_SYMBOLS_PER_CANCEL, OrderRef
from exchange.wire.symbols import parse_exchange_info

_NARROWEST, _NARROW = 2, 4
_SECOND = 1_000


class MexcVenue:
    """One account behind MEXC's protocol. Build it with ``exchange.mexc.connect``."""

    def __init__(self, name: VenueName, rest: RestCaller, private: PrivateStream) -> None:
        """``trading`` and ``account`` offer what only the account checks ask."""
        self._name = name
        self._rest = rest
        self._private = private
        self.trading = Trading(rest)
        self.account = AccountApi(rest)

    @property
    def name(self) -> VenueName:
        """Which of the three venues it is."""
        return self._name

    @property
    def streams(self) -> Sequence[StreamLife]:
        """What happened to the account's private stream."""
        return [self._private.life]

    @property
    def call_slots(self) -> tuple[CallSlot, ...]:
        """The calls to its host."""
        return self._rest.call_slots

    @property
    def clock_reading(self) -> ClockReading | None:
        """Our clock minus the venue's and the measurement's age; ``None`` before the first measurement."""
        return self._rest.venue_clock.reading

    def prepare(self, intent: OrderIntent, permit: Permit) -> None:
        """Have an order signed ahead, while its journal entry becomes durable (ADR 48). It waits for nothing and sends nothing."""
        self._rest.prepare(intent, permit)

    async def place(self, intent: OrderIntent, permit: Permit) -> PlaceOutcome:
        """Send one order, once (architecture.md §4.5). ``outcomes.place_outcome`` says what each reply proves."""
        return await self.trading.place(intent, permit)

    async def cancel(self, symbol: str, client_id: str) -> CancelOutcome:
        """Ask for one order's cancellation (mexc-spot-v3.md §4.6). The status in the reply proves nothing and is ignored."""
        return await self.trading.cancel(OrderRef(symbol, client_id=client_id))

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        """Cancel every open order of these symbols, five symbols a call. Every call is made; the first failure is reported."""
        failed: CancelFailed | None = None
        wanted = list(dict.fromkeys(symbols))
        for first in range(0, len(wanted), MAX_SYMBOLS_PER_CANCEL):
            outcome = await self.trading.cancel_open(wanted[first : first + MAX_SYMBOLS_PER_CANCEL])
            if isinstance(outcome, CancelFailed) and failed is None:
                failed = outcome
        return failed or CancelAck()

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        """Look one order up; ``None`` for -2013, which right after a placement may be lag (§6). Raises ``VenueError`` otherwise."""
        try:
            report = await self.trading.order(OrderRef(symbol, client_id=client_id))
        except VenueRefusal as refusal:
            if refusal.error.code == ErrorCode.NO_SUCH_ORDER and refusal.error.certainty is Certainty.PERMANENT:
                return None
            raise
        if report.symbol != symbol or report.client_id not in {client_id, ""}:
            raise MalformedReply(f"asked for {client_id} on {symbol}, got {report.client_id} on {report.symbol}")
        return report

    async def open_orders(self, symbol: str) -> Sequence[ListedOrder]:
        """Every order that can still trade. Raises ``VenueError``."""
        return await self.trading.open_orders([symbol])

    async def remaining(self, symbols: Sequence[str]) -> Sequence[ListedOrder]:
        """Every order of these symbols that can still trade, asked ahead of other queries. Raises ``VenueError``."""
        # One symbol a call: that a call takes several is documented in one place only (§4.10), and a proof must not rest on it.
        return [order for symbol in dict.fromkeys(symbols) for order in await self.trading.open_orders([symbol], Lane.EMPTYING)]

    async def fills(self, symbol: str, since: Millis) -> Sequence[Fill]:
        """Our trades at or after ``since``, oldest first, complete as far as MEXC keeps them: one month (§4.11).

        A full page may hide other trades, and neither its order nor whether the bounds are inclusive is documented. So the range
        of a full page is split, with overlap, until no page is full.

        Raises:
            VenueError: a query failed, or more trades share three milliseconds than one page holds.
        """
        end = Millis(await self._rest.server_time() + 1_000)
        # MEXC cuts the time of a trade to whole seconds (§6), so a trade after ``since`` may say that it was before.
        earliest = since // _SECOND * _SECOND
        found: dict[tuple[str, str], Fill] = {}
        pending = [(Millis(max(0, since - 1)), max(end, since))]
        while pending:
            start, stop = pending.pop()
            query = HistoryQuery(symbol, MY_TRADES_PAGE, start=start, end=stop)
            page = await self.trading.trades(query)
            if len(page) < MY_TRADES_PAGE:
                found.update({(fill.order_id, fill.trade_id): fill for fill in page if fill.at >= earliest})
                continue
            if stop - start <= _NARROWEST:
                raise VenueError(
                    f"{MY_TRADES_PAGE} or more trades of {symbol} fall in {start}..{stop}; MEXC cannot list them all",
                    code="fills-not-enumerable",
                    remedy="Query the trades of each order of that time on MEXC's own page and reconcile by hand.",
                )
            pending += _split(page, start, stop)
        return sorted(found.values(), key=lambda fill: (fill.at, fill.trade_id))

    async def balances(self) -> Mapping[str, Balance]:
        """Every asset with a balance. Raises ``VenueError``."""
        return (await self.account.account()).balances

    async def capital_moves(self, since: Millis) -> Sequence[CapitalMove]:
        """Every complete deposit and withdrawal at or after ``since``. Raises ``VenueError``, also where the key may not ask."""
        return await self.account.capital_moves(since)

    async def symbol_rules(self, symbols: Sequence[str]) -> Mapping[str, SymbolRules]:
        """Rules of those symbols that are listed. An unknown symbol may fail the whole call (§6.1); then each is queried alone."""
        wanted = list(dict.fromkeys(symbols))
        if not wanted:
            return {}
        params = [("symbol", wanted[0])] if len(wanted) == 1 else [("symbols", ",".join(wanted))]
        try:
            return parse_exchange_info(await self._rest.public("/exchangeInfo", params), set(wanted))
        except VenueRefusal as refusal:
            if refusal.error.code != ErrorCode.BAD_SYMBOL:
                raise
        if len(wanted) == 1:
            return {}
        return {name: rules for one in wanted for name, rules in (await self.symbol_rules([one])).items()}

    async def ticker(self, symbol: str) -> BookTicker | None:
        """The best prices by REST; ``None`` while a side of the book is empty. Raises ``VenueError``."""
        return parse_book_ticker(await self._rest.public("/ticker/bookTicker", [("symbol", symbol)]))

    async def server_time(self) -> Millis:
        """The venue's clock. Raises ``VenueError``."""
        return await self._rest.server_time()

    def events(self) -> AsyncIterator[VenueEvent]:
        """Private events as they arrive, with a ``StreamGap`` at every loss and every (re)connect."""
        return self._private.events()

    async def aclose(self) -> None:
        """Release the connections."""
        await self._rest.aclose()


def _split(page: Sequence[Fill], start: Millis, stop: Millis) -> list[tuple[Millis, Millis]]:
    """Smaller ranges that cover ``start..stop``, cut where the page seems to end early.

    The narrow middle range covers the cut even if the bounds turn out to be exclusive.
    """
    if stop - start <= _NARROW:
        return [(Millis(at - 1), Millis(at + 1)) for at in range(start, stop + 1)]
    times = [fill.at for fill in page]
    cut = min(times) if times[0] >= times[-1] else max(times)
    if not start < cut < stop:
        cut = Millis((start + stop) // 2)
    return [(start, Millis(cut - 1)), (Millis(cut - 2), Millis(cut + 2)), (Millis(cut + 1), stop)]
