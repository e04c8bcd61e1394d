"""A policy that is refused is refused with the exact path, how many more there are, and what to do; its bounds are exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from exchange.errors import ConfigError, IntegrityError
from policies import canonical
from policies.document import canonical_bytes, json_schema, load_policy, parse_canonical, parse_journalled
from policies.floors import FLOORS, violations
from policies.rules import GateName
from policies.stage import Stage
from tests.unit.policies.policy_kit import REHEARSAL, REHEARSAL_FILE, changed, example, tree_of

TEXT = REHEARSAL_FILE.read_text()


def refused(source: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_policy(source)
    assert caught.value.code == "policy-invalid"
    return caught.value


def refused_tree(tree: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_canonical(canonical.encode(tree))
    return caught.value


def test_a_file_may_be_one_mebibyte_long() -> None:
    padding = "#" + "x" * ((1 << 20) - len(TEXT) - 1)
    assert load_policy(padding + "\n" + TEXT[:-1]) == REHEARSAL
    assert refused(padding + "\n" + TEXT).message == "the file is longer than 1048576 bytes"


def test_a_file_is_read_as_text_and_as_bytes() -> None:
    assert load_policy(TEXT) == load_policy(TEXT.encode()) == REHEARSAL


def test_a_number_that_is_not_finite_is_named_with_its_path() -> None:
    found = refused(TEXT.replace("steps = [15, 25]", "steps = [15, nan]"))
    assert found.message == "ramp.steps.1 is NaN, which is not a finite number"
    assert found.remedy == "Write a plain decimal number."


@pytest.mark.parametrize(
    ("written", "says"),
    [("2030-01-01T00:00:00", "has no time zone"), ("2030-01-01", "is not an instant"), ("00:00:00", "is not an instant")],
)
def test_what_is_not_an_instant_is_named_with_its_path(written: str, says: str) -> None:
    found = refused(TEXT.replace("valid_until = 2030-01-01T00:00:00Z", f"valid_until = {written}"))
    assert found.message == f"eur_rate.valid_until {says}"


def test_an_instant_is_read_to_the_millisecond_in_any_time_zone() -> None:
    elsewhere = TEXT.replace("valid_until = 2030-01-01T00:00:00Z", "valid_until = 2030-01-01T02:00:00.123456+02:00")
    assert load_policy(elsewhere).eur_rate.valid_until == REHEARSAL.eur_rate.valid_until + 123


@pytest.mark.parametrize("written", ["1e99", "1e100", "1e-101", "1e200"])
def test_a_number_far_out_of_range_is_refused(written: str) -> None:
    assert refused(TEXT.replace("quote_per_eur = 1.09", f"quote_per_eur = {written}")).message.startswith("eur_rate.quote_per_eur ")


def test_one_missing_field_is_named_alone() -> None:
    tree = tree_of(REHEARSAL)
    del tree["caps"]["live"]
    found = refused_tree(tree)
    assert found.message == "caps.live is missing"
    assert found.remedy.startswith("Add caps.live; no limit has a default.")


def test_a_field_of_a_later_version_is_named_alone_too() -> None:
    tree = tree_of(REHEARSAL)
    del tree["flatten"]
    assert refused_tree(tree).message == "flatten is missing"


@pytest.mark.parametrize(
    ("fields", "more"), [(["mode"], ""), (["mode", "caps"], " (1 more)"), (["mode", "caps", "name"], " (2 more)")]
)
def test_of_several_missing_fields_the_others_are_counted(fields: list[str], more: str) -> None:
    tree = tree_of(REHEARSAL)
    for name in fields:
        del tree[name]
    assert refused_tree(tree).message.endswith(f" is missing{more}")


def test_a_symbol_of_another_form_is_refused_in_words() -> None:
    tree = tree_of(REHEARSAL)
    tree["symbols"] = ["btcUSDT"]
    assert "contains 'b', and a symbol has only the capital letters A to Z and digits" in refused_tree(tree).message


def test_an_unknown_field_is_named_with_a_remedy() -> None:
    tree = tree_of(REHEARSAL)
    tree["caps"]["bypass"] = "1"
    found = refused_tree(tree)
    assert (found.message, found.remedy) == (
        "caps.bypass is not a field of a policy",
        "Remove caps.bypass, or correct its spelling.",
    )


def test_a_rule_of_the_whole_policy_is_named_as_the_policys() -> None:
    tree = tree_of(REHEARSAL)
    tree["symbols"] = ["BTCUSDT", "BTCUSDT"]
    assert refused_tree(tree).message == "the policy is not acceptable: symbols names a symbol twice"


def test_a_number_out_of_its_range_is_shown_without_python() -> None:
    tree = tree_of(REHEARSAL)
    tree["caps"]["live"] = "10.01"
    assert refused_tree(tree).message == "caps.live is not acceptable: Input should be less than or equal to 10"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ramp.steps", ["25", "50"]),
        ("ramp.steps", ["10.01"]),
        ("caps.live", "10"),
        ("flatten.slice_eur_max", "6"),
        ("flatten.widen_bps", ["5", "99.9"]),
        ("flatten.widen_bps", ["5"]),
        ("guards.quote_stale", {"no_entry_ms": 1, "cancel_ms": 2, "halt_ms": 3}),
        ("guards.clock_offset", {"no_entry_ms": 1, "halt_ms": 2}),
        ("guards.reduce", {"at": "0.5", "until": "0.49"}),
        ("flatten.every_ms", 119_999),
        ("eur_rate.valid_until", REHEARSAL.eur_rate.as_of + 1),
    ],
)
def test_a_number_at_its_bound_is_accepted(path: str, value: object) -> None:
    changed(REHEARSAL, path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("eur_rate.valid_until", REHEARSAL.eur_rate.as_of),
        ("guards.quote_stale", {"no_entry_ms": 2, "cancel_ms": 2, "halt_ms": 3}),
        ("guards.quote_stale", {"no_entry_ms": 1, "cancel_ms": 3, "halt_ms": 3}),
        ("guards.clock_offset", {"no_entry_ms": 2, "halt_ms": 2}),
        ("ramp.steps", ["15", "20", "20"]),
        ("ramp.steps", ["15", "20", "40.01"]),
        ("flatten.widen_bps", ["5", "10", "10"]),
        ("flatten.widen_bps", ["5", "10", "100"]),
        ("flatten.give_up_after_ms", 500),
    ],
)
def test_a_number_past_its_bound_is_refused(path: str, value: object) -> None:
    with pytest.raises(ConfigError):
        changed(REHEARSAL, path, value)


def test_a_third_step_is_compared_with_the_second() -> None:
    with pytest.raises(ConfigError, match="step 3 may be at most 2 times step 2"):
        changed(REHEARSAL, "ramp.steps", ["15", "20", "40.01"])


@pytest.mark.parametrize("gate", GateName)
def test_each_gate_has_its_own_rules(gate: GateName) -> None:
    tree = tree_of(REHEARSAL)["gates"][gate.value]
    assert [rule.id for rule in REHEARSAL.gates.of(gate)] == [rule["id"] for rule in tree]


@pytest.mark.parametrize("gate", GateName)
def test_an_id_may_not_occur_twice_in_any_gate(gate: GateName) -> None:
    tree = tree_of(REHEARSAL)
    tree["gates"][gate.value].append(tree["gates"][gate.value][0])
    assert f"two rules of {gate} have the same id" in refused_tree(tree).message


@pytest.mark.parametrize(("op", "accepted"), [(">=", True), (">", True), ("==", False), ("<=", False)])
def test_validation_needs_a_rule_on_its_covered_time(op: str, *, accepted: bool) -> None:
    tree = tree_of(REHEARSAL)
    (rule,) = [one for one in tree["gates"]["validation"] if one["metric"] == "covered_ms"]
    rule["op"] = op
    if accepted:
        parse_canonical(canonical.encode(tree))
    else:
        assert "gates.validation needs a rule covered_ms" in refused_tree(tree).message


def test_a_journalled_policy_must_be_canonical() -> None:
    tree = tree_of(REHEARSAL)
    tree["eur_rate"]["quote_per_eur"] = "1.090"
    with pytest.raises(IntegrityError, match="not the canonical form of a policy") as caught:
        parse_journalled(canonical.encode(tree))
    assert caught.value.code == "not-canonical"


def test_the_schema_asks_for_the_fields_of_later_versions() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["flatten"] == {"$ref": "#/$defs/Flatten"}
    assert "reduce" in schema["$defs"]["Guards"]["required"]
    assert "exit_stop_fraction" in schema["$defs"]["Limits"]["required"]
    assert "testnet-ready" in schema["$defs"]["Gates"]["properties"]


# The floors


def production(**changes: str) -> dict[str, Any]:
    tree = tree_of(example("team"))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = tree
        for part in parents:
            node = node[part]
        node[last] = value
    return tree


def test_one_looser_number_is_shown_with_its_floor() -> None:
    found = refused_tree(production(limits__price_collar_bps="501"))
    assert found.code == "policy-looser-than-floor"
    assert found.message.startswith("limits.price_collar_bps is 501, which is looser than the production floor <= 500: ")
    assert found.message.endswith("a price more than 5 % from the market is a mistake")
    assert found.remedy == "Make limits.price_collar_bps <= 500, or set environment to rehearsal."


def test_of_two_looser_numbers_the_other_is_named() -> None:
    found = refused_tree(production(limits__price_collar_bps="501", caps__testnet="11"))
    assert found.message.endswith("(1 more: limits.price_collar_bps)")


def test_a_gate_without_a_required_rule_is_named() -> None:
    tree = tree_of(example("team"))
    tree["gates"]["resume"] = [rule for rule in tree["gates"]["resume"] if rule["metric"] != "covered_ms"]
    found = refused_tree(tree)
    assert found.message.startswith(
        "gates.resume is without a rule that strict on covered_ms, which is looser than the production floor covered_ms >= 60000"
    )


def test_a_rehearsal_has_no_floors() -> None:
    assert violations(REHEARSAL) == ()
    assert REHEARSAL.guards.reject_rate.max_ratio == Decimal("0.5")


@pytest.mark.parametrize("floor", FLOORS, ids=lambda floor: floor.path)
def test_every_floor_has_a_reason(floor: Any) -> None:
    assert len(floor.why) > 10


@pytest.mark.parametrize(
    ("stage", "gate"), [("mock", "testnet-ready"), ("testnet_validating", "validation"), ("validated", "live-ready")]
)
@pytest.mark.parametrize("op", ["<=", "<", "=="])
def test_a_guard_that_halts_on_what_its_gate_tolerates_is_refused(stage: str, gate: str, op: str) -> None:
    gap = {"id": "gap", "metric": "longest_gap_ms", "op": op, "threshold": "120000", "unit": "ms", "min_samples": 1}
    tree = tree_of(REHEARSAL)
    tree["gates"][gate] = [gap, *(rule for rule in tree["gates"][gate] if rule["metric"] != "longest_gap_ms")]
    tree["guards"]["blind_halt_ms"] = {stage: 119_999}
    error = refused_tree(tree)
    assert error.message == (
        f"guards.blind_halt_ms.{stage} is 119999 ms, and gate {gate} tolerates a gap of 120000 ms: a guard must not halt on it"
    )
    assert error.remedy == f"Make guards.blind_halt_ms.{stage} at least 120000, or leave it out."
    tree["guards"]["blind_halt_ms"] = {stage: 120_000}
    assert parse_canonical(canonical.encode(tree)).gates.gap_tolerated_ms(GateName(gate)) == 120_000


def test_a_rule_that_wants_gaps_bounds_no_guard() -> None:
    gap = {"id": "more", "metric": "longest_gap_ms", "op": ">=", "threshold": "120000", "unit": "ms", "min_samples": 1}
    tree = tree_of(REHEARSAL)
    tree["gates"]["testnet-ready"].append(gap)
    tree["guards"]["blind_halt_ms"] = {"mock": 1}
    assert parse_canonical(canonical.encode(tree)).guards.blind_halt_ms.of(Stage.MOCK) == 1


def test_a_policy_without_deadlines_for_blindness_keeps_its_bytes() -> None:
    assert b"blind_halt_ms" not in canonical_bytes(REHEARSAL)
    tree = tree_of(REHEARSAL)
    tree["guards"]["blind_halt_ms"] = {"mock": 1}
    assert tree_of(parse_canonical(canonical.encode(tree)))["guards"]["blind_halt_ms"] == {"mock": 1}
