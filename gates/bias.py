"""How far the testnet's simulation is from the real venue, with bounds: the pairs of a real order and its simulation, counted.

The fold counts the pairs, ``gates.live`` makes the metrics, and ``controller.core.decisions.shadow`` judges them by the policy's
section ``[shadow]`` (execution-safety.md §5, item 10). Pure and exact. Confidence is 99 % on both sides together, because the
bounds are judged again at every order, and each look may err.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from types import MappingProxyType

from gates.statistics import lower_bound, upper_bound
from policies.numbers import WIDE, rounded_down, rounded_up
from policies.schema import Shadow
from policies.values import replace

_ZERO = Decimal(0)
_ONE = Decimal(1)
_BPS = Decimal(10_000)
_STEP = Decimal("0.000001")
ONE_SIDED = Decimal("0.995")
"""The confidence of each bound; both together hold with 99 %."""

_THOUSANDTHS = (
    *(
        63657,
        9925,
        5841,
        4604,
        4032,
        3707,
        3499,
        3355,
        3250,
        3169,
        3106,
        3055,
        3012,
        2977,
        2947,
        2921,
        2898,
        2878,
        2861,
        2845,
        2831,
    ),
    *(2819, 2807, 2797, 2787, 2779, 2771, 2763, 2756, 2750, 2704, 2660, 2617),
)
_T = MappingProxyType({row: Decimal(value) / 1000 for row, value in zip((*range(1, 31), 40, 60, 120), _THOUSANDTHS, strict=True)})
"""Student's t at 0.995 by degrees of freedom: NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2."""


def student_quantile(freedom: int) -> Decimal:
    """Student's t at 0.995 for so many degrees of freedom, at least 1. Between two rows of the table the larger value counts."""
    return _T[max(row for row in _T if row <= freedom)]


@dataclass(frozen=True)
class Bound:
    """An estimate with its lower and upper bound, from ``count`` pairs."""

    estimate: Decimal
    low: Decimal
    high: Decimal
    count: int

    def outside(self, band: Decimal) -> bool:
        """Whether the whole interval is outside ``-band`` to ``band``. One that touches the band decides nothing."""
        return self.low > band or self.high < -band


@dataclass(frozen=True)
class Sums:
    """The number, the sum and the sum of squares of paired differences."""

    count: int = 0
    total: Decimal = _ZERO
    squares: Decimal = _ZERO

    def plus(self, difference: Decimal | int | None) -> Sums:
        """These and one more difference, rounded to a millionth; ``None`` was not measured and adds nothing."""
        if difference is None:
            return self
        one = Decimal(difference).quantize(_STEP)
        return Sums(self.count + 1, self.total + one, self.squares + one * one)

    @property
    def mean(self) -> Decimal:
        """Their mean, 0 without any."""
        return WIDE.divide(self.total, Decimal(self.count)) if self.count else _ZERO

    def bound(self) -> Bound | None:
        """The mean with the bounds of Student's paired t; ``None`` with fewer than two differences.

        ``mean ± t · s / √n`` with ``s² = (Σd² − (Σd)² / n) / (n − 1)`` (Student 1908; NIST/SEMATECH e-Handbook, 7.2.2.1).
        """
        if self.count < 2:
            return None
        with localcontext(WIDE):
            mean = self.mean
            variance = max(_ZERO, (self.squares - self.total * mean) / (self.count - 1))
            half = student_quantile(self.count - 1) * (variance / self.count).sqrt()
            return Bound(rounded_down(mean), rounded_down(mean - half), rounded_up(mean + half), self.count)


@dataclass(frozen=True)
class Pair:
    """A real order and its simulation, both ended.

    ``simulated_filled`` and ``filled``: whether all of it was traded. ``price_bps``: by how many basis points of the mid price at
    the decision the simulation traded better than the real order; ``ack_ms`` and ``fill_ms``: its time from the decision to the
    acknowledgement and to the first trade less the real one's. Each is ``None`` where one of the two has none.
    """

    simulated_filled: bool
    filled: bool
    price_bps: Decimal | None
    ack_ms: int | None
    fill_ms: int | None


