"""How the rehearsal of a week judges an event: a halt, a demotion, a gap or silence where something else was expected is named."""

from __future__ import annotations

from typing import Any

import pytest

from policies.document import load_policy
from policies.floors import LIVE_RULES, violations
from policies.required import VALIDATION_RULES
from policies.stage import Environment, Mode
from tests.support.ordinary import soak, world
from tests.support.ordinary.climbing import too_long
from tests.support.ordinary.judging import Expected, Outcome, Seen, between, problem, read
from tests.support.ordinary.load import Resident
from tests.support.ordinary.scene import policy_text
from tests.support.ordinary.soak_page import page
from tests.support.ordinary.trend import trend

GAP = Expected(Outcome.GAP, 10_000)
HALT = Expected(Outcome.HALT, sees="quote-stale", way_out="resume")
MOVED = Expected(Outcome.HALT, sees="reconcile", way_out="rebaseline", differs=("live",))
DOWN = Expected(Outcome.DEMOTED, to="LIVE_€10", way_out="climb")


def entry(kind: str, at_ms: int = 0, **body: Any) -> dict[str, Any]:
    return {"kind": kind, "at_ms": at_ms, "body": body}


def sampled(at_ms: int, *, covered: bool = True) -> dict[str, Any]:
    return entry("sampled", at_ms, covered=covered, interval_ms=1_000)


@pytest.mark.parametrize(
    ("expected", "seen", "named"),
    [
        (GAP, Seen("LIVE_€10", "LIVE_€10", orders=1, gap_ms=9_000), ""),
        (GAP, Seen("LIVE_€10", "HALTED", halt="quote-stale: 60 s"), "a false halt"),
        (GAP, Seen("LIVE_€10", "VALIDATED", orders=1), "it was demoted"),
        (GAP, Seen("LIVE_€10", "LIVE_€10"), "no order was taken again"),
        (GAP, Seen("LIVE_€10", "LIVE_€10", orders=1, gap_ms=10_001), "a gap of 10001 ms"),
        (HALT, Seen("LIVE_€10", "HALTED", halt="quote-stale: 60 s"), ""),
        (HALT, Seen("LIVE_€10", "HALTED", halt="daily-loss"), "the halt does not say 'quote-stale'"),
        (HALT, Seen("LIVE_€10", "LIVE_€10", orders=1), "it did not halt"),
        (HALT, Seen("LIVE_€10", "HALTED", halt="quote-stale", differs=("live",)), "the accounts that differ from our books: live"),
        (MOVED, Seen("LIVE_€10", "HALTED", halt="live does not reconcile", differs=("live",)), ""),
        (MOVED, Seen("LIVE_€10", "HALTED", halt="live does not reconcile"), "the accounts that differ from our books: none"),
        (DOWN, Seen("RAMPING step 1", "LIVE_€10"), ""),
        (DOWN, Seen("RAMPING step 1", "RAMPING step 1", orders=1), "it is at RAMPING step 1"),
    ],
)
def test_what_was_seen_is_held_against_what_was_expected(expected: Expected, seen: Seen, named: str) -> None:
    assert problem(expected, seen) == named


def test_the_longest_time_between_covered_samples_is_the_gap() -> None:
    entries = [sampled(1_000), sampled(2_000, covered=False), sampled(7_500), entry("order-acked"), sampled(8_500)]
    seen = read("LIVE_€10", entries, 0, "LIVE_€10")
    assert (seen.gap_ms, seen.orders) == (5_500, 1)


def test_guards_and_halts_are_read_from_the_journal() -> None:
    raised = entry("guard-level-changed", level="CANCEL_ALL", guard="quote-stale")
    halted = entry("stage-changed", stage="HALTED", cause="breach", reason="quote-stale: no quote for 60 s")
    assert read("LIVE_€10", [raised], 0, "LIVE_€10").guards == ["cancel_all by quote-stale"]
    assert read("LIVE_€10", [raised, halted], 0, "HALTED").halt == "quote-stale: no quote for 60 s"


