"""Which EUR rate counts now: the signed centre, the band around it, and what the sources were last read to say (ADR 40).

``exposure`` and ``limits`` convert with it, decisions keep the readings, ``set-rate`` moves the centre. A rate is the amount of the
quote asset for one euro, so a lower rate makes every exposure and every loss larger in EUR. Worst direction therefore means:

- **Exposure** is converted at the lowest of the fresh readings, each less the margin of its source. One fresh reading is enough.
  Without any, and while a fresh one is outside the band, there is no rate, and what needs one is denied.
- **Loss** is converted at ``lowest``: no rate that this policy accepts is below it. It moves only when a person signs another
  centre or another policy. So a moving rate is never taken for a profit or a loss, and a loss is judged without any source.
- **A sale** needs no fresh rate. While there is none it is judged at ``lowest``.

A policy that does not follow a source keeps the rate that it pins, for as long as it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from exchange.model import Millis
from policies.numbers import WIDE, text
from policies.schema import EurRate, Follow, Policy

_PERCENT = Decimal(100)


class RateSource(StrEnum):
    """Who says what a euro costs: the ECB's daily reference rate in USD, or the order book of the live venue's own EUR pair."""

    ECB = "ecb"
    VENUE = "venue"


MARGINS: Mapping[RateSource, Decimal] = MappingProxyType({RateSource.ECB: Decimal("0.02"), RateSource.VENUE: Decimal("0.001")})
"""How far below a reading the rate may really be, as a fraction of it.

The ECB's rate is in USD, and counting a USDT or a USDC as one USD is a model. It is also up to five days old over a holiday. The
venue's pair is in the quote asset itself; what is allowed for is that a reading is kept while the pair moves by less than this."""


@dataclass(frozen=True, slots=True)
class RateReading:
    """What a source said: the rate is between ``low`` and ``high``, as of ``at``. The ECB says one number, a book has two sides."""

    source: RateSource
    low: Decimal
    high: Decimal
    at: Millis


@dataclass(frozen=True, slots=True)
class Rates:
    """What is known besides the policy: the centre that a ``set-rate`` signed, and the last reading of each source."""

    centre: Decimal | None = None
    last: tuple[RateReading, ...] = ()

    def of(self, source: RateSource) -> RateReading | None:
        """The last reading of a source."""
        return next((one for one in self.last if one.source is source), None)

    def with_reading(self, reading: RateReading) -> Rates:
        """The same with a new reading of its source."""
        others = tuple(one for one in self.last if one.source is not reading.source)
        return replace(self, last=tuple(sorted((*others, reading), key=lambda one: one.source)))


NO_RATES = Rates()


@dataclass(frozen=True, slots=True)
class NoRate:
    """Why no rate counts now. ``outside``: a fresh reading is outside the band, so the signed centre is in question."""

    message: str
    outside: bool = False


@dataclass(frozen=True, slots=True)
class RateInUse:
    """The rate that counts for exposure, the reading it comes from, and until when one of the readings is fresh."""

    quote_per_eur: Decimal
    reading: RateReading
    until: Millis


def centre(rate: EurRate, rates: Rates) -> Decimal:
    """The signed rate: the one of the last ``set-rate``, or the one in the policy."""
    return rate.quote_per_eur if rate.follow is None or rates.centre is None else rates.centre


def band(rate: EurRate, rates: Rates) -> tuple[Decimal, Decimal]:
    """The lowest and the highest reading that is plausible. Without a source to follow, both are the pinned rate."""
    middle = centre(rate, rates)
    width = rate.follow.band_percent / _PERCENT if rate.follow is not None else Decimal(0)
    return WIDE.multiply(middle, 1 - width), WIDE.multiply(middle, 1 + width)


