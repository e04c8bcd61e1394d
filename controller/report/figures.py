"""The figures of one run as JSON values: performance, orders, latency, slippage, coverage, curves. ``document`` uses them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from controller.report.curve import Curve
from controller.report.run import DAY_MS, Day, Run
from controller.report.words import day, rounded
from gates.series import RoundTrip
from gates.statistics import ratio_down
from policies.numbers import WIDE, text

ZERO = Decimal(0)
MOST_TRIPS = 40
_PLACES = 6
_BINS = 24

_QUANTILES = (("median", 50), ("90 %", 90), ("99 %", 99), ("longest", 100))

LATENCY_EDGES_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""The upper ends of the bins of the latency histogram; the last bin holds what took longer."""


def figure(value: Decimal | None) -> str | None:
    """An amount as text, to six places; ``None`` where nothing was measured."""
    return None if value is None else text(rounded(value, _PLACES))


def curve_points(curve: Curve) -> list[list[object]]:
    """``[from, until, lowest, highest, last]`` of every point."""
    return [[int(one.at), int(one.until), figure(one.low), figure(one.high), figure(one.last)] for one in curve]


def performance(run: Run) -> dict[str, Any]:
    """Profit and loss, what it cost, and what doing something else would have brought."""
    net = run.net_eur
    hold = _hold(run)
    trips = run.round_trips
    closed, realised = [pnl for _, pnl in trips], run.realised_eur
    return {
        "equity_start_eur": figure(run.tally.equity_start if run.tally else None),
        "equity_end_eur": figure(run.tally.equity_last if run.tally else None),
        "net_eur": figure(net),
        "realised_eur": figure(realised),
        "unrealised_eur": figure(None if net is None or realised is None else net - realised),
        "fees_eur": figure(run.fees_eur),
        "fees_elsewhere": {asset: text(amount) for asset, amount in sorted(run.other_fees.items())},
        "slippage_eur": figure(run.slippage_eur),
        "volume_eur": figure(run.volume_eur),
        "moved_eur": figure(run.moved_eur),
        "moves": run.moves,
        "fills": run.fills,
        "maker_fills": run.maker_fills,
        "round_trips": len(closed),
        "round_trips_won": sum(pnl > 0 for pnl in closed),
        "round_trip_mean_eur": figure(WIDE.divide(sum(closed, ZERO), Decimal(len(closed)))) if closed else None,
        "round_trip_best_eur": figure(max(closed, default=None)),
        "round_trip_worst_eur": figure(min(closed, default=None)),
        "hold_eur": figure(hold),
        "hold_excess_eur": figure(None if net is None or hold is None else net - hold),
        "drawdown_fraction": figure(run.tally.drawdown) if run.tally and run.tally.equity_samples else None,
        "days": [_day(number, one, trips) for number, one in sorted(run.days.items())],
        "trips": [
            {
                "opened_at": int(one.opened_at),
                "closed_at": int(one.closed_at),
                "symbol": one.symbol,
                "cost_eur": figure(run.in_eur(one.cost_quote)),
                "pnl_eur": figure(pnl),
            }
            for one, pnl in trips[-MOST_TRIPS:]
        ],
    }


def _hold(run: Run) -> Decimal | None:
    """What the cap would have brought, had it bought the first symbol at the start and kept it; without fees."""
    if run.first_mid is None or run.last_mid is None or run.first_mid <= 0:
        return None
    return WIDE.multiply(run.cap_eur, WIDE.divide(run.last_mid, run.first_mid) - 1)