def moved(stage: str, cause: str) -> dict[str, Any]:
    return entry("stage-changed", from_stage="RAMPING", from_step=1, stage=stage, step=0, cause=cause, reason="a guard")


def test_a_halt_between_two_events_is_a_false_one() -> None:
    seen = between([sampled(1_000), moved("HALTED", "breach")])
    assert seen is not None
    assert problem(GAP, seen) == "a false halt"


def test_a_demotion_between_two_events_is_named() -> None:
    seen = between([sampled(1_000), moved("LIVE_€10", "soft-breach")])
    assert seen is not None
    assert (seen.before, seen.after, problem(GAP, seen)) == ("RAMPING step 1", "LIVE_€10", "it was demoted")


@pytest.mark.parametrize("signed", [moved("LIVE_€10", "demote"), moved("HALTED", "halt"), moved("MOCK", "set-policy")])
def test_moves_that_people_sign_between_two_events_are_nothing(signed: dict[str, Any]) -> None:
    assert between([sampled(1_000), signed, sampled(90_000)]) is None


@pytest.mark.parametrize(("covered_ms", "ratio", "long"), [("30000", "0.97", False), ("30000", "0.96", True), ("0", "", False)])
def test_a_run_begins_anew_when_an_old_gap_would_need_minutes(covered_ms: str, ratio: str, long: bool) -> None:
    # 0.9 s of 30.9 s are 0.5 % of 186 s, and 1.3 s of 31.3 s are 0.5 % of 250 s.
    rules = [
        {"metric": "covered_ms", "measured": covered_ms, "threshold": "20000"},
        {"metric": "coverage_ratio", "measured": ratio, "threshold": "0.995"},
    ]
    assert too_long([{"rules": rules}], 200.0) is long


def test_growth_compares_the_last_quarter_with_the_second() -> None:
    assert soak.growth([50, 50, 100, 100, 105, 105, 110, 110]) == pytest.approx(0.1)
    assert soak.growth([0, 0]) == 0


def test_a_slope_counts_only_beyond_its_uncertainty() -> None:
    rising = trend([(float(at), 100 + at / 10 + (at % 2)) for at in range(100)])
    noisy = trend([(float(at), 100 + 20 * (at % 7)) for at in range(100)])

    assert rising.rises_by(5)
    assert not rising.rises_by(12)
    assert not noisy.rises_by(2)
    assert not trend([(0.0, 1.0), (1.0, 9.0)]).rises_by(0)


def test_the_page_of_a_long_run_has_a_curve_for_each_value() -> None:
    samples = [
        soak.Sample(at * 30.0, {"controller": Resident("controller", 7, 90.0 + at, 40, 5)}, 2.0 + at, 3.0) for at in range(4)
    ]

    drawn = page(samples, [(45.0, "streams cut")], ["controller: it RISES"])

    assert drawn.count("<svg") == 5
    assert "streams cut" in drawn
    assert "it RISES" in drawn


def test_the_covering_copies_change_times_only() -> None:
    for name, changes in world.SHORTER.items():
        text = (world.ROOT / name).read_text()
        changed = world.shortened(text, changes)
        lines = [new for old, new in zip(text.splitlines(), changed.splitlines(), strict=True) if old != new]
        assert lines
        words = ("covered_ms", "every: int", '"3000"', "every_s", "retry_s", "drill_rules")
        assert [line for line in lines if not any(word in line.lower() for word in words)] == []


@pytest.mark.parametrize("mode", Mode)
def test_the_weeks_policy_is_too_short_for_production_and_only_that(mode: Mode) -> None:
    text = policy_text(mode).replace('environment = "production"', 'environment = "rehearsal"')
    loose = violations(load_policy(text.encode()).model_copy(update={"environment": Environment.PRODUCTION}))
    assert loose
    words = ("covered_ms", "cooling_off_ms", *(f"{rule.metric} " for rule in (*VALIDATION_RULES, *LIVE_RULES)))
    assert [one for one in loose if not any(word in one.path + one.bound for word in words)] == []
