"""Which EUR rate counts: fresh readings inside the signed band, at the worst they can mean. Otherwise buys are denied."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import ConfigError
from exchange.model import Millis
from policies.document import canonical_bytes, digest, load_policy, parse_canonical
from policies.eur import (
    MARGINS,
    NO_RATES,
    NoRate,
    RateInUse,
    RateReading,
    Rates,
    RateSource,
    band,
    fresh,
    highest,
    in_use,
    lowest,
    max_age_ms,
    priced,
    priced_for_exit,
    with_centre,
)
from policies.exposure import InputName, MissingInput, worst_case
from policies.limit_types import LimitContext, LimitRule
from policies.schema import EurRate, Follow
from tests.unit.policies.policy_kit import (
    BTC,
    NOW,
    QUOTE,
    REHEARSAL,
    REHEARSAL_FILE,
    RULES,
    account,
    admitted,
    buy,
    changed,
    context,
    denied,
    example,
    following,
    sell,
)

D = Decimal
DAY = 86_400_000
ECB, VENUE = RateSource.ECB, RateSource.VENUE
POLICY = following(REHEARSAL)
RATE = POLICY.eur_rate
FOLLOW = RATE.follow
assert FOLLOW is not None


def ecb(rate: str = "1.1", age_ms: int = DAY) -> RateReading:
    return RateReading(ECB, D(rate), D(rate), Millis(NOW - age_ms))


def pair(low: str = "1.1", high: str = "1.101", age_ms: int = 1_000) -> RateReading:
    return RateReading(VENUE, D(low), D(high), Millis(NOW - age_ms))


def used(*found_now: RateReading, centre: str | None = None, rate: EurRate = RATE) -> RateInUse:
    found = in_use(rate, Rates(D(centre) if centre else None, found_now), NOW)
    assert isinstance(found, RateInUse), found
    return found


def unused(*found_now: RateReading, centre: str | None = None, rate: EurRate = RATE) -> NoRate:
    found = in_use(rate, Rates(D(centre) if centre else None, found_now), NOW)
    assert isinstance(found, NoRate), found
    return found


# The rule


def test_the_ecb_counts_two_per_cent_below_what_it_says() -> None:
    assert used(ecb("1.12")).quote_per_eur == D("1.12") * D("0.98")


def test_the_pair_counts_a_thousandth_below_its_bid() -> None:
    assert used(pair("1.12", "1.13")).quote_per_eur == D("1.12") * D("0.999")


def test_the_lowest_of_all_fresh_readings_counts() -> None:
    assert used(ecb("1.12"), pair("1.09", "1.1")).reading.source is VENUE
    assert used(ecb("1.12"), pair("1.12", "1.13")).reading.source is ECB


@pytest.mark.parametrize("rate", ["1.044999", "1.155001"])
def test_a_fresh_reading_outside_the_band_denies_even_beside_a_good_one(rate: str) -> None:
    assert unused(ecb(rate)).outside
    found = unused(ecb(rate), pair())
    assert found.outside
    assert f"ecb says {rate} USDT per EUR, outside the signed band of 1.045 to 1.155" in found.message


@pytest.mark.parametrize("rate", ["1.045", "1.155"])
def test_the_edges_of_the_band_are_inside(rate: str) -> None:
    assert used(ecb(rate))


@pytest.mark.parametrize(("low", "high"), [("1.04", "1.1"), ("1.1", "1.16")])
def test_a_book_with_one_side_outside_the_band_is_outside(low: str, high: str) -> None:
    assert unused(pair(low, high)).outside


def test_a_reading_is_fresh_until_its_deadline_and_not_a_moment_longer() -> None:
    assert used(ecb(age_ms=6 * DAY - 1)).until == NOW + 1
    assert unused(ecb(age_ms=6 * DAY)).message == "there is no fresh USDT rate from ecb or venue"
    assert used(pair(age_ms=599_999))
    assert not unused(pair(age_ms=600_000)).outside


def test_one_fresh_source_is_enough_and_a_stale_one_says_nothing() -> None:
    assert used(ecb(), pair("9", "10", age_ms=600_000)).reading.source is ECB
    assert used(ecb("9", age_ms=6 * DAY), pair()).reading.source is VENUE


def test_a_reading_from_the_future_is_not_used() -> None:
    assert not unused(ecb(age_ms=-1)).outside


def test_a_source_that_the_policy_does_not_follow_is_not_used() -> None:
    alone = following(REHEARSAL, venue_max_age_ms=None).eur_rate
    assert unused(pair("9", "10"), rate=alone).message == "there is no fresh USDT rate from ecb"


def test_a_signed_centre_moves_the_band() -> None:
    assert unused(ecb("1.2")).outside
    assert used(ecb("1.2"), centre="1.2")
    assert unused(ecb("1.1"), centre="1.2").outside


def test_the_highest_rate_is_the_upper_edge_around_the_signed_centre() -> None:
    assert highest(RATE, NO_RATES) == D("1.155")
    assert highest(RATE, Rates(D("1.2"))) == D("1.26")


def test_a_reading_of_this_very_moment_is_fresh() -> None:
    assert used(ecb(age_ms=0), pair(age_ms=0)).until == NOW + 6 * DAY


def test_a_book_outside_the_band_is_named_from_its_bid_to_its_ask() -> None:
    assert "venue says 1.04 to 1.1 USDT per EUR" in unused(pair("1.04", "1.1")).message


def test_a_new_reading_replaces_the_last_one_of_its_source_alone() -> None:
    rates = NO_RATES.with_reading(pair()).with_reading(ecb("1.1")).with_reading(ecb("1.2"))
    assert rates.last == (ecb("1.2"), pair())
    assert (rates.of(ECB), rates.of(VENUE), NO_RATES.of(ECB)) == (ecb("1.2"), pair(), None)


def test_another_centre_changes_nothing_else_of_the_policy() -> None:
    moved = with_centre(POLICY, D("1.2"))
    assert moved.eur_rate == RATE.model_copy(update={"quote_per_eur": D("1.2")})
    assert moved.model_copy(update={"eur_rate": RATE}) == POLICY


@pytest.mark.parametrize(("as_of", "pinned"), [(NOW - 5, NOW - 5), (NOW + 5, NOW)], ids=["signed before", "signed ahead"])
def test_a_pinned_rate_is_of_now_at_the_latest(as_of: int, pinned: int) -> None:
    policy = POLICY.model_copy(update={"eur_rate": RATE.model_copy(update={"as_of": Millis(as_of)})})
    assert priced_for_exit(policy, NO_RATES, NOW).eur_rate.as_of == pinned


def test_an_exit_uses_the_rate_that_counts_and_else_the_lowest() -> None:
    rates = Rates(None, (ecb(),))
    assert priced_for_exit(POLICY, rates, NOW) == priced(POLICY, rates, NOW)
    alone = priced_for_exit(POLICY, NO_RATES, NOW).eur_rate
    assert (alone.quote_per_eur, alone.valid_until) == (lowest(RATE, NO_RATES), NOW + 1)


def test_the_lowest_rate_is_that_of_the_ecb_at_the_edge_of_the_band() -> None:
    edge = used(ecb("1.045"), pair("1.045", "1.1"))
    assert edge.quote_per_eur == lowest(RATE, NO_RATES) == D("1.045") * D("0.98")


# Properties

amounts = st.decimals(min_value="0.6", max_value="1.6", places=6)
ages = st.integers(min_value=-DAY, max_value=8 * DAY)


@st.composite
def quoted(draw: st.DrawFn) -> tuple[RateReading, ...]:
    found = []
    for source in draw(st.sets(st.sampled_from(list(RateSource)))):
        low, high = sorted((draw(amounts), draw(amounts)))
        found.append(RateReading(source, low, low if source is ECB else high, Millis(NOW - draw(ages))))
    return tuple(found)


@st.composite
def followed(draw: st.DrawFn) -> EurRate:
    follow = Follow(
        band_percent=draw(st.decimals(min_value="0.5", max_value="10", places=2)),
        ecb_max_age_ms=draw(st.integers(min_value=1, max_value=6 * DAY)),
        venue_max_age_ms=draw(st.none() | st.integers(min_value=1, max_value=3_600_000)),
    )
    return EurRate(asset="USDT", quote_per_eur=draw(amounts), as_of=NOW, follow=follow)


@given(rate=followed(), found=quoted(), centre=st.none() | amounts)
def test_what_counts_is_fresh_inside_and_the_worst(rate: EurRate, found: tuple[RateReading, ...], centre: Decimal | None) -> None:
    rates = Rates(centre, found)
    assert rate.follow is not None
    result = in_use(rate, rates, NOW)
    now_fresh = fresh(rate.follow, rates, NOW)
    low, high = band(rate, rates)
    for one in now_fresh:
        most = max_age_ms(rate.follow, one.source)
        assert most is not None
        assert 0 <= NOW - one.at < most
    if isinstance(result, NoRate):
        assert not now_fresh or any(one.low < low or one.high > high for one in now_fresh)
        assert result.outside is bool(now_fresh)
        return
    assert all(low <= one.low <= one.high <= high for one in now_fresh)
    assert result.quote_per_eur == min(one.low * (1 - MARGINS[one.source]) for one in now_fresh)
    assert lowest(rate, rates) <= result.quote_per_eur <= highest(rate, rates)


@given(rate=followed(), found=quoted(), extra=quoted())
def test_another_fresh_reading_never_raises_the_rate(
    rate: EurRate, found: tuple[RateReading, ...], extra: tuple[RateReading, ...]
) -> None:
    """More sources can only make an exposure larger, or deny."""
    fewer = Rates(None, found)
    more = fewer
    for one in extra:
        if fewer.of(one.source) is None:
            more = more.with_reading(one)
    before, after = in_use(rate, fewer, NOW), in_use(rate, more, NOW)
    if isinstance(before, RateInUse) and isinstance(after, RateInUse):
        assert after.quote_per_eur <= before.quote_per_eur


@given(rate=followed(), found=quoted(), centre=st.none() | amounts)
def test_an_exit_always_has_a_rate_and_it_is_never_better(
    rate: EurRate, found: tuple[RateReading, ...], centre: Decimal | None
) -> None:
    policy, rates = POLICY.model_copy(update={"eur_rate": rate}), Rates(centre, found)
    entry, exit_ = priced(policy, rates, NOW), priced_for_exit(policy, rates, NOW)
    assert exit_.eur_rate.follow is None
    if isinstance(entry, NoRate):
        assert exit_.eur_rate.quote_per_eur == lowest(rate, rates)
    else:
        assert exit_ == entry


# Orders

FRESH = Rates(None, (ecb(),))


def seen(rates: Rates, **changes: Any) -> LimitContext:
    return replace(context(**changes), rates=rates)


def test_an_exposure_is_converted_at_the_rate_that_counts() -> None:
    view = account(btc="0.0001")
    found = worst_case(view, {BTC: QUOTE}, {BTC: RULES}, POLICY, NOW, FRESH)
    assert not isinstance(found, MissingInput)
    at_ecb = D("6") / (D("1.1") * D("0.98"))
    assert at_ecb <= found.eur < at_ecb + D("0.0000001")


def test_a_policy_that_follows_has_no_exposure_without_a_reading() -> None:
    found = worst_case(account(btc="0.0001"), {BTC: QUOTE}, {BTC: RULES}, POLICY, NOW)
    assert isinstance(found, MissingInput)
    assert found.input is InputName.EUR_RATE


def test_a_buy_needs_a_fresh_reading_inside_the_band() -> None:
    assert admitted(buy(), seen(FRESH), POLICY)
    stale = denied(buy(), seen(Rates(None, (ecb(age_ms=6 * DAY),))), POLICY)
    assert stale.rule is LimitRule.EUR_RATE
    outside = denied(buy(), seen(Rates(None, (ecb("1.2"),))), POLICY)
    assert outside.rule is LimitRule.EUR_RATE_BAND
    assert "set-rate" in outside.remedy
    assert denied(buy(), context(), POLICY).rule is LimitRule.EUR_RATE


@pytest.mark.parametrize("rates", [NO_RATES, Rates(None, (ecb(age_ms=6 * DAY),)), Rates(None, (ecb("1.2"),))])
def test_a_sale_needs_none(rates: Rates) -> None:
    verdict = admitted(sell(), seen(rates, btc="0.0001"), POLICY)
    at_worst = D("6") / lowest(RATE, rates)
    assert at_worst <= verdict.exposure.eur < at_worst + D("0.0000001")


def test_a_sale_is_still_bound_to_the_size_of_one_order() -> None:
    most = POLICY.limits.order_notional_max_eur * lowest(RATE, NO_RATES) / D(60_000)
    too_much = f"{most * D('1.01'):.6f}"
    assert denied(sell(too_much), seen(NO_RATES, btc="1"), POLICY).rule is LimitRule.ORDER_NOTIONAL


def test_a_lower_reading_makes_the_same_order_too_large() -> None:
    most = POLICY.limits.order_notional_max_eur * D("1.1") * D("0.98")
    size = f"{most / D(60_000):.8f}"[:-1]
    assert admitted(buy(size), seen(FRESH), POLICY)
    assert denied(buy(size), seen(Rates(None, (ecb("1.08"),))), POLICY).rule is LimitRule.ORDER_NOTIONAL


# Documents


def test_a_pinned_policy_means_what_it_meant() -> None:
    assert "follow" not in canonical_bytes(REHEARSAL).decode()
    assert lowest(REHEARSAL.eur_rate, FRESH) == highest(REHEARSAL.eur_rate, FRESH) == REHEARSAL.eur_rate.quote_per_eur
    assert priced(REHEARSAL, Rates(D("1.2"), (ecb("1.2"),)), NOW) is REHEARSAL
    assert admitted(buy(), seen(Rates(None, (ecb("9"),))))


def test_a_policy_that_follows_reads_back_from_its_canonical_bytes() -> None:
    assert parse_canonical(canonical_bytes(POLICY)) == POLICY
    assert digest(following(REHEARSAL, venue_max_age_ms=None)) != digest(POLICY)


@pytest.mark.parametrize("name", ["solo", "team"])
def test_the_production_examples_have_a_rate_that_does_not_end(name: str) -> None:
    rate = example(name).eur_rate
    assert rate.follow is not None
    assert rate.valid_until is None


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("eur_rate.follow.band_percent", "0.49", "greater than or equal to 0.5"),
        ("eur_rate.follow.band_percent", "10.1", "less than or equal to 10"),
        ("eur_rate.follow.ecb_max_age_ms", 0, "greater than or equal to 1"),
        ("eur_rate.valid_until", NOW + DAY, "has no valid_until"),
    ],
)
def test_a_malformed_rate_is_refused(path: str, value: object, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        changed(POLICY, path, value)


def test_only_a_dollar_can_follow_the_ecb() -> None:
    text = REHEARSAL_FILE.read_text().replace('asset = "USDT"', 'asset = "BTC"').replace('"BTCUSDT"', '"ETHBTC"')
    text = text.replace("valid_until = 2030-01-01T00:00:00Z", "follow = { band_percent = 5, ecb_max_age_ms = 1 }")
    with pytest.raises(ConfigError, match="BTC cannot follow the ECB"):
        load_policy(text)
