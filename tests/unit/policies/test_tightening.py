"""Which policy is only stricter than another: every difference is one that a floor or a rule of a gate compares."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from policies.document import load_policy
from policies.floors import FLOORS
from policies.schema import Bot, Policy
from policies.stage import Mode
from policies.tightening import differences, only_stricter
from tests.support.rig import ROOT
from tests.unit.policies.policy_kit import following, pinned

TEXT = (ROOT / "policies" / "examples" / "team.toml").read_text()
POLICY = pinned(load_policy(TEXT))
WITH_BOTS = POLICY.model_copy(update={"bots": (Bot(name="a", silence_max_ms=1_000),)})
Change = Callable[[dict[str, Any]], None]


def changed(change: Change) -> Policy:
    tree = POLICY.model_dump(by_alias=True)
    change(tree)
    return Policy.model_validate(tree)


def put(path: str, value: object) -> Change:
    def change(tree: dict[str, Any]) -> None:
        *sections, name = path.split(".")
        for section in sections:
            tree = tree[section]
        tree[name] = type(tree[name])(value)

    return change


def rule(gate: str, number: int, **changes: object) -> Change:
    """Change one rule of a gate; ``threshold_by`` multiplies its threshold."""

    def change(tree: dict[str, Any]) -> None:
        rules = list(tree["gates"][gate])
        one = dict(rules[number])
        if "threshold_by" in changes:
            one["threshold"] = f"{Decimal(one['threshold']) * Decimal(str(changes['threshold_by'])):f}"
        rules[number] = {**one, **{name: value for name, value in changes.items() if name != "threshold_by"}}
        tree["gates"][gate] = tuple(rules)

    return change


def without_rule(tree: dict[str, Any]) -> None:
    tree["gates"]["live-ready"] = tree["gates"]["live-ready"][:-1]


def with_another_rule(tree: dict[str, Any]) -> None:
    one = {**tree["gates"]["resume"][0], "id": "one-more"}
    tree["gates"]["resume"] = (*tree["gates"]["resume"], one)


def without_reduce(tree: dict[str, Any]) -> None:
    tree["guards"]["reduce"] = None


HALF = Decimal("0.5")
AT_LEAST = next(number for number, one in enumerate(POLICY.gates.ramp_step) if one.op == ">=" and one.threshold > 1)
NUMBERS = [
    ("caps.live", "9", "10"),
    ("limits.price_collar_bps", "150", "201"),
    ("limits.quote_max_age_ms", 1_000, 4_900),
    ("limits.open_orders_max", 1, 10),
    ("limits.min_order_factor", "3", "1.2"),
    ("guards.daily_loss.max_cap_fraction", "0.01", "0.09"),
    ("guards.quote_stale.halt_ms", 40_000, 290_000),
    ("guards.blind_deadline_ms", 1_000, 29_000),
    ("settle.lookups_min", 90, 3),
    ("authority.cooling_off_ms", 90_000_000, 600_000),
    ("evidence.ttl_ms", 1_000, 86_400_000),
    ("eur_rate.quote_per_eur", "0.9", "1.4"),
]


@pytest.mark.parametrize(("path", "strict", "loose"), NUMBERS)
def test_a_number_is_stricter_on_one_side_only(path: str, strict: object, loose: object) -> None:
    stricter, looser = changed(put(path, strict)), changed(put(path, loose))
    assert only_stricter(looser, stricter)
    assert not only_stricter(stricter, looser)


@pytest.mark.parametrize(
    "change",
    [
        put("name", "other"),
        put("mode", "solo"),
        put("on_stop", "keep"),
        put("symbols", ("ETHUSDT",)),
        put("ramp.steps", ()),
        put("guards.reduce.until", "0.1"),
        put("guards.on_breach.drawdown", "flatten"),
        put("guards.blind_halt_ms.validated", 86_400_001),
        put("guards.blind_halt_ms.mock", 120_000),
        put("eur_rate.as_of", POLICY.eur_rate.as_of + 1),
        put("eur_rate.valid_until", POLICY.eur_rate.valid_until + 1),
        without_reduce,
        without_rule,
        rule("live-ready", 0, id="renamed"),
        rule("ramp-step", AT_LEAST, threshold_by=HALF),
    ],
)
def test_what_no_floor_compares_or_what_is_looser_is_not_stricter(change: Change) -> None:
    new = changed(change)
    assert differences(POLICY, new)
    assert not only_stricter(POLICY, new)


def test_a_strict_number_does_not_excuse_another_change() -> None:
    def both(tree: dict[str, Any]) -> None:
        put("caps.live", "9")(tree)
        put("mode", "solo")(tree)

    assert not only_stricter(POLICY, changed(both))


def test_a_window_of_the_rate_that_ends_earlier_is_stricter() -> None:
    new = changed(put("eur_rate.valid_until", POLICY.eur_rate.valid_until - 1))
    assert only_stricter(POLICY, new)
    assert not only_stricter(new, POLICY)


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(following(POLICY), id="it follows now"),
        pytest.param(following(POLICY, band_percent="4"), id="a narrower band"),
    ],
)
def test_a_rate_that_follows_a_source_has_no_stricter_side(new: Policy) -> None:
    for old in (POLICY, following(POLICY)):
        assert new == old or not only_stricter(old, new)
        assert new == old or not only_stricter(new, old)


def test_a_rate_is_not_stricter_for_being_pinned() -> None:
    floors = {floor.path.rsplit(".", 1)[1]: str(floor.bound) for floor in FLOORS if floor.path.startswith("eur_rate.follow.")}
    old = following(POLICY, **{name: bound if name == "band_percent" else int(bound) for name, bound in floors.items()})
    rate = POLICY.eur_rate.model_copy(update={"quote_per_eur": old.eur_rate.quote_per_eur})
    assert not only_stricter(old, POLICY.model_copy(update={"eur_rate": rate}))


def test_another_number_may_get_stricter_beside_a_rate_that_follows() -> None:
    old = following(POLICY)
    new = old.model_copy(update={"caps": old.caps.model_copy(update={"live": Decimal(9)})})
    assert only_stricter(old, new)


def test_an_order_rate_is_compared_as_a_rate() -> None:
    fewer = changed(put("limits.order_rate.count", 1))
    assert only_stricter(POLICY, fewer) is (POLICY.limits.order_rate.count > 1)
    assert not only_stricter(fewer, changed(put("limits.order_rate.count", 2)))


def in_windows(count: int, per_ms: int) -> Policy:
    def change(tree: dict[str, Any]) -> None:
        put("limits.order_rate.count", count)(tree)
        put("limits.order_rate.per_ms", per_ms)(tree)

    return changed(change)


def test_a_shorter_window_allows_more_orders_in_the_longer_one() -> None:
    # Five in any ten seconds against four in any eight: eight within ten seconds.
    assert not only_stricter(in_windows(5, 10_000), in_windows(4, 8_000))


def test_a_longer_window_dilutes_a_burst_of_rejections() -> None:
    for factor in (2, HALF):
        assert not only_stricter(
            POLICY, changed(put("guards.reject_rate.window_ms", int(POLICY.guards.reject_rate.window_ms * factor)))
        )


def test_a_rule_may_become_stricter_and_more_rules_may_come() -> None:
    at_most = next(n for n, one in enumerate(POLICY.gates.validation) if one.op == "<=" and one.threshold > 0)
    at_least = next(n for n, one in enumerate(POLICY.gates.validation) if one.op == ">=" and one.threshold > 1)
    tighter = changed(rule("validation", at_most, threshold_by=HALF))
    more = changed(rule("validation", at_least, threshold_by=2))
    samples = changed(rule("validation", at_least, min_samples=POLICY.gates.validation[at_least].min_samples + 1))
    for new in (tighter, more, samples, changed(with_another_rule)):
        assert only_stricter(POLICY, new)
        assert not only_stricter(new, POLICY)


def test_a_policy_is_only_stricter_than_itself_without_a_difference() -> None:
    assert differences(POLICY, POLICY) == ()
    assert only_stricter(POLICY, POLICY)


def test_a_difference_names_the_field_and_both_values() -> None:
    count = len(POLICY.gates.live_ready)
    new = POLICY.model_copy(
        update={
            "mode": Mode.SOLO,
            "caps": changed(put("caps.live", "9")).caps,
            "gates": POLICY.gates.model_copy(update={"live_ready": POLICY.gates.live_ready[:-1]}),
            "flatten": None,
        }
    )
    found = differences(POLICY, new)
    assert "caps.live: 10 → 9" in found
    assert "mode: team → solo" in found
    assert f"gates.live-ready: {count} entries → {count - 1} entries" in found
    assert any(one.startswith("flatten.every_ms: ") and one.endswith(" → absent") for one in found)


@pytest.mark.parametrize("floor", FLOORS, ids=lambda floor: floor.path)
def test_every_floor_names_a_field_of_a_policy(floor: Any) -> None:
    node: Any = following(POLICY) if ".follow." in floor.path else WITH_BOTS
    for name in floor.path.split("."):
        node = getattr(node[0] if isinstance(node, tuple) else node, name)
    assert node is not None
