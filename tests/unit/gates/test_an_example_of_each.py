"""Every metric has an example that was computed by hand; here are those that no other file has."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from exchange.model import DataSource, Millis
from exchange.venue_slots import BookSlot, CallSlot, VenueSlots
from gates.bias import Pair, ShadowTally
from gates.declared import Declared
from gates.drills import GreenDrill, drill_metrics
from gates.integrity import Integrity, observed
from gates.latency import measure_latency
from gates.live import parity_metrics, shadow_metrics
from gates.measure import Tally, metrics
from gates.metric import Metric
from gates.parity import OrderTestTally
from policies.drills import DRILLS, DrillKind
from policies.rules import MetricName
from policies.stage import Environment
from policies.values import replace

UNIT_TESTS = Path(__file__).parents[1]
BEGAN, NOW = Millis(100_000), Millis(100_000_000)
HERE = Environment.PRODUCTION
TALLY = Tally.begin(DataSource.LIVE, at=BEGAN, cap_eur=Decimal(10), accelerated=False)


def value(found: tuple[Metric, ...], name: MetricName) -> Decimal | None:
    return next(one.value for one in found if one.name is name)


def near(found: Decimal | None, by_hand: str) -> bool:
    return found is not None and abs(found - Decimal(by_hand)) < Decimal("0.000001")


@pytest.mark.parametrize("kind", [kind for kind, spec in DRILLS.items() if spec.metric is not None])
def test_the_age_of_a_drill(kind: DrillKind) -> None:
    # Green three hours ago: 3 · 3600 · 1000 ms.
    green = {kind: GreenDrill(Millis(NOW - 3 * 3_600_000), DataSource.LIVE, accelerated=False)}
    name = DRILLS[kind].metric
    assert name is not None
    assert value(drill_metrics(green, NOW, DataSource.LIVE, HERE, accelerated=False), name) == 10_800_000


def sampled(tally: Tally, at: int, *, unknown_open: int = 0) -> Tally:
    """A covered second that ends ``at``."""
    return tally.with_sample(
        Decimal(100), covered=True, interval_ms=1_000, at=Millis(at), unknown_open=unknown_open, oldest_unknown_ms=unknown_open
    )


def test_the_soft_breaches() -> None:
    tally = sampled(TALLY, NOW).with_soft_breach().with_soft_breach()
    assert value(metrics(tally, HERE), MetricName.SOFT_BREACHES) == 2


def test_the_orders_without_an_outcome() -> None:
    # As many as at the last sample, whatever was before.
    tally = sampled(sampled(TALLY, BEGAN + 1_000, unknown_open=3), BEGAN + 2_000, unknown_open=2)
    assert value(metrics(tally, HERE), MetricName.UNKNOWN_ORDERS) == 2


def test_the_midnights_in_covered_time() -> None:
    # 86,400,000 ms and 172,800,000 ms after 1970 are midnights; a second ends half a second after each, and one does not.
    tally = TALLY
    for at in (86_400_500, 86_401_500, 172_800_500):
        tally = sampled(tally, at)
    assert value(metrics(tally, HERE), MetricName.MIDNIGHTS) == 2


def test_the_orders_that_are_refused_for_their_form() -> None:
    tally = TALLY.with_order().with_order().with_order().with_reject(for_its_form=True).with_reject()
    assert value(metrics(tally, HERE), MetricName.FORM_REJECTS) == 1


def test_the_checks_of_the_account_that_failed() -> None:
    found = metrics(TALLY.with_account(9, ("withdrawals are allowed", "the address is not bound")), HERE)
    assert value(found, MetricName.ACCOUNT_CHECKS_FAILED) == 2


def test_the_times_that_a_book_was_crossed() -> None:
    slots = tuple(
        BookSlot(number, Millis(BEGAN + number * 10_000), Millis(BEGAN + number * 10_000 + 10_000), "BTCUSDT", 10_000, crossings, 4,
                 0, 0, 2, Decimal(0), 0)
        for number, crossings in ((1, 2), (2, 3))
    )  # fmt: skip
    found = observed(Integrity(), VenueSlots(books=slots), BEGAN, (), NOW)
    assert value(metrics(replace(TALLY, integrity=found), HERE), MetricName.BOOK_CROSSINGS) == 5


def test_the_bans_of_an_address() -> None:
    slots = tuple(
        CallSlot(number, Millis(BEGAN + number * 10_000), Millis(BEGAN + number * 10_000 + 10_000), 20, 0, banned, {})
        for number, banned in ((1, 1), (2, 2))
    )
    found = observed(Integrity(), VenueSlots(calls=slots), BEGAN, (), NOW)
    assert value(metrics(replace(TALLY, integrity=found), HERE), MetricName.ADDRESS_BANS) == 3


def test_the_lower_bound_of_what_the_real_venue_accepts() -> None:
    # Clopper-Pearson with 30 of 30: 0.05^(1/30) = e^(-2.995732/30) = 0.904966.
    found = parity_metrics(OrderTestTally().with_answers(30, {}, {"30004": 7}), TALLY, HERE)
    assert value(found, MetricName.ORDER_TESTS) == 30
    assert near(value(found, MetricName.ORDER_TEST_PARITY_LOWER), "0.904966149")


def test_the_bounds_of_the_slow_answers() -> None:
    # Whichever of 299 equal answers bounds the 99th percentile, it took 60 of the declared 150 ms.
    found = {one.name: one for one in measure_latency([60] * 299, Declared(ack_ms=(100, 150)))}
    assert found[MetricName.ACK_P99_RATIO_LOW].value == Decimal("0.4")


def test_the_bounds_of_the_bias_of_fills() -> None:
    # 30 pairs without a difference: 1 - 0.005^(1/30) = 0.161893 on both sides, and 0 and 0 do not correlate.
    shadow = ShadowTally()
    for _ in range(30):
        shadow = shadow.with_pair(Pair(simulated_filled=True, filled=True, price_bps=None, ack_ms=None, fill_ms=None))
    found = shadow_metrics(shadow, TALLY, HERE)
    assert value(found, MetricName.SHADOW_ORDERS) == 30
    assert near(value(found, MetricName.SHADOW_FILL_BIAS_LOW), "-0.161893")
    assert near(value(found, MetricName.SHADOW_FILL_BIAS_HIGH), "0.161893")


def test_the_bounds_of_the_bias_of_prices_and_times() -> None:
    # 1, 2, 3: mean 2, s = 1, t = 9.925 with 2 degrees: 2 ± 9.925 / √3 = 2 ± 5.730201. Ten times that for 10, 20, 30.
    shadow = ShadowTally()
    for number in (1, 2, 3):
        pair = Pair(simulated_filled=True, filled=True, price_bps=Decimal(number), ack_ms=number * 10, fill_ms=None)
        shadow = shadow.with_pair(pair)
    found = shadow_metrics(shadow, TALLY, HERE)
    assert near(value(found, MetricName.SHADOW_PRICE_BIAS_BPS_LOW), "-3.730201")
    assert near(value(found, MetricName.SHADOW_PRICE_BIAS_BPS_HIGH), "7.730201")
    assert near(value(found, MetricName.SHADOW_LATENCY_BIAS_MS_LOW), "-37.302014")
    assert near(value(found, MetricName.SHADOW_LATENCY_BIAS_MS_HIGH), "77.302014")


def test_no_metric_is_without_an_example() -> None:
    texts = "\n".join(path.read_text() for folder in ("gates", "core") for path in (UNIT_TESTS / folder).rglob("test_*.py"))
    missing = {name for name in MetricName if f"MetricName.{name.name}" not in texts and f'"{name.value}"' not in texts}
    assert missing - {spec.metric for spec in DRILLS.values()} == set()
