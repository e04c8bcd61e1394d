"""Collects the series of a run: what the fold adds to ``gates.series`` with each sample and each fill of an order of the run.

``controller.core.fold`` calls it through ``gates.measure``. Everything is exact, and nothing but the series grows with the length
of the run: the lots are bounded by what the stage's cap can hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from exchange.model import Millis, OrderType, Side
from gates.series import GRID_MS, EquityPoint, Execution, RoundTrip, RunSeries
from policies.numbers import GRID, WIDE
from policies.values import replace

ZERO = Decimal(0)
POINTS_OF_A_SAMPLE_MOST = 10_000
"""34 days of the grid. A clock that is set forward by years does not hold the writer up."""
EUR_STEP = Decimal("0.00000001")
"""The step of the amounts in EUR of the series."""


@dataclass(frozen=True)
class Lot:
    """A quantity that one order bought and that is not sold yet, with what it cost and the fees of that, in the quote asset."""

    client_id: str
    opened_at: Millis
    quantity: Decimal
    cost: Decimal
    fee: Decimal


@dataclass(frozen=True)
class Lots:
    """What a run holds of one symbol, the oldest first."""

    symbol: str
    lots: tuple[Lot, ...] = ()


@dataclass(frozen=True)
class Closing:
    """What an order has sold so far of what was bought before: the round trip that it ends."""

    opened_at: Millis
    closed_at: Millis
    cost: Decimal
    pnl: Decimal


@dataclass(frozen=True)
class Watched:
    """What is kept of an order of the run while it is open, for its ``Execution``.

    ``mid`` is the mid price at the decision; ``fee`` the fees of its fills in the quote asset.
    """

    mid: Decimal
    acked_after_ms: int | None = None
    fee: Decimal = ZERO
    closing: Closing | None = None


@dataclass(frozen=True)
class Trade:
    """One fill of an order of the run.

    ``fee`` is in the quote asset, whichever asset it was charged in; ``fee_base`` is the part of the base asset that was charged as
    a fee. ``mid`` is the mid price at the order's decision, absent where that is not known any more.
    """

    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    fee_base: Decimal
    mid: Decimal | None
    at: Millis


@dataclass(frozen=True)
class Ended:
    """An order of the run that has ended, with what was kept of it.

    ``ordered`` is ``None`` where an amount of the quote asset was ordered: ``ordered_quote``. ``complete``: all of it filled.
    """

    symbol: str
    side: Side
    type: OrderType
    admitted_at: Millis
    ended_at: Millis
    ordered: Decimal | None
    ordered_quote: Decimal | None
    complete: bool
    filled: Decimal
    filled_quote: Decimal
    mid_at_end: Decimal | None
    watched: Watched


@dataclass(frozen=True)
class Collected:
    """What a run has collected besides its series: the running sums, in the quote asset, and what is needed for the next point.

    ``shifted_eur`` is what came from outside since the start, and ``unit`` what one EUR of now is in EUR at the start's rate: they
    take deposits and a new signed rate out of the equity. ``mid`` is the mid price of the first symbol at the last sample.
    ``unvalued_fees`` counts fees in an asset whose price is not known; with one of them no cost of the run is known.
    """

    lots: tuple[Lots, ...] = ()
    shifted_eur: Decimal = ZERO
    unit: Decimal = Decimal(1)
    mid: Decimal | None = None
    fees: Decimal = ZERO
    slippage: Decimal = ZERO
    realised: Decimal = ZERO
    ordered: Decimal = ZERO
    filled: Decimal = ZERO
    opportunity: Decimal = ZERO
    opportunity_unknown: int = 0
    unvalued_fees: int = 0

    def held(self, symbol: str) -> Lots:
        """The lots of a symbol."""
        return next((one for one in self.lots if one.symbol == symbol), Lots(symbol))

    def with_held(self, held: Lots) -> Collected:
        """This with the lots of one symbol replaced."""
        others = tuple(one for one in self.lots if one.symbol != held.symbol)
        return replace(self, lots=tuple(sorted((*others, held), key=lambda one: one.symbol)) if held.lots else others)


def sampled(
    series: RunSeries,
    collected: Collected,
    *,
    last_at: Millis,
    at: Millis,
    before: Decimal | None,
    equity: Decimal | None,
    mid: Decimal | None,
) -> tuple[RunSeries, Collected]:
    """The series after a sample at ``at``. The one before was at ``last_at``; the last known equity until then was ``before``.

    Each whole multiple of the grid since then gets a point with what was known there; after a very long time only the first and the
    last, which say the same (``gates.equity.curve``). The first known equity is the first point, at the grid's last instant before
    it, so that the start counts.
    """
    now = replace(collected, mid=mid)
    if before is None:
        return (series if equity is None else _with_point(series, now, at // GRID_MS, equity)), now
    missed = range(last_at // GRID_MS + 1, at // GRID_MS + 1)
    for number in missed if len(missed) <= POINTS_OF_A_SAMPLE_MOST else (missed[0], missed[-1]):
        exactly = number * GRID_MS == at and equity is not None
        series = (
            _with_point(series, now, number, equity)
            if exactly and equity is not None
            else _with_point(series, collected, number, before)
        )
    return series, now


def _with_point(series: RunSeries, collected: Collected, number: int, equity: Decimal) -> RunSeries:
    point = EquityPoint(
        at=Millis(number * GRID_MS),
        equity_eur=WIDE.multiply(equity, collected.unit).quantize(EUR_STEP, rounding=ROUND_HALF_EVEN) - collected.shifted_eur,
        mid=collected.mid,
        fees_eur=in_eur(series, collected.fees),
        slippage_eur=in_eur(series, collected.slippage),
    )
    return replace(series, equity=series.equity.with_item(point))


def in_eur(series: RunSeries, quote: Decimal) -> Decimal:
    """An amount of the quote asset in EUR at the run's rate, rounded up: for costs."""
    return WIDE.divide(quote, series.quote_per_eur).quantize(EUR_STEP, context=WIDE)


