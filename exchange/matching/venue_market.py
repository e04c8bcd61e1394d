"""One symbol of the engine: its book, its resting orders, and the three ways they trade. See ``engine`` for the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from exchange.book import Level
from exchange.matching.events import BookChanged, FillEvidence, MarketTraded, crosses, is_immediate
from exchange.matching.market_book import MarketBook
from exchange.matching.resting import FillModel, LiveOrder, RestingSide
from exchange.matching.saved import MarketState
from exchange.matching.settlement import Settlement
from exchange.model import MarketTrade, Millis, OrderType, Side, SymbolRules
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap
from exchange.wire.orders import STP_CANCEL, StpMode

_ZERO = Decimal(0)
_KEEPS_TAKER = StpMode.CANCEL_MAKER
_Displayed = dict[tuple[Side, Decimal], Decimal]


def unrelated(first: str, second: str) -> bool:  # noqa: ARG001 - the answer is the same for all accounts
    """Without STP groups no two accounts are related, not even an account with itself."""
    return False


class VenueMarket:
    """The market of one symbol. See the module."""

    __slots__ = ("_model", "_related", "_resting", "_settlement", "_traded", "_waiting", "depth", "rules")

    def __init__(
        self, rules: SymbolRules, model: FillModel, settlement: Settlement, related: Callable[[str, str], bool] = unrelated
    ) -> None:
        self.rules = rules
        self.depth = MarketBook(rules)
        self._model = model
        self._settlement = settlement
        self._related = related
        self._resting = {side: RestingSide(side) for side in Side}
        # Whether an order of that side may rest that arrived without a book, so that the next book has to give it its place.
        self._waiting = dict.fromkeys(Side, False)
        self._traded: _Displayed = {}

    def arrive(self, order: LiveOrder, at: Millis) -> None:
        """Match a new order against the current book; the rest enters the book, unless the order type is immediate."""
        book = self.depth.book
        if order.stp_mode is not StpMode.NONE:
            self._prevent_self_trade(order, at)
        if book.is_tradable and order.is_open:
            opposite = book.best(order.side.opposite)
            if order.type is OrderType.LIMIT_MAKER:
                if opposite is not None and crosses(order.side, order.price, opposite):
                    self._settlement.cancel(order, at)
                    return
            else:
                self._sweep(order, at)
        if not order.is_open:
            return
        if is_immediate(order.type):
            self._settlement.cancel(order, at)
            return
        if book.is_tradable:
            order.ahead = book.quantity_at(order.side, order.price)
        self._rest(order)

    def cancel(self, order: LiveOrder, at: Millis) -> None:
        """End an open order."""
        self._resting[order.side].discard(order)
        self._settlement.cancel(order, at)

    def state(self) -> MarketState:
        """Everything that determines how the market continues, except the open orders, as a value."""
        traded = tuple((side, price, quantity) for (side, price), quantity in self._traded.items())
        return MarketState(self.rules.symbol, self.depth.state(), traded)

    def load(self, state: MarketState, orders: Iterable[LiveOrder]) -> None:
        """Become the market of a saved state, with ``orders`` resting on it."""
        self.depth.load(state.depth)
        self._traded = {(side, price): quantity for side, price, quantity in state.traded}
        self._resting = {side: RestingSide(side) for side in Side}
        for order in orders:
            self._rest(order)

    def _rest(self, order: LiveOrder) -> None:
        self._resting[order.side].add(order)
        self._waiting[order.side] = self._waiting[order.side] or order.ahead is None

    def on_trade(self, tape_trade: MarketTrade) -> None:
        """Publish a trade of the tape and let it fill the resting orders it would have met."""
        trade = self.depth.priced(tape_trade)
        self._settlement.events.append(MarketTraded(trade))
        side = trade.taker_side.opposite
        resting = self._resting[side]
        if not resting or not self.depth.book.is_tradable:
            return
        if self._model is not FillModel.PESSIMISTIC:
            key = (side, trade.price)
            self._traded[key] = self._traded.get(key, _ZERO) + trade.quantity
        budget = trade.quantity
        for order in resting:
            if not budget or not crosses(side, order.price, trade.price):
                return
            budget -= self._meet(order, trade, budget)

    def on_depth(self, record: DepthSnapshot | DepthDelta | TapeGap) -> None:
        """Publish a change of the tape's book and fill the resting orders whose price it crossed."""
        before = self._displayed()
        self._after(self.depth.apply(record), before, record.at)

    def shift(self, factor: Decimal, at: Millis) -> None:
        """Multiply all later prices of this symbol by a factor."""
        changed = self.depth.shift(factor, at)
        self._traded.clear()
        if changed is not None:
            self._after(changed, {}, at)

    def _prevent_self_trade(self, order: LiveOrder, at: Millis) -> None:
        """Apply ``stp_mode`` to every resting order of the same group that the new one would reach.

        Before the two meet, the new order takes the better displayed levels and, at the resting order's price, the queue ahead of
        it. A post-only order, and a fill-or-kill order that cannot be filled before that, are canceled.
        """
        while order.is_open and (met := self._first_related(order)) is not None:
            before = None if order.stp_mode is _KEEPS_TAKER else met
            whole = order.type is not OrderType.FILL_OR_KILL or self._covers(order, before)
            if order.type is OrderType.LIMIT_MAKER or not whole:
                order.cancel_reason = STP_CANCEL
                self._settlement.cancel(order, at)
                return
            if self.depth.book.is_tradable:
                self._take(order, at, met)
            if not order.wanted(met.price):
                return
            if order.stp_mode is not StpMode.CANCEL_TAKER:
                met.cancel_reason = STP_CANCEL
                self.cancel(met, at)
            if order.stp_mode is not _KEEPS_TAKER:
                order.cancel_reason = STP_CANCEL
                self._settlement.cancel(order, at)

    def _first_related(self, order: LiveOrder) -> LiveOrder | None:
        for resting in self._resting[order.side.opposite]:
            if not crosses(order.side, order.price, resting.price):
                return None
            if self._related(order.account, resting.account):
                return resting
        return None

    def _sweep(self, order: LiveOrder, at: Millis) -> None:
        if order.type is not OrderType.FILL_OR_KILL or self._covers(order):
            self._take(order, at)

    def _reach(self, order: LiveOrder, met: LiveOrder | None) -> Iterator[Level]:
        """The levels an order can take, best first: all within its limit, or only those before the order ``met``."""
        for price, available in self.depth.available(order.side.opposite, order.price):
            if met is not None and crosses(order.side.opposite, met.price, price) and price != met.price:
                return
            if met is not None and price == met.price:
                yield price, self.rules.quantise_quantity(min(available, met.ahead or _ZERO))
                return
            yield price, available

    def _take(self, order: LiveOrder, at: Millis, met: LiveOrder | None = None) -> None:
        side = order.side.opposite
        evidence = FillEvidence(self.depth.book.version)
        for price, available in self._reach(order, met):
            quantity = min(available, order.wanted(price))
            if not quantity:
                return
            self.depth.consume(side, price, quantity)
            self._settlement.fill(order, price, quantity, maker=False, evidence=evidence, at=at)
            if not order.is_open:
                return

    def _covers(self, order: LiveOrder, met: LiveOrder | None = None) -> bool:
        wanted = order.wanted(order.price)
        for _, available in self._reach(order, met):
            wanted -= available
            if wanted <= 0:
                return True
        return False

    def _meet(self, order: LiveOrder, trade: MarketTrade, budget: Decimal) -> Decimal:
        """Apply one trade to an order's queue and fill it; returns the filled quantity, at most ``budget``."""
        available = budget
        if order.price == trade.price:
            if order.ahead is None:
                return _ZERO
            used = min(order.ahead, budget)
            order.ahead -= used
            available -= used
        else:
            order.ahead = _ZERO
        order.passed.append(trade.trade_id)
        quantity = min(self.rules.quantise_quantity(available), order.wanted(order.price))
        if quantity:
            self._fill_resting(order, quantity, trade.at)
        return quantity

    def _fill_resting(self, order: LiveOrder, quantity: Decimal, at: Millis) -> None:
        evidence = FillEvidence(self.depth.book.version, tuple(order.passed))
        order.passed.clear()
        self._settlement.fill(order, order.price, quantity, maker=True, evidence=evidence, at=at)
        if not order.is_open:
            self._resting[order.side].discard(order)

    def _after(self, changed: BookChanged | None, before: _Displayed, at: Millis) -> None:
        if changed is None:
            return
        self._settlement.events.append(changed)
        if not self.depth.book.is_tradable:
            return
        for side, resting in self._resting.items():
            if resting:
                self._queue(side, before)
                self._through(side, at)
        # Depth is published after the trades it contains, so it includes everything traded before it.
        self._traded.clear()

    def _through(self, side: Side, at: Millis) -> None:
        """Fill resting orders whose price the opposite best has crossed, at their own price, in priority order."""
        for order in self._resting[side]:
            opposite = self.depth.book.best(side.opposite)
            if opposite is None or not crosses(side, order.price, opposite):
                return
            total = _ZERO
            wanted = order.wanted(order.price)
            for price, available in list(self.depth.available(side.opposite, order.price)):
                if price == order.price or total == wanted:
                    break
                quantity = min(available, wanted - total)
                self.depth.consume(side.opposite, price, quantity)
                total += quantity
            if total:
                self._fill_resting(order, total, at)
            if order.is_open:
                return

    def _queue(self, side: Side, before: _Displayed) -> None:
        """Set the queue of orders that arrived without a book; credit cancellations ahead as the fill model says."""
        gives_credit = self._model is not FillModel.PESSIMISTIC
        if not gives_credit and not self._waiting[side]:
            return
        self._waiting[side] = False
        for order in self._resting[side]:
            if order.ahead is None:
                order.ahead = self.depth.book.quantity_at(side, order.price)
            elif gives_credit and order.ahead:
                displayed = self.depth.book.quantity_at(side, order.price)
                self._credit(order, before.get((side, order.price), displayed), displayed)

    def _credit(self, order: LiveOrder, old: Decimal, displayed: Decimal) -> None:
        ahead = order.ahead or _ZERO
        canceled = old - displayed - self._traded.get((order.side, order.price), _ZERO)
        if canceled > 0:
            ahead -= canceled if self._model is FillModel.OPTIMISTIC else canceled * min(Decimal(1), ahead / old)
        if self._model is FillModel.OPTIMISTIC:
            ahead = min(ahead, displayed)
        order.ahead = max(_ZERO, ahead)

    def _displayed(self) -> _Displayed:
        if self._model is FillModel.PESSIMISTIC:
            return {}
        book = self.depth.book
        return {(side, o.price): book.quantity_at(side, o.price) for side, resting in self._resting.items() for o in resting}
