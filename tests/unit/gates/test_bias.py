"""The bias of the simulation has the bounds that a hand computes, and a verdict needs the whole interval."""

from __future__ import annotations

import math
import random
from decimal import Decimal

import pytest

from gates.bias import Pair, ShadowTally, Sums, outside_the_band, price_advantage_bps, student_quantile
from policies.schema import Shadow

D = Decimal
BAND = Shadow()


def pairs(both: int = 0, more: int = 0, less: int = 0, neither: int = 0) -> ShadowTally:
    """So many orders filled in both, in the simulation alone, at the venue alone, in neither."""
    tally = ShadowTally()
    for simulated, real, times in ((True, True, both), (True, False, more), (False, True, less), (False, False, neither)):
        for _ in range(times):
            tally = tally.with_pair(Pair(simulated, real, None, None, None))
    return tally


def differences(*values: str) -> Sums:
    sums = Sums()
    for value in values:
        sums = sums.plus(D(value))
    return sums


def test_student_agrees_with_its_closed_forms() -> None:
    # One degree of freedom is Cauchy: tan(π (p - 1/2)). Two: (2p - 1) sqrt(2 / (4 p (1 - p))).
    assert float(student_quantile(1)) == pytest.approx(math.tan(math.pi * 0.495), abs=5e-4)
    assert float(student_quantile(2)) == pytest.approx(0.99 * math.sqrt(2 / (4 * 0.995 * 0.005)), abs=5e-4)


def test_student_between_two_rows_is_the_larger() -> None:
    assert student_quantile(35) == student_quantile(30) == D("2.750")
    assert student_quantile(10_000) == D("2.617")


def test_paired_t_by_hand() -> None:
    # d = 1, 2, 3, 4: mean 2.5, s² = 5/3, s/√n = √(5/12) = 0.645497; t(3) = 5.841 gives ± 3.770349.
    bound = differences("1", "2", "3", "4").bound()
    assert bound is not None
    assert bound.estimate == D("2.5")
    assert round(bound.low, 4) == D("-1.2703")
    assert round(bound.high, 4) == D("6.2703")
    assert bound.count == 4


def test_one_difference_has_no_bound() -> None:
    assert differences("1").bound() is None
    assert Sums().plus(None).count == 0


def test_fill_bias_without_a_difference_by_hand() -> None:
    # 30 pairs, none discordant: each cell is at most 1 - 0.005^(1/30) = 0.161900, and the bounds are that far from 0.
    bound = pairs(both=20, neither=10).fill_bias()
    assert bound is not None
    most = 1 - 0.005 ** (1 / 30)
    assert float(bound.high) == pytest.approx(most, abs=1e-9)
    assert float(bound.low) == pytest.approx(-most, abs=1e-9)


def test_fill_bias_with_differences_by_hand() -> None:
    # 5 of 20 in the simulation alone. Clopper-Pearson at 0.995 each: 0.058341 <= 0.25 <= 0.559761; 0 of 20 is at most 0.232733.
    # low = 0.25 - √((0.25 - 0.058341)² + 0.232733²) = -0.051495; high = 0.25 + √((0.559761 - 0.25)² + 0²) = 0.559761.
    bound = pairs(both=10, more=5, neither=5).fill_bias()
    assert bound is not None
    assert bound.estimate == D("0.25")
    assert round(bound.low, 4) == D("-0.0515")
    assert round(bound.high, 4) == D("0.5598")


def test_fill_bias_is_symmetric() -> None:
    more, less = pairs(both=9, more=7, less=2).fill_bias(), pairs(both=9, more=2, less=7).fill_bias()
    assert more is not None
    assert less is not None
    assert abs(more.low + less.high) < D("1e-10")
    assert abs(more.high + less.low) < D("1e-10")


@pytest.mark.parametrize(
    ("buys", "simulated", "real", "expected"),
    [(True, "100", "101", "100"), (False, "100", "101", "-100"), (True, "101", "100", "-100"), (False, "101", "100", "100")],
)
def test_a_better_price_is_positive(buys: bool, simulated: str, real: str, expected: str) -> None:
    assert price_advantage_bps(D(simulated), D(real), D(100), buys=buys) == D(expected)


def test_a_price_that_is_missing_is_not_compared() -> None:
    assert price_advantage_bps(None, D(1), D(1), buys=True) is None
    assert price_advantage_bps(D(1), None, D(1), buys=True) is None


def test_an_interval_that_touches_the_band_decides_nothing() -> None:
    # 30 of 100 too often: the point is twice the band, and its lower bound is inside.
    tally = pairs(both=70, more=30)
    bound = tally.fill_bias()
    assert bound is not None
    assert D("0.15") < bound.low
    wider = Shadow(fill_band=bound.low)
    assert outside_the_band(tally, BAND)
    assert outside_the_band(tally, wider) == ""


def test_a_simulation_that_is_too_bad_is_outside_as_well() -> None:
    assert "fill probability" in outside_the_band(pairs(both=40, less=60), BAND)


def test_few_orders_are_not_judged() -> None:
    assert outside_the_band(pairs(more=29), BAND) == ""
    assert outside_the_band(pairs(more=30), BAND)


def test_each_quantity_says_what_it_is() -> None:
    tally = ShadowTally()
    for n in range(30):
        tally = tally.with_pair(Pair(True, True, D(10 + n % 3), 1, 1))
    assert outside_the_band(tally, BAND).startswith("the simulated price differs from the real one by ")
    late = ShadowTally()
    for n in range(30):
        late = late.with_pair(Pair(True, True, D(0), -900 + n, 1))
    assert outside_the_band(late, BAND).startswith("the simulated time to acknowledgement differs")


def _run(rng: random.Random, orders: int, *, too_often: float, better_bps: float, slower_ms: float = 0) -> int:
    """At which order the simulation is found to be outside its band, 0 for never. It is judged at every order.

    Half of the real orders fill. The simulation fills ``too_often`` more of them, and disagrees at random in a fifth besides.
    Prices differ by about 4 bps with fat tails, answers by about 60 ms.
    """
    tally = ShadowTally()
    for number in range(1, orders + 1):
        real = rng.random() < 0.5
        simulated = (rng.random() < 0.5 + too_often) if rng.random() < 0.2 else (real or rng.random() < 2 * too_often)
        price = D(str(round(better_bps + rng.gauss(0, 1) * (12 if rng.random() < 0.1 else 3), 6)))
        tally = tally.with_pair(Pair(simulated, real, price if simulated and real else None, round(rng.gauss(slower_ms, 60)), None))
        if outside_the_band(tally, BAND):
            return number
    return 0


def test_an_unbiased_simulation_is_rarely_revoked() -> None:
    runs, orders = 300, 200
    revoked = sum(_run(random.Random(seed), orders, too_often=0, better_bps=0) > 0 for seed in range(runs))
    print(f"false revocations: {revoked} of {runs} runs of {orders} orders")
    assert revoked <= runs // 100


@pytest.mark.parametrize(("name", "too_often", "better_bps", "within"), [("fills", 0.25, 0.0, 600), ("prices", 0.0, 10.0, 150)])
def test_a_biased_simulation_is_found(name: str, too_often: float, better_bps: float, within: int) -> None:
    found = sorted(_run(random.Random(seed), 1_000, too_often=too_often, better_bps=better_bps) for seed in range(15))
    print(f"{name}: found after {found[len(found) // 2]} orders in the median, {found[-1]} at the most")
    assert all(0 < number <= within for number in found)
