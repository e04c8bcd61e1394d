"""A rule with ``above_eur`` is asked only for steps of the ramp beyond that cap, and the larger steps need a record."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.errors import ConfigError
from gates.engine import evaluate
from policies.rules import GateName
from policies.schema import Policy
from policies.stage import Stage
from policies.tightening import only_stricter
from tests.unit.gates.gate_kit import evidence_of, good_run
from tests.unit.policies.policy_kit import changed, example, pinned, tree_of

TEAM = pinned(example("team"))
RULES = tree_of(TEAM)["gates"]["ramp-step"]


def with_record(**changes: Any) -> Policy:
    """The team policy with its rule on the record changed; ``None`` takes a field out."""
    rules = [{**rule, **changes} if rule["id"] == "record" else rule for rule in RULES]
    return changed(TEAM, "gates.ramp-step", [{key: value for key, value in rule.items() if value is not None} for rule in rules])


def asked(stage: Stage, step: int) -> set[str]:
    """The rules that are asked for the move up from a step."""
    made = evidence_of(TEAM, GateName.RAMP_STEP, good_run(TEAM))
    subject = made.subject.model_copy(update={"stage": stage, "step": step})
    made = made.model_copy(update={"subject": subject})
    return {rule.rule for rule in evaluate(GateName.RAMP_STEP, TEAM, made, made.window_to_ms).rules}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stage", "step", "needed"), [(Stage.LIVE_EUR10, 0, False), (Stage.RAMPING, 1, True), (Stage.RAMPING, 2, True)]
)
def test_a_record_is_needed_beyond_25_euros(stage: Stage, step: int, needed: bool) -> None:
    assert ("record" in asked(stage, step)) is needed
    assert "no-unknown" in asked(stage, step)


def test_without_evidence_every_rule_is_asked() -> None:
    assert "record" in {rule.rule for rule in evaluate(GateName.RAMP_STEP, TEAM, None, good_run(TEAM).last_at).rules}


def test_after_the_last_step_every_rule_is_asked() -> None:
    assert "record" in asked(Stage.RAMPING, 3)


@pytest.mark.parametrize("changes", [{"above_eur": "25.01"}, {"threshold": "0.94"}, {"op": "<="}, {"metric": "psr"}], ids=str)
def test_a_ramp_beyond_25_euros_without_a_record_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="for steps above 25 EUR"):
        with_record(**changes)


@pytest.mark.parametrize("changes", [{"above_eur": None}, {"above_eur": "10"}, {"threshold": "0.99"}], ids=str)
def test_a_stricter_record_is_accepted(changes: dict[str, str | None]) -> None:
    assert only_stricter(TEAM, with_record(**changes))


def test_a_record_that_is_asked_later_is_not_stricter() -> None:
    assert not only_stricter(with_record(above_eur="10"), TEAM)
    assert not only_stricter(with_record(above_eur=None), TEAM)


def test_a_small_ramp_needs_no_record() -> None:
    assert all(rule.metric != "dsr" for rule in example("solo").gates.ramp_step)


def test_a_required_rule_is_asked_for_every_step() -> None:
    rules = [{**rule, "above_eur": "25"} if rule["id"] == "no-unknown" else rule for rule in RULES]
    with pytest.raises(ConfigError, match="unknown_orders"):
        changed(TEAM, "gates.ramp-step", rules)


def test_only_the_ramp_has_rules_for_larger_caps() -> None:
    rules = tree_of(TEAM)["gates"]["validation"]
    with pytest.raises(ConfigError, match="only the steps of the ramp"):
        changed(TEAM, "gates.validation", [{**rules[0], "above_eur": "25"}, *rules[1:]])
