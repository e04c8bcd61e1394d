"""A replay's decisions against the run's, by hand and for any times: each is matched once, and what is left over counts."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Millis
from gates.computed import Run
from gates.metric import Metric
from gates.replay_parity import metrics
from gates.series import Decision
from gates.signals import Compared, Signals, compare, decision_of, match, value_text
from policies.rules import MetricName
from policies.schema import Performance, Replay
from policies.stage import Environment
from policies.values import replace
from tests.unit.gates.gate_kit import good_run
from tests.unit.policies.policy_kit import REHEARSAL

ALWAYS = ((Millis(0), Millis(10_000)),)
OFFERED = Performance(looks=1, variants=1, replay=Replay(offered=True, tolerance_ms=100))
times = st.lists(st.integers(0, 60).map(Millis), max_size=6).map(sorted)


def decided(*lines: str) -> list[Decision]:
    """``5 B`` is a purchase at 5 ms."""
    sides = {"B": "BUY", "S": "SELL"}
    return [Decision(Millis(int(at)), "BTCUSDT", sides[side]) for at, side in (line.split() for line in lines)]


def ran(*lines: str) -> Signals:
    signals = Signals()
    for one in decided(*lines):
        signals = signals.with_decision(one.at, one.symbol, one.side)
    return signals


def compared(signals: Signals, *replayed: Decision, started_at: int = 0, as_of: int = 10_000, spans: object = ALWAYS) -> Compared:
    return compare(signals, replayed, spans, started_at=Millis(started_at), as_of=Millis(as_of), tolerance_ms=100)  # type: ignore[arg-type]


def figures(found: Compared | None, performance: Performance | None = OFFERED) -> dict[MetricName, Metric]:
    tally = replace(good_run(REHEARSAL), signals=Signals(compared=found))
    return {one.name: one for one in metrics(Run(tally, Environment.REHEARSAL, None), performance)}


def test_a_run_and_its_replay_by_hand() -> None:
    # 1000 and 3000 are the same; 2000 is a sale in the replay; 4000 comes 150 ms after its data; nobody decided 5000 in the run.
    found = compared(ran("1000 B", "2000 B", "3000 S", "4000 S"), *decided("990 B", "1990 S", "3000 S", "3850 S", "5000 B"))
    assert (found.agreed, found.only_run, found.only_replay, found.unrecorded) == (2, 2, 3, 0)
    assert "the run alone BUY BTCUSDT at 1970-01-01 00:00:02.000 UTC" in found.example


def test_an_order_before_its_data_is_another_decision() -> None:
    found = compared(ran("1000 B"), *decided("1001 B"))
    assert (found.agreed, found.only_run, found.only_replay) == (0, 1, 1)


def test_one_order_is_matched_with_one_of_many_repeats() -> None:
    found = compared(ran("1000 B"), *decided("1000 B", "1000 B", "999 B"))
    assert (found.agreed, found.only_run, found.only_replay) == (1, 0, 2)


def test_another_symbol_is_another_decision() -> None:
    found = compared(ran("1000 B"), Decision(Millis(1000), "ETHUSDT", "BUY"))
    assert (found.agreed, found.only_run, found.only_replay) == (0, 1, 1)


def test_decisions_outside_of_the_run_are_no_difference() -> None:
    # 400 warms up; 950 may still become an order until 1050; the order of 1050 is after the replay.
    found = compared(ran("600 B", "1050 S"), *decided("400 S", "590 B", "950 S"), started_at=500, as_of=1000)
    assert (found.agreed, found.only_run, found.only_replay) == (1, 0, 0)


def test_a_decision_without_a_recording_is_not_judged() -> None:
    spans = ((Millis(0), Millis(1500)),)
    found = compared(ran("1000 B", "2000 B", "2500 B"), *decided("1000 B"), spans=spans)
    assert (found.agreed, found.only_run, found.unrecorded, found.decided) == (1, 0, 2, 3)


def test_denials_that_were_counted_together_are_no_difference() -> None:
    signals = ran("1000 B").with_denied_again(Millis(1100), Millis(1900), "BTCUSDT", 2)
    found = compared(signals, *decided("1000 B", "1100 B", "1200 S", "1300 B"))
    assert (found.agreed, found.only_run, found.only_replay) == (1, 0, 1)
    found = compared(signals, *decided("1000 B", "1100 B"))
    assert (found.agreed, found.only_run, found.only_replay) == (1, 1, 0)


@given(times, times, st.integers(0, 20))
def test_no_other_matching_has_more_pairs(lived: list[Millis], again: list[Millis], tolerance: int) -> None:
    pairs, alone, too_many = match(lived, again, tolerance)
    assert (pairs + len(alone), pairs + len(too_many)) == (len(lived), len(again))
    for size in range(min(len(lived), len(again)), pairs, -1):
        # In order is enough: two crossed pairs can always be uncrossed.
        for some in combinations(lived, size):
            fits = (all(0 <= a - b <= tolerance for a, b in zip(some, other, strict=True)) for other in combinations(again, size))
            assert not any(fits)


@given(times, times, st.integers(0, 20))
def test_what_is_left_over_fits_nowhere(lived: list[Millis], again: list[Millis], tolerance: int) -> None:
    _, alone, too_many = match(lived, again, tolerance)
    assert not any(0 <= a - b <= tolerance for a in alone for b in too_many)


def test_the_bound_is_the_one_of_clopper_and_pearson() -> None:
    # All of n agree: the p with p^n = 0.05 (execution-safety.md §4.1), for n = 60: 0.05^(1/60) = 0.95130...
    found = figures(Compared(Millis(0), agreed=60))
    assert found[MetricName.REPLAY_PARITY_RATIO].value == 1
    lower = found[MetricName.REPLAY_PARITY_LOWER].value
    assert lower is not None
    assert abs(lower - Decimal("0.951297")) < Decimal("0.00001")
    assert found[MetricName.REPLAY_PARITY_LOWER].samples == 60


def test_the_figures_by_hand() -> None:
    # 7 of 10 are the same; of the run's 12 decisions 9 were made while the market was recorded.
    found = figures(Compared(Millis(0), agreed=7, only_run=2, only_replay=1, unrecorded=3))
    assert found[MetricName.REPLAY_PARITY_RATIO].value == Decimal("0.7")
    assert found[MetricName.REPLAY_COVERAGE_RATIO].value == Decimal("0.75")
    assert found[MetricName.REPLAY_COVERAGE_RATIO].samples == 12
    assert "7 of 10 decisions are the same" in found[MetricName.REPLAY_PARITY_RATIO].detail


@pytest.mark.parametrize(
    ("performance", "why"),
    [
        (None, "not declared"),
        (Performance(looks=1, variants=1), "not declared"),
        (Performance(looks=1, variants=1, replay=Replay(offered=False)), "not offered"),
        (OFFERED, "not replayed to the bot in this run yet"),
    ],
    ids=["no-declaration", "silent", "not-offered", "offered"],
)
def test_without_a_replay_there_is_no_figure_and_it_says_why(performance: Performance | None, why: str) -> None:
    found = figures(None, performance)
    assert {one.value for one in found.values()} == {None}
    assert all(why in one.detail for one in found.values())


def test_a_replay_of_nothing_shows_nothing() -> None:
    assert {one.value for one in figures(compared(Signals())).values()} == {None}


def test_a_replay_that_failed_is_an_error() -> None:
    assert {one.error for one in figures(Compared(Millis(0), error="it printed NaN")).values()} == {"it printed NaN"}


@given(st.integers(0, 10**14), st.sampled_from(["BTCUSDT", "A"]), st.sampled_from(["BUY", "SELL"]))
def test_a_decision_is_read_as_it_was_written(at: int, symbol: str, side: str) -> None:
    one = Decision(Millis(at), symbol, side)
    assert decision_of(value_text(one)) == one


NO_DECISIONS = (
    *("", "1000 BTCUSDT", "NaN BTCUSDT BUY", "-1 BTCUSDT BUY", "1e3 BTCUSDT BUY", "1000 BTC/USDT BUY", "1000 BTCUSDT buy"),
    *("² BTCUSDT BUY", "1000  BTCUSDT BUY", "1000 BTCUSDT BUY x", "1" * 16 + " BTCUSDT BUY", "1000 " + "A" * 21 + " BUY"),
)


@pytest.mark.parametrize("line", NO_DECISIONS)
def test_any_other_line_is_no_decision(line: str) -> None:
    with pytest.raises(ValueError, match=r"decision|side|unpack"):
        decision_of(line)
