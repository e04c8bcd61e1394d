"""A production policy can be stricter than the floors, never looser."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import ConfigError
from policies import canonical
from policies.document import canonical_bytes, parse_canonical, parse_journalled
from policies.floors import DRILL_RULES, FLOORS, LIVE_RULES, REQUIRED_RULES, Floor, violations
from policies.numbers import text
from policies.required import REPLAY_RULES, VALIDATION_RULES, RequiredRule
from policies.rules import GateName, MetricName, Op
from policies.schema import BlindHalt, Policy
from tests.unit.policies.policy_kit import REHEARSAL, changed, example, following, pinned, tree_of

TEAM = pinned(changed(example("team"), "limits.order_rate", {"count": 2, "per_ms": 1000}))
"""The team policy with a pinned rate, its orders counted by the second as the floor counts them."""

FOLLOWING = following(TEAM)


WITH_BOTS = changed(TEAM, "bots", [{"name": "candles", "silence_max_ms": 90_000}])


def _base(floor: Floor) -> Policy:
    if floor.path.startswith("bots."):
        return WITH_BOTS
    return FOLLOWING if ".follow." in floor.path else TEAM


STEPS = st.integers(min_value=1, max_value=10**12)


def test_a_stage_that_never_halts_for_what_is_unseen_is_within_its_floor() -> None:
    guards = TEAM.guards.model_copy(update={"blind_halt_ms": BlindHalt()})
    assert violations(TEAM.model_copy(update={"guards": guards})) == ()


ALL_RULES = (*REQUIRED_RULES, *DRILL_RULES, *VALIDATION_RULES, *LIVE_RULES)
RULE_IDS = [f"{rule.gate}:{rule.metric}" for rule in ALL_RULES]


def _number(floor: Floor, value: Decimal) -> tuple[str, int | Decimal]:
    """The number in a policy that decides what the floor reads, and what it must be for the floor to read ``value``."""
    match floor.path:
        case "eur_rate.valid_until":
            return floor.path, TEAM.eur_rate.as_of + int(value)
        case "limits.order_rate":
            return "limits.order_rate.count", int(value)
        case "bots.silence_max_ms":
            return "bots.0.silence_max_ms", int(value)
        case path:
            return path, int(value) if isinstance(floor.read(_base(floor)), int) else value


def _with(floor: Floor, value: Decimal) -> Policy:
    """The team policy with the floor's number set to ``value``, read by the real reader."""
    path, number = _number(floor, value)
    return changed(_base(floor), path, number if isinstance(number, int) else text(number))


def _unread(floor: Floor, value: Decimal) -> Policy:
    """The same policy without the reader's checks: nothing but the floors can object to it."""
    path, number = _number(floor, value)
    policy: Policy = _put(_base(floor), path.split("."), number)
    return policy


def _put(model: Any, path: list[str], value: object) -> Any:
    name, *rest = path
    if isinstance(model, tuple):
        return (*model[: int(name)], _put(model[int(name)], rest, value), *model[int(name) + 1 :])
    return model.model_copy(update={name: _put(getattr(model, name), rest, value) if rest else value})


def _looser(floor: Floor, steps: int) -> Decimal:
    whole = isinstance(_number(floor, floor.bound)[1], int)
    step = Decimal(1) if whole else Decimal("0.000000000001")
    return floor.bound + step * steps * (1 if floor.op is Op.AT_MOST else -1)


def _without(gate: GateName, metric: MetricName, **replacement: Any) -> Policy:
    """The team policy with every rule on ``metric`` changed, or taken out."""
    tree = tree_of(TEAM)
    rules = tree["gates"][gate.value]
    kept = [rule for rule in rules if rule["metric"] != metric.value]
    if replacement:
        kept += [{**rule, **replacement} for rule in rules if rule["metric"] == metric.value]
    tree["gates"][gate.value] = kept
    return parse_canonical(canonical.encode(tree))