def traded(collected: Collected, trade: Trade) -> tuple[Collected, Closing | None]:
    """What a fill changes, and the part of a round trip that it ends."""
    slippage = ZERO if trade.mid is None else _sign(trade.side) * (trade.quote - trade.mid * trade.quantity)
    collected = replace(collected, fees=collected.fees + trade.fee, slippage=collected.slippage + slippage)
    if trade.side is Side.BUY:
        return _bought(collected, trade), None
    # A fee in the base asset leaves with what is sold. It is paid for by the lots, not twice.
    return _sold(collected, trade)


def _bought(collected: Collected, trade: Trade) -> Collected:
    held = collected.held(trade.symbol)
    # A fee in the base asset makes the lot smaller, and its cost stays: that is how it is paid.
    fee = ZERO if trade.fee_base else trade.fee
    lot = Lot(trade.client_id, trade.at, trade.quantity - trade.fee_base, trade.quote, fee)
    if held.lots and held.lots[-1].client_id == trade.client_id:
        last = held.lots[-1]
        lot = replace(last, quantity=last.quantity + lot.quantity, cost=last.cost + lot.cost, fee=last.fee + lot.fee)
        return collected.with_held(replace(held, lots=(*held.lots[:-1], lot)))
    return collected.with_held(replace(held, lots=(*held.lots, lot)))


def _sold(collected: Collected, trade: Trade) -> tuple[Collected, Closing | None]:
    leaves = trade.quantity + trade.fee_base
    rest, used = _taken(collected.held(trade.symbol).lots, leaves)
    collected = collected.with_held(Lots(trade.symbol, rest))
    if not used:
        return collected, None
    matched = sum((lot.quantity for lot in used), ZERO)
    fee = ZERO if trade.fee_base else trade.fee
    proceeds = trade.quote - fee if matched == leaves else _share(trade.quote - fee, matched, leaves)
    cost = sum((lot.cost for lot in used), ZERO)
    pnl = proceeds - cost - sum((lot.fee for lot in used), ZERO)
    return collected, Closing(used[0].opened_at, trade.at, cost, pnl)


