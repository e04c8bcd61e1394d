"""MEXC, or anything that speaks its protocol, as a ``Venue``. Placing is sent once and judged by what the reply proves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from exchange.errors import GatehouseError, VenueError
from exchange.mexc.http import Failure, Outcome
from exchange.mexc.private import PrivateStream
from exchange.mexc.ratelimit import Lane
from exchange.mexc.rest import RestCaller, VenueRefusal
from exchange.model import Balance, Fill, Millis, OrderIntent, OrderReport, SymbolRules
from exchange.ports import (
    Ack,
    CancelAck,
    CancelFailed,
    CancelOutcome,
    ClockReading,
    Permit,
    PlaceOutcome,
    Rejected,
    Unknown,
    VenueEvent,
    VenueName,
)
from exchange.wire.account import MY_TRADES_PAGE, HistoryQuery, history_params, parse_account, parse_my_trades
from exchange.wire.errors import Certainty, ErrorCode, MalformedReply, WireError, load_json, parse_error
from exchange.wire.orders import (
    MAX_SYMBOLS_PER_CANCEL,
    OrderRef,
    order_ref_params,
    parse_ack,
    parse_cancel,
    parse_order,
    parse_orders,
)
from exchange.wire.symbols import parse_exchange_info

LOCAL_REFUSAL = -1
"""The code of refusals decided on this side, before a byte left. MEXC has none such."""

NO_ANSWER = -2
"""The code of a cancel whose reply never came or could not be read."""

_PROVES_NO_REJECTION = frozenset({ErrorCode.NO_SUCH_ORDER, ErrorCode.UNKNOWN_ORDER})
_WAF = 403
_NARROWEST, _NARROW = 2, 4


class MexcVenue:
    """One account behind MEXC's protocol. Build it with ``exchange.mexc.connect``."""

    def __init__(self, name: VenueName, rest: RestCaller, private: PrivateStream) -> None:
        self._name = name
        self._rest = rest
        self._private = private

    @property
    def name(self) -> VenueName:
        """Which of the three venues it is."""
        return self._name

    @property
    def clock_reading(self) -> ClockReading | None:
        """Our clock less the venue's and the measurement's age, from several exchanges; ``None`` before the first."""
        return self._rest.venue_clock.reading

    async def place(self, intent: OrderIntent, permit: Permit) -> PlaceOutcome:
        """Send one order, once (DESIGN §4.5).

        ``Rejected`` only when the venue documents the code as a refusal, or when nothing left this process: then the code is
        ``LOCAL_REFUSAL``. Time-outs, 5xx, redirects, firewall pages, unreadable replies and undocumented codes are ``Unknown``.
        """
        try:
            outcome = await self._rest.place(intent, permit)
        except GatehouseError as refusal:
            return Rejected(LOCAL_REFUSAL, f"{refusal.code}: {refusal.message}")
        if isinstance(outcome, Failure):
            return Rejected(LOCAL_REFUSAL, outcome.reason) if outcome.never_sent else Unknown(outcome.reason)
        error = parse_error(outcome.status, outcome.body)
        if error is not None:
            return _judge(error)
        try:
            ack = parse_ack(load_json(outcome.body))
        except MalformedReply as malformed:
            return Unknown(malformed.message)
        if ack.symbol != intent.symbol:
            return Unknown(f"the reply acknowledges {ack.symbol} instead of {intent.symbol}")
        return Ack(ack.order_id, ack.at if ack.at is not None else self._rest.venue_clock.now())

    async def cancel(self, symbol: str, client_id: str) -> CancelOutcome:
        """Ask for one order's cancellation (mexc-spot-v3.md §4.6). A reply's status proves nothing and is not looked at."""
        return await self._cancel("/order", order_ref_params(OrderRef(symbol, client_id=client_id)), single=True)

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        """Cancel every open order of these symbols, five symbols a call. Every call is made; the first failure is reported."""
        failed: CancelFailed | None = None
        wanted = list(dict.fromkeys(symbols))
        for first in range(0, len(wanted), MAX_SYMBOLS_PER_CANCEL):
            chunk = ",".join(wanted[first : first + MAX_SYMBOLS_PER_CANCEL])
            outcome = await self._cancel("/openOrders", [("symbol", chunk)], single=False)
            if isinstance(outcome, CancelFailed) and failed is None:
                failed = outcome
        return failed or CancelAck()

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        """Look one order up; ``None`` for -2013, which right after a placement may be lag (§6). Raises ``VenueError`` otherwise."""
        try:
            decoded = await self._rest.query("/order", order_ref_params(OrderRef(symbol, client_id=client_id)))
        except VenueRefusal as refusal:
            if refusal.error.code == ErrorCode.NO_SUCH_ORDER and refusal.error.certainty is Certainty.PERMANENT:
                return None
            raise
        report = parse_order(decoded)
        if report.symbol != symbol or report.client_id not in {client_id, ""}:
            raise MalformedReply(f"asked for {client_id} on {symbol}, got {report.client_id} on {report.symbol}")
        return report

    async def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        """Every order that can still trade. Raises ``VenueError``."""
        return parse_orders(await self._rest.query("/openOrders", [("symbol", symbol)]))

    async def fills(self, symbol: str, since: Millis) -> Sequence[Fill]:
        """Our trades at or after ``since``, oldest first, complete as far as MEXC keeps them: one month (§4.11).

        A full page may hide others, and neither its order nor the bounds' inclusiveness is documented, so a full page's range is
        split, with overlap, until every page has room to spare.

        Raises:
            VenueError: a query failed, or more trades share three milliseconds than one page holds.
        """
        end = Millis(await self._rest.server_time() + 1_000)
        found: dict[tuple[str, str], Fill] = {}
        pending = [(Millis(max(0, since - 1)), max(end, since))]
        while pending:
            start, stop = pending.pop()
            query = HistoryQuery(symbol, MY_TRADES_PAGE, start=start, end=stop)
            page = parse_my_trades(await self._rest.query("/myTrades", history_params(query)))
            if len(page) < MY_TRADES_PAGE:
                found.update({(fill.order_id, fill.trade_id): fill for fill in page if fill.at >= since})
                continue
            if stop - start <= _NARROWEST:
                raise VenueError(
                    f"{MY_TRADES_PAGE} or more trades of {symbol} fall in {start}..{stop}; MEXC cannot list them all",
                    code="fills-not-enumerable",
                    remedy="Query the trades of each order of that moment on MEXC's own page and reconcile by hand.",
                )
            pending += _split(page, start, stop)
        return sorted(found.values(), key=lambda fill: (fill.at, fill.trade_id))

    async def balances(self) -> Mapping[str, Balance]:
        """Every asset with a balance. Raises ``VenueError``."""
        return parse_account(await self._rest.query("/account", lane=Lane.ACCOUNT)).balances

    async def symbol_rules(self, symbols: Sequence[str]) -> Mapping[str, SymbolRules]:
        """Rules of those symbols that are listed. An unknown symbol may fail the whole call (§6.1), then each is asked alone."""
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

    async def server_time(self) -> Millis:
        """The venue's clock. Raises ``VenueError``."""
        return await self._rest.server_time()

    def events(self) -> AsyncIterator[VenueEvent]:
        """Private events as they arrive, with a ``StreamGap`` at every loss and every (re)connect."""
        return self._private.events()

    async def aclose(self) -> None:
        """Release the connections."""
        await self._rest.aclose()

    async def _cancel(self, path: str, params: Sequence[tuple[str, str]], *, single: bool) -> CancelOutcome:
        try:
            outcome: Outcome = await self._rest.cancel(path, params)
        except GatehouseError as refusal:
            return CancelFailed(LOCAL_REFUSAL, f"{refusal.code}: {refusal.message}")
        if isinstance(outcome, Failure):
            return CancelFailed(NO_ANSWER, outcome.reason)
        error = parse_error(outcome.status, outcome.body)
        if error is not None:
            return CancelFailed(error.code, error.msg)
        try:
            decoded = load_json(outcome.body)
            if single:
                parse_cancel(decoded)
        except MalformedReply as malformed:
            return CancelFailed(NO_ANSWER, malformed.message)
        return CancelAck()


def _split(page: Sequence[Fill], start: Millis, stop: Millis) -> list[tuple[Millis, Millis]]:
    """Smaller ranges that cover ``start..stop``, cut where the page seems to have stopped short.

    The narrow middle range covers the cut even if the bounds turn out to be exclusive.
    """
    if stop - start <= _NARROW:
        return [(Millis(at - 1), Millis(at + 1)) for at in range(start, stop + 1)]
    times = [fill.at for fill in page]
    cut = min(times) if times[0] >= times[-1] else max(times)
    if not start < cut < stop:
        cut = Millis((start + stop) // 2)
    return [(start, Millis(cut - 1)), (Millis(cut - 2), Millis(cut + 2)), (Millis(cut + 1), stop)]


def _judge(error: WireError) -> PlaceOutcome:
    # A firewall page says nothing about the order, and "unknown order" is no answer to a placement.
    if (
        error.certainty is Certainty.UNKNOWN
        or (error.http_status == _WAF and not error.coded)
        or error.code in _PROVES_NO_REJECTION
    ):
        return Unknown(f"MEXC {error.code} ({error.msg}), HTTP {error.http_status}")
    return Rejected(error.code, error.msg)
