"""What the statistics of a run are judged against, and the form of their results. ``gates.performance`` passes them on."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import isfinite

from policies.rules import MetricName

STEP = Decimal("0.000000001")
_LARGEST = 1e11
_NOISE_PLACES = 12
"""Floats of two machines may differ in their last digits; nothing beyond these places counts."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the owner says that the bot does, from its backtest. Each figure may be absent.

    ``annual_sharpe`` is for a year of 365 days; ``fill_ratio`` the part of the ordered quantity that fills; ``trades_per_day``
    counts round trips; ``holding_ms`` is the mean time from a purchase to its sale; ``turnover_per_day`` what is bought and sold in
    a day as a multiple of the cap; ``holding_times_ms`` single holding times of the backtest.
    """

    annual_sharpe: Decimal | None = None
    fill_ratio: Decimal | None = None
    trades_per_day: Decimal | None = None
    holding_ms: int | None = None
    turnover_per_day: Decimal | None = None
    holding_times_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """What the policy declares before a run: verdicts that may be asked for, variants tried (this one included), and the claim.

    ``ack_ms``: median and 99th percentile of the time from a decision to the venue's answer, as its latency model has them.
    """

    looks: int = 1
    variants: int = 1
    claim: Claim | None = None
    ack_ms: tuple[int | None, int | None] = (None, None)

    def __post_init__(self) -> None:
        """Refuse fewer than one look or variant."""
        if self.looks < 1 or self.variants < 1:
            raise ValueError(f"looks and variants are at least 1, not {self.looks} and {self.variants}")

    @property
    def claimed(self) -> Claim:
        """The claim, or one that claims nothing."""
        return self.claim or Claim()

    @property
    def error(self) -> float:
        """The error that each one-sided 95 % bound may have: 5 %, divided by the looks (Bonferroni)."""
        return 0.05 / self.looks

    @property
    def confidence_text(self) -> str:
        """The confidence of the bounds, for texts: ``95 %``."""
        return f"{100 * (1 - self.error):.4g} %"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric of a run. ``value`` is ``None`` where it cannot be computed, and ``detail`` says what is missing.

    ``samples`` are the observations behind it: points of the grid, round trips or orders.
    """

    name: MetricName
    value: Decimal | None
    samples: int
    detail: str


def more_is_better(name: MetricName, value: float | Decimal | None, samples: int, detail: str) -> Measurement:
    """A measurement, rounded down at nine places."""
    return _rounded(name, value, samples, detail, ROUND_FLOOR)


def less_is_better(name: MetricName, value: float | Decimal | None, samples: int, detail: str) -> Measurement:
    """A measurement, rounded up at nine places."""
    return _rounded(name, value, samples, detail, ROUND_CEILING)


def missing(name: MetricName, samples: int, why: str) -> Measurement:
    """A measurement without a value."""
    return Measurement(name, None, samples, why)


def _rounded(name: MetricName, value: float | Decimal | None, samples: int, detail: str, rounding: str) -> Measurement:
    if value is None:
        return missing(name, samples, detail)
    if not isfinite(value) or abs(float(value)) > _LARGEST:
        return missing(name, samples, f"the figure is not finite or too large to be of use ({detail})")
    exact = value if isinstance(value, Decimal) else Decimal(repr(round(float(value), _NOISE_PLACES)))
    return Measurement(name, exact.quantize(STEP, rounding=rounding), samples, detail)