def _day(number: int, one: Day, trips: Sequence[tuple[RoundTrip, Decimal]]) -> dict[str, Any]:
    net = None if one.first is None or one.last is None else one.last - one.first
    return {
        "day": day(number),
        "net_eur": figure(net),
        "realised_eur": figure(sum((pnl for trip, pnl in trips if trip.closed_at // DAY_MS == number), ZERO)),
        "fees_eur": figure(one.fees),
        "orders": one.orders,
        "fills": one.fills,
    }


def stage_row(run: Run) -> dict[str, Any]:
    """One line of the table of stages."""
    tally = run.tally
    return {
        "stage": run.name,
        "since": int(run.since),
        "until": None if run.until is None else int(run.until),
        "last_at": int(run.last_at),
        "seq": run.since_seq,
        "cause": run.cause,
        "reason": run.reason,
        "venue": run.venue.value if run.venue is not None else "",
        "covered_ms": tally.covered_ms if tally else 0,
        "orders": tally.orders if tally else 0,
        "fills": run.fills,
        "net_eur": figure(run.net_eur),
        "realised_eur": figure(run.realised_eur) if run.venue is not None else None,
        "fees_eur": figure(run.fees_eur) if run.venue is not None else None,
    }


def orders(run: Run, open_now: int) -> dict[str, Any]:
    """Orders by how they ended, and denied ones by rule."""
    tally = run.tally
    return {
        "sent": tally.orders if tally else 0,
        "open": open_now,
        "outcomes": dict(sorted(run.outcomes.items())),
        "denied": sum(run.denials.values()),
        "denials": dict(sorted(run.denials.items())),
        "unknown_now": tally.unknown_open if tally else 0,
        "longest_unknown_ms": tally.longest_unknown_ms if tally else 0,
        "reconciliations": tally.reconciliations if tally else 0,
        "reconciliation_breaks": tally.reconciliation_breaks if tally else 0,
    }


def latency(run: Run) -> dict[str, Any]:
    """How long the venue took to answer, from the decision until the answer was in the journal."""
    counts = sorted(run.latencies.items())
    number = sum(run.latencies.values())
    bins = [0] * (len(LATENCY_EDGES_MS) + 1)
    for ms, count in counts:
        bins[next((place for place, edge in enumerate(LATENCY_EDGES_MS) if ms <= edge), -1)] += count
    return {
        "answers": number,
        "quantiles_ms": [[name, _quantile(counts, number, percent)] for name, percent in _QUANTILES] if number else [],
        "bins": [[name, count] for name, count in zip([*map(str, LATENCY_EDGES_MS), "more"], bins, strict=True)],
    }


def _quantile(counts: Sequence[tuple[int, int]], number: int, percent: int) -> int:
    """The smallest value that at least so many per cent of the observations do not exceed."""
    wanted, seen = -(-number * percent // 100), 0
    for value, count in counts:
        seen += count
        if seen >= wanted:
            return value
    return counts[-1][0]


def slippage(run: Run) -> dict[str, Any]:
    """The price of each fill against the mid price at the decision, in basis points; positive where it cost."""
    values = sorted(run.slippage_bps)
    if not values:
        return {"fills": 0, "bins": []}
    middle = values[len(values) // 2]
    return {
        "fills": len(values),
        "mean_bps": figure(WIDE.divide(sum(values, ZERO), Decimal(len(values)))),
        "median_bps": figure(middle),
        "p95_bps": figure(values[min(len(values) - 1, -(-len(values) * 95 // 100) - 1)]),
        "worst_bps": figure(values[-1]),
        "best_bps": figure(values[0]),
        "bins": _bins(values),
    }


def _bins(values: Sequence[Decimal]) -> list[list[object]]:
    """``[from, to, count]`` of equal bins from the 1st to the 99th percentile; the outer bins hold what lies beyond."""
    low, high = values[len(values) // 100], values[-1 - len(values) // 100]
    step = _nice((high - low) / _BINS) if high > low else Decimal(1)
    first = int((low / step).to_integral_value(rounding=ROUND_FLOOR))
    last = max(first, int((high / step).to_integral_value(rounding=ROUND_CEILING)) - 1)
    counts = [0] * (last - first + 1)
    for value in values:
        counts[min(max(int((value / step).to_integral_value(rounding=ROUND_FLOOR)) - first, 0), last - first)] += 1
    return [[text(step * (first + place)), text(step * (first + place + 1)), count] for place, count in enumerate(counts)]


def _nice(step: Decimal) -> Decimal:
    """The next step of 1, 2 or 5 times a power of ten."""
    power = Decimal(1).scaleb(step.adjusted())
    return next(one * power for one in (Decimal(1), Decimal(2), Decimal(5), Decimal(10)) if one * power >= step)


def coverage(run: Run) -> dict[str, Any]:
    """Covered time and every gap with its reason."""
    tally, strip = run.tally, run.coverage
    covered = tally.covered_ms if tally else 0
    total = tally.total_ms if tally else 0
    longest = max(strip.gaps, key=lambda gap: (gap.ms, -gap.begin), default=None)
    return {
        "since": int(strip.since),
        "until": int(strip.until),
        "covered_ms": covered,
        "total_ms": total,
        "ratio": text(ratio) if (ratio := ratio_down(covered, total)) is not None else None,
        "longest_gap_ms": tally.longest_gap_ms if tally else 0,
        "longest_gap_reason": longest.reason if longest is not None else "",
        "attested_ms": tally.attested_ms if tally else 0,
        "by_reason": _largest(strip.by_reason.items()),
        "gaps": [[int(gap.begin), int(gap.end), gap.reason] for gap in strip.gaps],
        "gaps_left_out": strip.dropped,
    }


def _largest(items: Iterable[tuple[str, int]]) -> list[list[object]]:
    return [[reason, ms] for reason, ms in sorted(items, key=lambda item: (-item[1], item[0]))]