@pytest.mark.parametrize("floor", FLOORS, ids=lambda floor: floor.path)
def test_a_policy_exactly_at_a_floor_is_accepted(floor: Floor) -> None:
    try:
        accepted = _with(floor, floor.bound)
    except ConfigError as error:
        pytest.fail(error.message)
    assert Decimal(floor.read(accepted)) == floor.bound


@pytest.mark.parametrize("floor", FLOORS, ids=lambda floor: floor.path)
def test_a_policy_one_step_looser_than_a_floor_is_refused(floor: Floor) -> None:
    with pytest.raises(ConfigError) as caught:
        _with(floor, _looser(floor, 1))
    assert caught.value.message.startswith(f"{floor.path} is ")


@pytest.mark.parametrize("floor", FLOORS, ids=lambda floor: floor.path)
@given(steps=STEPS)
def test_every_looser_number_violates_its_floor(floor: Floor, steps: int) -> None:
    assert floor.path in [found.path for found in violations(_unread(floor, _looser(floor, steps)))]


@given(floor=st.sampled_from(FLOORS), steps=STEPS)
def test_no_looser_policy_is_ever_read(floor: Floor, steps: int) -> None:
    with pytest.raises(ConfigError):
        _with(floor, _looser(floor, steps))


@pytest.mark.parametrize("required", ALL_RULES, ids=RULE_IDS)
def test_a_production_gate_without_a_required_rule_is_refused(required: RequiredRule) -> None:
    with pytest.raises(ConfigError, match=rf"gates\.{required.gate}|gates needs|covered_ms"):
        _without(required.gate, required.metric)


@pytest.mark.parametrize("required", ALL_RULES, ids=RULE_IDS)
def test_a_production_gate_with_a_looser_threshold_is_refused(required: RequiredRule) -> None:
    step = Decimal("0.001") if required.bound != int(required.bound) else Decimal(1)
    looser = required.bound + (step if required.op is Op.AT_MOST else -step)
    with pytest.raises(ConfigError):
        _without(required.gate, required.metric, op=required.op.value, threshold=text(looser))


@pytest.mark.parametrize("required", ALL_RULES, ids=RULE_IDS)
def test_a_production_gate_with_a_reversed_comparison_is_refused(required: RequiredRule) -> None:
    wrong = Op.AT_LEAST if required.op is Op.AT_MOST else Op.AT_MOST
    with pytest.raises(ConfigError):
        _without(required.gate, required.metric, op=wrong.value)


def test_a_production_policy_of_a_journal_may_lack_rules_on_drills() -> None:
    tree = tree_of(TEAM)
    drills = {rule.metric.value for rule in DRILL_RULES}
    tree["gates"]["live-ready"] = [rule for rule in tree["gates"]["live-ready"] if rule["metric"] not in drills]
    data = canonical.encode(tree)
    assert canonical_bytes(parse_journalled(data)) == data
    with pytest.raises(ConfigError, match="drill_kill_age_ms"):
        parse_canonical(data)


def test_a_production_policy_of_a_journal_may_lack_live_rules() -> None:
    tree = tree_of(TEAM)
    later = {(rule.gate.value, rule.metric.value) for rule in LIVE_RULES}
    for gate, rules in tree["gates"].items():
        tree["gates"][gate] = [rule for rule in rules if (gate, rule["metric"]) not in later]
    data = canonical.encode(tree)
    assert canonical_bytes(parse_journalled(data)) == data
    with pytest.raises(ConfigError, match="order_tests"):
        parse_canonical(data)


def test_a_production_policy_of_a_journal_may_lack_validation_rules() -> None:
    tree = tree_of(TEAM)
    later = {rule.metric.value for rule in VALIDATION_RULES}
    tree["gates"]["validation"] = [rule for rule in tree["gates"]["validation"] if rule["metric"] not in later]
    del tree["performance"]
    data = canonical.encode(tree)
    assert canonical_bytes(parse_journalled(data)) == data
    with pytest.raises(ConfigError, match="performance is absent"):
        parse_canonical(data)


