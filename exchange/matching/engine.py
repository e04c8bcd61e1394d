"""The matching engine: orders against a tape's market. Pure and deterministic; time is an argument. Testnet and mock venue call it.

Theory of operation (execution-safety.md §5). The tape's book and trades are the market. Testnet orders trade with it and never with
each other, not even two orders of one account: the engine models neither self-trades nor market impact. Only self-trade prevention
looks at other testnet orders: a new order with an ``stpMode`` that would reach a resting order of its STP group is handled as that
mode says (mexc-spot-v3.md §4.11); the resting order's own mode plays no part.

- A **taker** walks the displayed depth at its arrival, minus what earlier takers consumed.
- A **maker** joins the queue behind everything displayed at its price. Trades of the other side at that price use up the queue
  ahead, and the rest of them fills it. A trade strictly beyond its price fills it up to the trade's size. A book whose opposite
  best is strictly beyond its price fills it, at its own price, up to what is displayed there. A price that is only touched never
  fills it.
- While the book is missing, gapped or crossed nothing fills. Limit orders are accepted and wait, immediate ones are canceled, and
  MARKET orders are refused because there is no valid trade price.

The same records, requests and seed produce the same events and the same ``fills_digest``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from exchange.book import BookStatus, Level
from exchange.decimals import decimals
from exchange.errors import ConfigError, UsageError
from exchange.forms import bought_for, collar_price
from exchange.matching.accounts import LedgerAccount, with_fee
from exchange.matching.events import Accepted, Canceled, EngineEvent, FillRecord, OrderChanged, OrderView, Refusal
from exchange.matching.fees import FeePolicy, QuoteFees
from exchange.matching.order_checks import MAX_OPEN_ORDERS, check, refused
from exchange.matching.registry import Registry
from exchange.matching.resting import FillModel, LiveOrder
from exchange.matching.saved import AccountState, EngineState
from exchange.matching.settlement import Settlement
from exchange.matching.venue_market import VenueMarket, unrelated
from exchange.model import Balance, Fill, Millis, OrderIntent, OrderType, Quote, Side, SymbolRules, round_up
from exchange.tape import TapeRecord, TapeTrade
from exchange.wire.errors import ErrorCode
from exchange.wire.orders import StpMode

EPOCH = Millis(0)
FOREVER = Millis(2**53)
"""Before and after every instant: the open ends of a query's window."""

_DIGITS = 28


class DuplicateClientIds(StrEnum):
    """How to handle a client order id that the account has used before; MEXC's behaviour is unknown (mexc-spot-v3.md §4.14)."""

    REJECT = "reject"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class _Vetted:
    """An order as the venue takes it: a MARKET order gets its collar as the price, a MARKET BUY by amount a quantity."""

    rules: SymbolRules
    price: Decimal
    quantity: Decimal | None