def dropped(collected: Collected, symbol: str, quantity: Decimal) -> Collected:
    """Take a quantity out of the lots that left otherwise than by a sale of the bot: no round trip."""
    rest, _ = _taken(collected.held(symbol).lots, quantity)
    return collected.with_held(Lots(symbol, rest))


def _taken(lots: tuple[Lot, ...], quantity: Decimal) -> tuple[tuple[Lot, ...], tuple[Lot, ...]]:
    """The lots that are left after the oldest ``quantity`` is gone, and the parts that are gone."""
    used: list[Lot] = []
    while lots and quantity > 0:
        first, lots = lots[0], lots[1:]
        if first.quantity <= quantity:
            used.append(first)
            quantity -= first.quantity
            continue
        cost, fee = (_share(amount, quantity, first.quantity) for amount in (first.cost, first.fee))
        used.append(replace(first, quantity=quantity, cost=cost, fee=fee))
        left = replace(first, quantity=first.quantity - quantity, cost=first.cost - cost, fee=first.fee - fee)
        return (left, *lots), tuple(used)
    return lots, tuple(used)


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return WIDE.divide(WIDE.multiply(amount, part), whole).quantize(GRID, context=WIDE)


def joined(before: Closing | None, more: Closing | None) -> Closing | None:
    """A round trip with what another fill of the same sale ends of it."""
    if before is None or more is None:
        return more or before
    return Closing(min(before.opened_at, more.opened_at), more.closed_at, before.cost + more.cost, before.pnl + more.pnl)


def closed(series: RunSeries, collected: Collected, symbol: str, closing: Closing | None) -> tuple[RunSeries, Collected]:
    """The series after a round trip ended."""
    if closing is None:
        return series, collected
    trip = RoundTrip(symbol, closing.opened_at, closing.closed_at, closing.cost, closing.pnl)
    series = replace(series, round_trips=series.round_trips.with_item(trip))
    return series, replace(collected, realised=collected.realised + closing.pnl)


def ended(series: RunSeries, collected: Collected, order: Ended) -> tuple[RunSeries, Collected]:
    """The series after an order of the run ended, filled or not."""
    kept = order.watched
    series, collected = closed(series, collected, order.symbol, kept.closing)
    ordered = _ordered(order)
    execution = Execution(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        admitted_at=order.admitted_at,
        ended_at=order.ended_at,
        mid=kept.mid,
        mid_at_end=order.mid_at_end,
        ordered=ordered,
        filled=order.filled,
        filled_quote=order.filled_quote,
        fee_quote=kept.fee,
        acked_after_ms=kept.acked_after_ms,
    )
    return replace(series, executions=series.executions.with_item(execution)), _with_sums(collected, execution)


def _ordered(order: Ended) -> Decimal:
    """The quantity that was ordered. An amount of the quote asset buys what its price at the decision, or its own fills, say."""
    if order.complete:
        return order.filled
    if order.ordered is not None:
        return order.ordered
    amount = order.ordered_quote or ZERO
    if order.filled:
        return _share(order.filled, amount, order.filled_quote)
    return _share(amount, Decimal(1), order.watched.mid)


def _with_sums(collected: Collected, one: Execution) -> Collected:
    unfilled = max(one.ordered - one.filled, ZERO)
    missed, unknown = ZERO, 0
    if unfilled and one.mid_at_end is None:
        unknown = 1
    elif unfilled and one.mid_at_end is not None:
        missed = _sign(one.side) * (one.mid_at_end - one.mid) * unfilled
    return replace(
        collected,
        ordered=collected.ordered + one.mid * one.ordered,
        filled=collected.filled + one.mid * one.filled,
        opportunity=collected.opportunity + missed,
        opportunity_unknown=collected.opportunity_unknown + unknown,
    )


def _sign(side: Side) -> int:
    return 1 if side is Side.BUY else -1