CLAIM = {"annual_sharpe": "2", "fill_ratio": "0.8", "holding_ms": 3_600_000}


@pytest.mark.parametrize("figure", CLAIM)
def test_a_claim_that_leaves_out_what_a_rule_compares_is_refused(figure: str) -> None:
    with pytest.raises(ConfigError, match=r"performance\.claim is incomplete"):
        changed(TEAM, "performance.claim", {name: value for name, value in CLAIM.items() if name != figure})


@pytest.mark.parametrize("figure", ["holding_ms", "trades_per_day", "turnover_per_day"])
def test_a_claim_names_one_figure_of_behaviour_at_least(figure: str) -> None:
    claim = {"annual_sharpe": "2", "fill_ratio": "0.8", figure: 3_600_000 if figure == "holding_ms" else "3"}
    performance = changed(TEAM, "performance.claim", claim).performance
    assert performance is not None
    assert performance.claim is not None


def test_a_policy_without_a_claim_is_refused_in_production() -> None:
    with pytest.raises(ConfigError, match=r"performance\.claim is incomplete"):
        changed(TEAM, "performance", {"looks": 2, "variants": 5})


def test_a_policy_without_a_latency_is_refused_in_production() -> None:
    with pytest.raises(ConfigError, match=r"performance\.latency is absent"):
        changed(TEAM, "performance", {"looks": 2, "variants": 5, "claim": CLAIM})


def test_a_policy_that_is_silent_about_a_replay_is_refused_in_production() -> None:
    latency = {"p50_ms": 30, "p99_ms": 190}
    with pytest.raises(ConfigError, match=r"performance\.replay is absent"):
        changed(TEAM, "performance", {"looks": 2, "variants": 5, "claim": CLAIM, "latency": latency})


@pytest.mark.parametrize("left_out", REPLAY_RULES, ids=lambda rule: rule.metric)
def test_a_bot_that_offers_a_replay_is_asked_for_it(left_out: RequiredRule) -> None:
    rules = [
        *tree_of(TEAM)["gates"]["validation"],
        *(
            {
                "id": f"replay-{n}",
                "metric": one.metric,
                "op": one.op,
                "threshold": text(one.bound),
                "unit": "ratio",
                "min_samples": 1,
            }
            for n, one in enumerate(REPLAY_RULES)
            if one is not left_out
        ),
    ]
    asked = changed(TEAM, "gates.validation", rules)
    with pytest.raises(ConfigError, match=rf"without a rule that strict on {left_out.metric}"):
        changed(asked, "performance.replay", {"offered": True, "tolerance_ms": 2_000})


@pytest.mark.parametrize(
    "replay", [{"offered": True}, {"offered": False, "tolerance_ms": 1}, {"offered": True, "tolerance_ms": 10_001}]
)
def test_a_tolerance_belongs_to_a_replay_and_is_short(replay: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="tolerance_ms"):
        changed(REHEARSAL, "performance", {"looks": 2, "variants": 5, "replay": replay})


def test_a_rehearsal_declares_nothing() -> None:
    assert REHEARSAL.performance is None


def test_a_looser_rule_beside_a_strict_one_does_no_harm() -> None:
    tree = tree_of(TEAM)
    strict = next(rule for rule in tree["gates"]["validation"] if rule["metric"] == "fills")
    tree["gates"]["validation"].append({**strict, "id": "also", "threshold": "1"})
    assert len(parse_canonical(canonical.encode(tree)).gates.validation) == len(TEAM.gates.validation) + 1


def test_a_rehearsal_may_compress_the_validation_window() -> None:
    assert REHEARSAL.validation.covered_ms == 30_000


def test_turning_the_demo_into_production_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        changed(example("demo"), "environment", "production")
    assert caught.value.code == "policy-looser-than-floor"
    assert "more:" in caught.value.message