class Engine:
    """Accounts, orders and markets of one venue. See the module for the rules of matching.

    A duplicate client id is refused with 33333, the documented generic parameter error: no source names a code for it.
    """

    def __init__(
        self,
        rules: Mapping[str, SymbolRules],
        model: FillModel = FillModel.PESSIMISTIC,
        seed: int = 0,
        duplicates: DuplicateClientIds = DuplicateClientIds.REJECT,
        fees: FeePolicy | None = None,
        related: Callable[[str, str], bool] = unrelated,
        ids: str = "",
    ) -> None:
        """``ids``: as for ``Registry``. With one of its own an engine gives order and trade ids that no other has given."""
        for symbol_rules in rules.values():
            _require_exact(symbol_rules)
        self.rules = dict(rules)
        self._model = model
        self._related = related
        self._duplicates = duplicates
        self._accounts: dict[str, LedgerAccount] = {}
        self._registry = Registry(seed, ids)
        self._settlement = Settlement(self._accounts, self._registry, QuoteFees() if fees is None else fees)
        self._markets = {symbol: VenueMarket(one, model, self._settlement, related) for symbol, one in rules.items()}
        self._sequence = 0

    def list_symbol(self, rules: SymbolRules) -> None:
        """Trade one more symbol from now on. A symbol that is listed keeps its market and the rules it has."""
        if rules.symbol not in self.rules:
            _require_exact(rules)
            self.rules[rules.symbol] = rules
            self._markets[rules.symbol] = VenueMarket(rules, self._model, self._settlement, self._related)

    def open_account(self, name: str, balances: Mapping[str, Decimal], at: Millis) -> list[EngineEvent]:
        """Create an account, or add to the account of that name. Raises ``UsageError`` for an invalid amount."""
        account = self._accounts.setdefault(name, LedgerAccount(name))
        for asset, amount in balances.items():
            self._settlement.moved(name, account.deposit(asset, amount), at)
        return self._settlement.take()

    def withdraw(self, name: str, asset: str, amount: Decimal, at: Millis) -> list[EngineEvent]:
        """Take free funds out of an account, as a withdrawal would.

        Raises ``UsageError`` for an account that was never opened, for an invalid amount, and for more than is free.
        """
        change = self._account(name).withdraw(asset, amount)
        if change is None:
            raise UsageError(
                f"{name} has less than {amount} {asset} free",
                code="withdrawal-too-large",
                remedy="Withdraw less, or cancel the orders that lock it.",
            )
        self._settlement.moved(name, change, at)
        return self._settlement.take()

    def feed(self, record: TapeRecord) -> list[EngineEvent]:
        """Apply the market's next record. Raises ``UsageError`` for a symbol the testnet does not list."""
        market = self._market(record.symbol)
        if isinstance(record, TapeTrade):
            market.on_trade(record.trade)
        else:
            market.on_depth(record)
        return self._settlement.take()

    def shift_prices(self, symbol: str, factor: Decimal, at: Millis) -> list[EngineEvent]:
        """Multiply every later price of the symbol's tape by ``factor``: a price gap, for drills. Shifts accumulate.

        The book is replaced in one chained delta and the orders the gap crossed fill by the usual rules.
        Raises ``UsageError`` for an unlisted symbol or a factor that is not positive.
        """
        self._market(symbol).shift(factor, at)
        return self._settlement.take()

    def place(self, account: str, intent: OrderIntent, at: Millis, stp_mode: StpMode = StpMode.NONE) -> Accepted | Refusal:
        """Accept an order that arrives at ``at``, lock its funds and match it, or refuse it and change nothing.

        Post-only orders that would cross, and immediate orders that find nothing, are accepted and then end CANCELED
        (mexc-spot-v3.md §4.1). Raises ``UsageError`` for an account that was never opened.
        """
        owner = self._account(account)
        checked = self._vet(account, intent)
        if isinstance(checked, Refusal):
            return checked
        rules, price = checked.rules, checked.price
        asset, amount = _to_lock(intent, checked)
        locked = owner.freeze(asset, amount)
        if locked is None:
            return _too_little(intent.side)
        self._sequence += 1
        order = LiveOrder(
            account=account,
            rules=rules,
            order_id=self._registry.order_id(self._sequence),
            client_id=intent.client_id,
            side=intent.side,
            type=intent.type,
            price=price,
            quantity=checked.quantity,
            quote_quantity=intent.quote_quantity if checked.quantity is None else None,
            reserved=amount,
            sequence=self._sequence,
            created_at=at,
            updated_at=at,
            stp_mode=stp_mode,
        )
        self._registry.add(order)
        self._settlement.moved(account, locked, at)
        self._settlement.changed(order, at)
        self._markets[intent.symbol].arrive(order, at)
        events = self._settlement.take()
        # Every change of the order has brought an event with it, so the last one of them is the order as it is now.
        views = (
            one.order for one in reversed(events) if isinstance(one, OrderChanged) and one.order.report.order_id == order.order_id
        )
        return Accepted(next(views), tuple(events))

    def test(self, account: str, intent: OrderIntent) -> Refusal | None:
        """What ``place`` would refuse, without placing (mexc-spot-v3.md §4.4)."""
        owner = self._account(account)
        checked = self._vet(account, intent)
        if isinstance(checked, Refusal):
            return checked
        asset, amount = _to_lock(intent, checked)
        return None if owner.free(asset) >= amount else _too_little(intent.side)

    def cancel(
        self, account: str, symbol: str, at: Millis, *, order_id: str | None = None, client_id: str | None = None
    ) -> Canceled | Refusal:
        """Cancel one open order by either id. -2011 for an order that is unknown or has ended (mexc-spot-v3.md §4.6)."""
        order = self._registry.find(account, symbol, order_id=order_id, client_id=client_id)
        if order is None or not order.is_open:
            return refused(ErrorCode.UNKNOWN_ORDER, "Unknown order sent.")
        return self._cancel(order, at)

    def cancel_all(self, account: str, at: Millis, symbols: Sequence[str] | None = None) -> list[Canceled]:
        """Cancel every open order of the account, on these symbols or on all (mexc-spot-v3.md §4.7, §4.8)."""
        chosen = (o for o in self._registry.open_orders(account) if symbols is None or o.rules.symbol in symbols)
        return [self._cancel(order, at) for order in chosen]

    def order(self, account: str, symbol: str, *, order_id: str | None = None, client_id: str | None = None) -> OrderView | None:
        """One order, by the exchange's id or by client id (the latest that used it)."""
        order = self._registry.find(account, symbol, order_id=order_id, client_id=client_id)
        return None if order is None else order.view()

    def open_orders(self, account: str, symbol: str | None = None) -> list[OrderView]:
        """The account's open orders, newest first."""
        return [order.view() for order in self._registry.open_orders(account, symbol)]

    def orders(
        self, account: str, symbol: str, *, since: Millis = EPOCH, until: Millis = FOREVER, limit: int = 1000
    ) -> list[OrderView]:
        """The account's orders created in the window, both ends included, newest first."""
        return [order.view() for order in self._registry.orders(account, symbol, since, until, limit)]

    def fills(
        self,
        account: str,
        symbol: str,
        *,
        order_id: str | None = None,
        since: Millis = EPOCH,
        until: Millis = FOREVER,
        limit: int | None = None,
    ) -> list[Fill]:
        """The account's fills in the window, both ends included, newest first."""
        return list(islice(self._registry.fills(account, symbol, order_id=order_id, since=since, until=until), limit))

    def balances(self, account: str) -> Mapping[str, Balance]:
        """Every asset the account has or had. Raises ``UsageError`` for an account that was never opened."""
        return self._account(account).balances()

    def quote(self, symbol: str, received_at: Millis) -> Quote | None:
        """Best published prices, or ``None`` while the book is missing, gapped or crossed."""
        return self._market(symbol).depth.book.quote(received_at)

    def depth(self, symbol: str, limit: int) -> tuple[int, list[Level], list[Level]]:
        """``(version, bids, asks)`` as published, best first; version 0 before the first book."""
        book = self._market(symbol).depth.book
        return (book.version, *book.depth(limit))

    def book_status(self, symbol: str) -> BookStatus:
        """Whether the symbol's book can be trusted; nothing fills while it is not LIVE."""
        return self._market(symbol).depth.book.status

    @property
    def sequence(self) -> int:
        """The number of the last order that was placed; ids follow from it."""
        return self._sequence

    def order_record(self, order_id: str) -> LiveOrder:
        """An order with all that determines how it continues, to be saved and never changed. Raises ``KeyError``."""
        return self._registry.record_of(order_id)

    def every_order(self) -> tuple[LiveOrder, ...]:
        """Every order of every account, in the order in which they were placed; to be read and never changed."""
        return self._registry.every_order()

    def market_marks(self, symbol: str) -> tuple[int, int, Decimal]:
        """A symbol's published version, its offset from the tape's, and the factor of its prices. ``UsageError``: unlisted."""
        return self._market(symbol).depth.marks

    def state(self) -> EngineState:
        """Everything that determines how the engine continues, as a value."""
        return EngineState(
            sequence=self._sequence,
            accounts=tuple(AccountState(name, account.assets()) for name, account in self._accounts.items()),
            orders=tuple(replace(order, passed=list(order.passed)) for order in self._registry.every_order()),
            fills=tuple(self._registry.log()),
            markets=tuple(market.state() for market in self._markets.values()),
        )

    def load(self, state: EngineState) -> None:
        """Continue from a saved state, in an engine that has not traded. Accounts outside the state stay unchanged.

        Raises ``IntegrityError`` for impossible balances or levels, ``UsageError`` for a symbol that is not listed.
        """
        self._sequence = state.sequence
        for one in state.accounts:
            self._accounts.setdefault(one.name, LedgerAccount(one.name)).load(one.assets)
        for order in state.orders:
            self._registry.add(order)
            if not order.is_open:
                self._registry.close(order)
        for record in state.fills:
            self._registry.record(record.account, record.fill, record.evidence)
        for market in state.markets:
            resting = [order for order in state.orders if order.is_open and order.rules.symbol == market.symbol]
            self._market(market.symbol).load(market, resting)

    def fill_log(self) -> Sequence[FillRecord]:
        """Every fill of every account with its evidence, oldest first."""
        return self._registry.log()

    def fills_digest(self) -> str:
        """SHA-256 over every fill so far with its evidence, as hex: equal for equal records, requests and seed."""
        return self._registry.digest()

    def _vet(self, account: str, intent: OrderIntent) -> _Vetted | Refusal:
        """What the order becomes, or why the venue refuses it."""
        rules = self.rules.get(intent.symbol)
        if rules is None:
            return refused(ErrorCode.BAD_SYMBOL, "Invalid symbol.")
        book = self._markets[rules.symbol].depth.book
        best = book.best(intent.side.opposite) if book.is_tradable else None
        problem = check(rules, intent, best)
        if problem is not None:
            return problem
        repeated = intent.client_id and self._registry.has_client_id(account, intent.client_id)
        if repeated and self._duplicates is DuplicateClientIds.REJECT:
            return refused(ErrorCode.BAD_PARAMETER, "Duplicate newClientOrderId.")
        if self._registry.open_count(account) >= MAX_OPEN_ORDERS:
            return refused(ErrorCode.TOO_MANY_OPEN_ORDERS, "Maximum open order limit reached")
        return _vetted(rules, intent, best, tradable=book.is_tradable)

    def _cancel(self, order: LiveOrder, at: Millis) -> Canceled:
        before = order.view()
        self._markets[order.rules.symbol].cancel(order, at)
        return Canceled(before, order.view(), tuple(self._settlement.take()))

    def _market(self, symbol: str) -> VenueMarket:
        market = self._markets.get(symbol)
        if market is None:
            raise UsageError(
                f"the testnet does not list {symbol}", code="symbol-not-listed", remedy=f"Use one of {', '.join(self._markets)}."
            )
        return market

    def _account(self, name: str) -> LedgerAccount:
        account = self._accounts.get(name)
        if account is None:
            raise UsageError(f"there is no account {name!r}", code="account-missing", remedy="Open the account first.")
        return account