@dataclass(frozen=True)
class ShadowTally:
    """The pairs of one run. ``only_simulated``: filled in the simulation alone; ``only_real``: at the real venue alone."""

    orders: int = 0
    filled: int = 0
    only_simulated: int = 0
    only_real: int = 0
    prices: Sums = Sums()
    acks: Sums = Sums()
    first_fills: Sums = Sums()

    def with_pair(self, pair: Pair) -> ShadowTally:
        """Count one pair."""
        return replace(
            self,
            orders=self.orders + 1,
            filled=self.filled + pair.filled,
            only_simulated=self.only_simulated + (pair.simulated_filled and not pair.filled),
            only_real=self.only_real + (pair.filled and not pair.simulated_filled),
            prices=self.prices.plus(pair.price_bps),
            acks=self.acks.plus(pair.ack_ms),
            first_fills=self.first_fills.plus(pair.fill_ms),
        )

    @property
    def fill_difference(self) -> Decimal:
        """The point estimate of ``fill_bias``, 0 without a pair."""
        return WIDE.divide(Decimal(self.only_simulated - self.only_real), Decimal(self.orders)) if self.orders else _ZERO

    def fill_bias(self) -> Bound | None:
        """The simulated probability of a fill less the real one; ``None`` without a pair.

        ``(b − c) / n`` of the discordant pairs, with bounds of the method of variance estimates recovery (Zou and Donner 2008,
        Statistics in Medicine 27:1693; Newcombe 1998, ibid. 17:2635, for paired proportions): the squared distances of both
        proportions from their Clopper-Pearson bounds add up, with the correlation of two cells of one multinomial.
        """
        if not self.orders:
            return None
        with localcontext(WIDE):
            more, less = Decimal(self.only_simulated) / self.orders, Decimal(self.only_real) / self.orders
            (more_low, more_high), (less_low, less_high) = (
                _clopper_pearson(self.only_simulated, self.orders),
                _clopper_pearson(self.only_real, self.orders),
            )
            together = _correlation(more, less)
            below = _distance(more - more_low, less_high - less, together)
            above = _distance(more_high - more, less - less_low, together)
            low, high = max(-_ONE, rounded_down(more - less - below)), min(_ONE, rounded_up(more - less + above))
            return Bound(rounded_down(more - less), low, high, self.orders)


def price_advantage_bps(simulated: Decimal | None, real: Decimal | None, mid: Decimal, *, buys: bool) -> Decimal | None:
    """By how many basis points of ``mid`` a simulated mean price is better than the real one; ``None`` where one is missing."""
    if simulated is None or real is None or mid <= 0:
        return None
    with localcontext(WIDE):
        gained = real - simulated if buys else simulated - real
        return (gained / mid * _BPS).quantize(_STEP)


def outside_the_band(tally: ShadowTally, band: Shadow) -> str:
    """Why the simulation is proven to differ more than the policy allows; empty while it is not proven.

    What rests on fewer pairs than ``band.orders_min`` is not judged.
    """
    judged: tuple[tuple[str, int, Decimal, Callable[[], Bound | None], Decimal, str], ...] = (
        ("fill probability", tally.orders, tally.fill_difference, tally.fill_bias, band.fill_band, ""),
        ("price", tally.prices.count, tally.prices.mean, tally.prices.bound, band.price_band_bps, " bps"),
        ("time to acknowledgement", tally.acks.count, tally.acks.mean, tally.acks.bound, Decimal(band.latency_band_ms), " ms"),
    )
    for name, count, estimate, bound_of, limit, unit in judged:
        # The bounds are dear, and an estimate inside the band has an interval that touches it.
        if count < band.orders_min or abs(estimate) <= limit:
            continue
        bound = bound_of()
        if bound is not None and bound.outside(limit):
            return (
                f"the simulated {name} differs from the real one by {_short(bound.low)} to {_short(bound.high)}{unit} "
                f"(99 % bounds, {count} orders); the policy allows {_short(-limit)} to {_short(limit)}{unit}"
            )
    return ""


def _clopper_pearson(events: int, trials: int) -> tuple[Decimal, Decimal]:
    low, high = lower_bound(events, trials, ONE_SIDED), upper_bound(events, trials, ONE_SIDED)
    assert low is not None
    assert high is not None
    return low, high


def _correlation(more: Decimal, less: Decimal) -> Decimal:
    """Of the two cells, which exclude each other: never positive."""
    rest = (_ONE - more) * (_ONE - less)
    return _ZERO if not rest else max(-_ONE, -(more * less / rest).sqrt())


def _distance(first: Decimal, second: Decimal, correlation: Decimal) -> Decimal:
    return max(_ZERO, first * first + second * second - 2 * correlation * first * second).sqrt()


def _short(value: Decimal) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
