"""One venue of a campaign: the testnet's matching engine and its accounts, behind a channel that loses, delays and repeats.

The engine's books are the truth. What a query answers is cut out of a record of every change, so that an answer can be as old as
the fault says; ``dialect`` says in which form it is told. Time is given by the caller; nothing here waits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

from exchange.matching.engine import DuplicateClientIds, Engine
from exchange.matching.events import EngineEvent, Filled, OrderChanged, Refusal
from exchange.model import Balance, Fill, MarketTrade, Millis, OrderIntent, OrderReport, OrderStatus, OrderType, Side
from exchange.ports import VenueName
from exchange.tape import DepthSnapshot, TapeTrade
from tests.support.campaign.dialect import PLAIN, Dialect
from tests.support.desk_parts import RULES, SYMBOL

ACCOUNT = "ours"
OPEN = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
ZERO = Decimal(0)
_FOREIGN = "somebody-else-"
_CENT = Decimal("0.01")
_THIN, _DEEP = Decimal("0.00005"), Decimal(2)


@dataclass(slots=True)
class Faults:
    """What is wrong with the venue now. Instants are the end of a fault, numbers count down.

    Until ``lag_until`` answers are as old as the lags say, or show the moment ``stuck_at`` and nothing later.
    """

    down_until: int = 0
    frozen_until: int = 0
    lag_until: int = 0
    order_lag: int = 0
    account_lag: int = 0
    stuck_at: int = 0
    slow_until: int = 0
    repeats: int = 0
    swaps: int = 0
    losses: int = 0
    cancels_lost: int = 0
    cancels_late: int = 0

    def healthy_from(self) -> int:
        """When the last of the timed faults ends."""
        return max(self.down_until, self.frozen_until, self.lag_until, self.slow_until)


@dataclass
class CampaignVenue:
    """The venue, the account on it, and the faults in force. ``push`` gets every event of the private stream that is not lost.

    Its clock is ``skew_ms`` behind ours.
    """

    name: VenueName
    opening: dict[str, Decimal]
    price: Decimal
    now: Millis
    push: Callable[[VenueName, OrderReport | Fill, int], None]
    reached: Counter[str]
    faults: Faults = field(default_factory=Faults)
    dialect: Dialect = PLAIN
    skew_ms: int = 0

    def __post_init__(self) -> None:
        # A venue that takes an id twice: an order that is sent twice must be seen, and not be refused.
        self.engine = Engine({SYMBOL: RULES}, duplicates=DuplicateClientIds.ACCEPT)
        self.received: Counter[str] = Counter()
        self.held = ZERO
        self.fills: dict[str, Fill] = {}
        self.named: dict[str, Fill] = {}
        self._told_trades: list[tuple[Millis, Fill]] = []
        self.lowest_ask = Decimal("Infinity")
        self._history: dict[str, list[tuple[Millis, OrderReport]]] = {}
        self._ids: dict[str, str] = {}
        self._hidden_until: dict[str, int] = {}
        self._version = self._trades = 0
        self.changed = False
        self.engine.open_account(ACCOUNT, self.opening, self.now)
        self._balances: list[tuple[Millis, dict[str, Balance]]] = [(self.now, self._balances_now())]
        self.set_price(self.price, self.now)

    # The market

    def set_price(self, price: Decimal, now: Millis) -> None:
        """Show a new book: a thin best level on each side, and a deep one behind it."""
        self.price, self.now = price, now
        self._version += 1
        bid, ask = self.best(price)
        bids = ((bid, _THIN), ((bid * Decimal("0.999")).quantize(_CENT, ROUND_DOWN), _DEEP))
        asks = ((ask, _THIN), ((ask * Decimal("1.001")).quantize(_CENT, ROUND_CEILING), _DEEP))
        self.lowest_ask = min(self.lowest_ask, ask)
        self._happened(self.engine.feed(DepthSnapshot(SYMBOL, self._version, bids, asks, now, now)))

    @staticmethod
    def best(price: Decimal) -> tuple[Decimal, Decimal]:
        """The best bid and ask at a price."""
        half = Decimal("0.5")
        return max(price - half, _CENT), price + half

    def print_trade(self, which: int, part: int, now: Millis) -> None:
        """A public trade strictly beyond the price of one of our resting orders: it fills ``part`` quarters of it."""
        if (order := self._resting(which)) is not None:
            left = order.quantity - order.executed
            self._trade(order, max((left * part / 4).quantize(RULES.quantity_step, ROUND_DOWN), RULES.quantity_step), now)

    def print_equal(self, which: int, steps: int, now: Millis) -> None:
        """A public trade that fills so many steps of one of our resting orders: the next one may be equal to it."""
        if (order := self._resting(which)) is not None:
            self._trade(order, min(order.quantity - order.executed, steps * RULES.quantity_step), now)

    def _resting(self, which: int) -> OrderReport | None:
        mine = sorted(self.open_reports(), key=lambda report: report.order_id)
        return mine[which % len(mine)] if mine else None

    def _trade(self, order: OrderReport, quantity: Decimal, now: Millis) -> None:
        beyond = order.price - _CENT if order.side is Side.BUY else order.price + _CENT
        self._trades += 1
        trade = MarketTrade(SYMBOL, beyond, quantity, order.side.opposite, now, f"P{self._trades}")
        self._happened(self.engine.feed(TapeTrade(trade, now)))

    def show_everything(self) -> None:
        """The lists and the look-ups hide no order any more."""
        self._hidden_until.clear()

    # Our orders

    def arrive(self, intent: OrderIntent, now: Millis, hidden_ms: int = 0) -> OrderReport | Refusal:
        """An order of ours reaches the venue."""
        self.received[intent.client_id] += 1
        self._hidden_until[intent.client_id] = now + hidden_ms
        outcome = self.engine.place(ACCOUNT, intent, now)
        if isinstance(outcome, Refusal):
            return outcome
        self._ids[intent.client_id] = outcome.order.report.order_id
        self._happened(outcome.events)
        return outcome.order.report

    def place_foreign(self, number: int, now: Millis) -> None:
        """Somebody else uses the account."""
        price = (self.price * Decimal("0.7")).quantize(_CENT, ROUND_DOWN)
        intent = OrderIntent(SYMBOL, Side.BUY, OrderType.LIMIT, f"{_FOREIGN}{number}", Decimal("0.00005"), None, price)
        outcome = self.engine.place(ACCOUNT, intent, now)
        if not isinstance(outcome, Refusal):
            self._ids[intent.client_id] = outcome.order.report.order_id
            self._happened(outcome.events)

    def cancel(self, client_id: str, now: Millis) -> bool:
        """A cancel reaches the venue. ``False``: the order is unknown there or has ended."""
        outcome = self.engine.cancel(ACCOUNT, SYMBOL, now, client_id=client_id)
        if isinstance(outcome, Refusal):
            return False
        self._happened(outcome.events)
        return True

    def cancel_all(self, now: Millis) -> None:
        """A cancel of everything reaches the venue."""
        for one in self.engine.cancel_all(ACCOUNT, now):
            self._happened(one.events)

    # The books

    def open_reports(self) -> list[OrderReport]:
        """Our open orders, as they are."""
        return [view.report for view in self.engine.open_orders(ACCOUNT) if not view.report.client_id.startswith(_FOREIGN)]

    def truth(self, client_id: str) -> OrderReport | None:
        """One order of ours, as it is."""
        view = self.engine.order(ACCOUNT, SYMBOL, client_id=client_id)
        return view.report if view is not None else None

    def worst_quote(self, ask: Decimal, on_the_way: Iterable[OrderIntent] = ()) -> Decimal:
        """The worst case in the quote asset: what is held at ``ask``, and every open buy and every one on its way in full."""
        fee = 1 + RULES.taker_fee
        total = self.held * ask
        for report in self.open_reports():
            if report.side is Side.BUY:
                total += (report.quantity - report.executed) * max(report.price, ask) * fee
        for intent in on_the_way:
            if intent.side is Side.SELL:
                continue
            if intent.quantity is None:
                total += (intent.quote_quantity or ZERO) * fee
            else:
                total += intent.quantity * (ask if intent.price is None else max(intent.price, ask)) * fee
        return total

    # Queries, as old as the fault says

    def order(self, client_id: str, now: Millis) -> OrderReport | None:
        """The answer to a query of one order."""
        if self._hidden_until.get(client_id, 0) > now:
            return None
        found = self._at(self._ids.get(client_id, ""), self._seen_at(now, self.faults.order_lag))
        return self.dialect.listed(found) if found is not None else None

    def account(self, now: Millis, since: int = 0) -> tuple[tuple[OrderReport, ...], tuple[Fill, ...], dict[str, Balance]]:
        """The answer to a reading of the account: open orders, trades from ``since`` on and balances of one moment."""
        reports, seen, balances = self._account(now)
        first = bisect_left(self._told_trades, since, key=lambda one: one[0])
        last = bisect_right(self._told_trades, seen, key=lambda one: one[0])
        fills = [fill for _, fill in self._told_trades[first:last]]
        # The product's client puts them into this order.
        fills.sort(key=lambda fill: (fill.at, fill.trade_id))
        return tuple(self.dialect.listed(report) for report in reports), tuple(fills), balances

    def _account(self, now: Millis) -> tuple[list[OrderReport], Millis, dict[str, Balance]]:
        if not self._lags(now) or not (self.faults.account_lag or self.faults.stuck_at):
            hidden = {name for name, until in self._hidden_until.items() if until > now}
            views = self.engine.open_orders(ACCOUNT)
            return [view.report for view in views if view.report.client_id not in hidden], now, self._balances[-1][1]
        seen = self._seen_at(now, self.faults.account_lag)
        shown = (self._at(name, seen) for client_id, name in self._ids.items() if self._hidden_until.get(client_id, 0) <= now)
        reports = [one for one in shown if one is not None and one.status in OPEN]
        balances = self._balances[max(bisect_right(self._balances, seen, key=lambda one: one[0]) - 1, 0)][1]
        return reports, seen, balances

    def is_down(self, now: Millis) -> bool:
        """Whether every request fails."""
        return now < self.faults.down_until

    def _lags(self, now: Millis) -> bool:
        return now < self.faults.lag_until

    def _seen_at(self, now: Millis, lag: int) -> Millis:
        if not self._lags(now):
            return now
        return Millis(self.faults.stuck_at or now - lag)

    def _at(self, order_id: str, seen: Millis) -> OrderReport | None:
        history = self._history.get(order_id, [])
        index = bisect_right(history, seen, key=lambda one: one[0])
        return history[index - 1][1] if index else None

    def _balances_now(self) -> dict[str, Balance]:
        return {asset: balance for asset, balance in self.engine.balances(ACCOUNT).items() if balance.total}

    def _happened(self, events: Iterable[EngineEvent]) -> None:
        at: Millis | None = None
        for event in events:
            if isinstance(event, OrderChanged):
                at, report = event.at, event.order.report
                self._history.setdefault(report.order_id, []).append((at, report))
                self._stream(report, at)
            elif isinstance(event, Filled):
                at, fill = event.at, replace(event.fill, at=Millis(event.fill.at - self.skew_ms))
                self._tells(fill, at)
                if not fill.client_id.startswith(_FOREIGN):
                    self.held += fill.quantity if fill.side is Side.BUY else -fill.quantity
                self._stream(fill, at)
        if at is not None:
            self.changed = True
            self._balances.append((at, self._balances_now()))

    def _tells(self, fill: Fill, at: Millis) -> None:
        """``named`` finds a trade by either id, and ``_told_trades`` are those of the lists with when they were made."""
        if any(self._is_equal(fill, other) for other in reversed(self.fills.values())):
            self.reached["fill: equal to another"] += 1
        listed = self.dialect.listed_trade(fill)
        self.fills[fill.trade_id] = fill
        self.named[fill.trade_id] = self.named[listed.trade_id] = fill
        self._told_trades.append((at, listed))

    @staticmethod
    def _is_equal(one: Fill, other: Fill) -> bool:
        same = (one.order_id, one.price, one.quantity) == (other.order_id, other.price, other.quantity)
        return same and one.at - other.at < 2_000

    def _stream(self, event: OrderReport | Fill, now: Millis) -> None:
        faults = self.faults
        if now < max(faults.frozen_until, faults.down_until):
            self.reached["stream: an event is lost"] += 1
            return
        delay = 1_700 if now < faults.slow_until else 12
        if faults.swaps and isinstance(event, Fill):
            faults.swaps -= 1
            delay += 1_900
            self.reached["stream: an event is late"] += 1
        if faults.losses and isinstance(event, Fill):
            faults.losses -= 1
            self.reached["stream: a trade is lost"] += 1
            return
        event = self.dialect.streamed_trade(event) if isinstance(event, Fill) else self.dialect.streamed(event)
        self.push(self.name, event, delay)
        if faults.repeats:
            faults.repeats -= 1
            self.reached["stream: an event is repeated"] += 1
            self.push(self.name, event, delay + 31)
