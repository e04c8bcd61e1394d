"""Series of runs with few points, for examples that can be computed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from exchange.model import Millis, OrderType, Side
from gates.declared import Measurement
from gates.series import GRID_MS, Column, EquityPoint, Execution, RoundTrip, RunSeries
from policies.rules import MetricName

START = Millis(1_790_812_800_000)
"""2026-10-01 00:00 UTC."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def column(items: Iterable[Any]) -> Column[Any]:
    made: Column[Any] = Column()
    for item in items:
        made = made.with_item(item)
    return made


def points(
    equity: Sequence[str | float | None],
    *,
    mids: Sequence[str | None] = (),
    fees: str = "0",
    slippage: str = "0",
) -> list[EquityPoint]:
    """One point for each equity, five minutes apart; ``None`` leaves one out. Fees and slippage all arise before the last one."""
    last = len(equity) - 1
    return [
        EquityPoint(
            at=Millis(START + number * GRID_MS),
            equity_eur=Decimal(str(one)),
            mid=None if not mids or mids[number] is None else Decimal(str(mids[number])),
            fees_eur=Decimal(fees if number == last else "0"),
            slippage_eur=Decimal(slippage if number == last else "0"),
        )
        for number, one in enumerate(equity)
        if one is not None
    ]


def trip(pnl: str, *, held_ms: int = HOUR_MS, closed_at: int = START + DAY_MS) -> RoundTrip:
    return RoundTrip("BTCUSDT", Millis(closed_at - held_ms), Millis(closed_at), Decimal(10), Decimal(pnl))


def order(
    side: Side = Side.BUY,
    *,
    mid: str = "100",
    end: str | None = "100",
    ordered: str = "1",
    filled: str = "1",
    price: str = "100",
    fee: str = "0",
    acked_ms: int | None = 100,
    kind: OrderType = OrderType.LIMIT,
) -> Execution:
    """An order for ``ordered`` of which ``filled`` was bought or sold at ``price``; ``mid`` at its decision, ``end`` at its end."""
    return Execution(
        symbol="BTCUSDT",
        side=side,
        type=kind,
        admitted_at=START,
        ended_at=Millis(START + 1_000),
        mid=Decimal(mid),
        mid_at_end=None if end is None else Decimal(end),
        ordered=Decimal(ordered),
        filled=Decimal(filled),
        filled_quote=Decimal(filled) * Decimal(price),
        fee_quote=Decimal(fee),
        acked_after_ms=acked_ms,
    )


def series(
    equity: Sequence[EquityPoint] = (),
    orders: Sequence[Execution] = (),
    trips: Sequence[RoundTrip] = (),
    *,
    cap: str = "10",
    rate: str = "1",
) -> RunSeries:
    return RunSeries(START, Decimal(cap), Decimal(rate), column(equity), column(orders), column(trips))


def named(measured: Iterable[Measurement], name: MetricName) -> Measurement:
    return next(one for one in measured if one.name is name)
