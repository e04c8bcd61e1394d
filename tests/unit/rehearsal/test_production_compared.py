"""What production would say of a rehearsed run: a rule passes, fails or has no data, and nothing passes by absence."""

from __future__ import annotations

from typing import Any

import pytest

from controller.rehearsal.policy import Plan, policy_text
from controller.rehearsal.production import FAIL, NO_DATA, PASS, compared
from policies.required import VALIDATION_RULES


def document(**values: str | None) -> dict[str, Any]:
    rows = [{"name": name, "value": value, "samples": 7} for name, value in values.items()]
    return {"measured": rows[:1], "statistics": {"rows": rows[1:]}}


@pytest.mark.parametrize(("value", "verdict"), [("300", PASS), ("301", FAIL), (None, NO_DATA), ("", NO_DATA)])
def test_a_rule_is_compared_with_what_was_measured(value: str | None, verdict: str) -> None:
    (row,) = [one for one in compared(document(rate_limited="0", ack_p50_ms=value)) if one.metric == "ack_p50_ms"]
    assert (row.verdict, row.asked, row.samples) == (verdict, "≤ 300", 7)


def test_every_rule_of_production_is_shown_also_without_data() -> None:
    rows = compared(document())
    assert [one.metric for one in rows] == [rule.metric.value for rule in VALIDATION_RULES]
    assert {one.verdict for one in rows} == {NO_DATA}


@pytest.mark.parametrize(
    ("hours", "asked", "not_asked"),
    [(0.05, "ack_p50_ms", "book_crossed_ratio"), (0.5, "rate_limited", "ack_p50_ratio_low"), (9, "ack_p99_ratio_low", "midnights")],
)
def test_a_rehearsal_judges_what_its_hours_can_measure(hours: float, asked: str, not_asked: str) -> None:
    policy = policy_text(Plan(hours))
    assert f'"{asked}"' in policy
    assert f'"{not_asked}"' not in policy


def test_three_days_are_asked_for_midnights_rotations_and_renewals() -> None:
    policy = policy_text(Plan(72))
    assert 'metric = "midnights", op = ">=", threshold = 3' in policy
    assert 'metric = "listen_key_renewals", op = ">=", threshold = 72' in policy