def lowest(rate: EurRate, rates: Rates) -> Decimal:
    """The rate that a loss is converted at: no rate that can count for exposure is lower."""
    if rate.follow is None:
        return rate.quote_per_eur
    return WIDE.multiply(band(rate, rates)[0], 1 - max(MARGINS[source] for source in sources(rate.follow)))


def highest(rate: EurRate, rates: Rates) -> Decimal:
    """No rate that can count for exposure is higher. The signer's own limit on one order is converted at it."""
    return band(rate, rates)[1]


def sources(follow: Follow) -> tuple[RateSource, ...]:
    """The sources that a policy follows. The ECB is always one of them."""
    return tuple(source for source in RateSource if max_age_ms(follow, source) is not None)


def max_age_ms(follow: Follow, source: RateSource) -> int | None:
    """How old a reading may be; ``None`` for a source that the policy does not follow."""
    return follow.ecb_max_age_ms if source is RateSource.ECB else follow.venue_max_age_ms


def is_inside(rate: EurRate, rates: Rates, reading: RateReading) -> bool:
    """Whether all of a reading is inside the band."""
    low, high = band(rate, rates)
    return low <= reading.low <= reading.high <= high


def fresh(follow: Follow, rates: Rates, now: Millis) -> tuple[RateReading, ...]:
    """The readings that count now: of sources that the policy follows, not too old, and not from the future."""
    found = ((one, max_age_ms(follow, one.source)) for one in rates.last)
    return tuple(one for one, most in found if most is not None and 0 <= now - one.at < most)


def in_use(rate: EurRate, rates: Rates, now: Millis) -> RateInUse | NoRate:
    """The rate for exposure, of a policy that follows sources."""
    follow = rate.follow
    if follow is None:
        return NoRate("the policy follows no source of rates")
    found = fresh(follow, rates, now)
    if not found:
        wanted = " or ".join(sources(follow))
        return NoRate(f"there is no fresh {rate.asset} rate from {wanted}")
    for one in found:
        if not is_inside(rate, rates, one):
            low, high = band(rate, rates)
            said = text(one.low) if one.low == one.high else f"{text(one.low)} to {text(one.high)}"
            where = f"outside the signed band of {text(low)} to {text(high)}"
            return NoRate(f"{one.source} says {said} {rate.asset} per EUR, {where}", outside=True)
    worst = min(found, key=_at_worst)
    until = max(Millis(one.at + (max_age_ms(follow, one.source) or 0)) for one in found)
    return RateInUse(_at_worst(worst), worst, until)


def priced(policy: Policy, rates: Rates, now: Millis) -> Policy | NoRate:
    """The policy with the rate that counts now pinned. A policy that pins its rate itself is returned as it is."""
    if policy.eur_rate.follow is None:
        return policy
    found = in_use(policy.eur_rate, rates, now)
    return found if isinstance(found, NoRate) else _pinned(policy, found.quote_per_eur, now, found.until)


def priced_for_exit(policy: Policy, rates: Rates, now: Millis) -> Policy:
    """As ``priced``, for what takes risk off: while no rate counts, the lowest that could."""
    found = priced(policy, rates, now)
    return found if isinstance(found, Policy) else _pinned(policy, lowest(policy.eur_rate, rates), now, Millis(now + 1))


def with_centre(policy: Policy, quote_per_eur: Decimal) -> Policy:
    """The policy with another centre."""
    return policy.model_copy(update={"eur_rate": policy.eur_rate.model_copy(update={"quote_per_eur": quote_per_eur})})


def _at_worst(reading: RateReading) -> Decimal:
    return WIDE.multiply(reading.low, 1 - MARGINS[reading.source])


def _pinned(policy: Policy, quote_per_eur: Decimal, now: Millis, until: Millis) -> Policy:
    rate = policy.eur_rate
    pinned = rate.model_copy(
        update={"quote_per_eur": quote_per_eur, "as_of": min(rate.as_of, now), "valid_until": until, "follow": None}
    )
    return policy.model_copy(update={"eur_rate": pinned})