def _vetted(rules: SymbolRules, intent: OrderIntent, best: Decimal | None, *, tradable: bool) -> _Vetted | Refusal:
    if intent.type is not OrderType.MARKET and intent.price is not None:
        return _Vetted(rules, intent.price, intent.quantity)
    if not tradable:
        return refused(ErrorCode.NO_VALID_PRICE, "no valid trade price")
    if best is None:
        return refused(ErrorCode.NO_OPPOSING_ORDER, "no opposing order")
    quantity = intent.quantity
    if intent.side is Side.BUY and intent.quote_quantity is not None:
        quantity = bought_for(intent.quote_quantity, best, rules)
    return _Vetted(rules, collar_price(intent.side, best, rules), quantity)


def _to_lock(intent: OrderIntent, vetted: _Vetted) -> tuple[str, Decimal]:
    """The asset and the amount an order must lock when it is placed."""
    rules, price = vetted.rules, vetted.price
    if intent.side is Side.BUY:
        amount = intent.quote_quantity if intent.quantity is None else price * intent.quantity
        return rules.quote, with_fee(amount or Decimal(0), max(rules.maker_fee, rules.taker_fee))
    if intent.quantity is not None:
        return rules.base, intent.quantity
    return rules.base, round_up((intent.quote_quantity or Decimal(0)) / price, rules.quantity_step)


def _too_little(side: Side) -> Refusal:
    if side is Side.BUY:
        return refused(ErrorCode.INSUFFICIENT_POSITION, "Insufficient position")
    return refused(ErrorCode.OVERSOLD, "Oversold")


def _require_exact(rules: SymbolRules) -> None:
    """Refuse rules whose notional times fee needs more digits than Decimal has, and fees the ledger cannot charge."""
    fees = (rules.maker_fee, rules.taker_fee)
    largest = max(rules.max_notional, rules.max_notional_market)
    digits = largest.adjusted() + 2 + rules.price_precision + rules.quantity_precision + max(decimals(fee) for fee in fees)
    if digits > _DIGITS or not all(0 <= fee < Decimal("0.5") for fee in fees):
        raise ConfigError(
            f"the rules of {rules.symbol} cannot be settled exactly",
            code="rules-not-exact",
            remedy="Lower the precisions or the maximum notional, and keep fees between 0 and 0.5.",
        )
