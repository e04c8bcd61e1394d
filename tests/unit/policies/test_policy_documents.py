"""A policy file is read exactly, named by its content, and refused with the path of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import ConfigError, IntegrityError
from policies import canonical
from policies.document import canonical_bytes, digest, json_schema, load_policy, parse_canonical, parse_journalled
from policies.numbers import parse, rounded_down, rounded_up, text
from policies.schema import Policy
from tests.unit.policies.policy_kit import REHEARSAL, REHEARSAL_FILE, changed, example, tree_of

REHEARSAL_TEXT = REHEARSAL_FILE.read_text()


def _paths(node: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict):
        for key, item in node.items():
            yield (*at, key)
            yield from _paths(item, (*at, key))


@pytest.mark.parametrize("name", ["demo", "solo", "team"])
def test_every_example_is_accepted(name: str) -> None:
    assert example(name).name == name


@pytest.mark.parametrize("path", sorted(".".join(path) for path in _paths(tree_of(REHEARSAL))))
def test_a_missing_field_is_an_error_that_names_it(path: str) -> None:
    tree = tree_of(REHEARSAL)
    *parents, last = path.split(".")
    node = tree
    for part in parents:
        node = node[part]
    del node[last]
    with pytest.raises(ConfigError) as caught:
        parse_canonical(canonical.encode(tree))
    assert caught.value.message.startswith(f"{path} is missing")
    assert path in caught.value.remedy


@pytest.mark.parametrize("section", ["", "caps", "guards.quote_stale", "limits.order_rate"])
def test_an_unknown_field_is_refused(section: str) -> None:
    path = f"{section}.bypass" if section else "bypass"
    with pytest.raises(ConfigError, match=f"^{path} is not a field"):
        changed(REHEARSAL, path, True)


def test_reading_canonical_bytes_gives_the_same_policy() -> None:
    assert parse_canonical(canonical_bytes(REHEARSAL)) == REHEARSAL


def test_the_digest_does_not_depend_on_how_a_number_is_written() -> None:
    respelled = REHEARSAL_TEXT.replace("quote_per_eur = 1.09", 'quote_per_eur = "1.0900"').replace("2_000", "2000")
    assert respelled != REHEARSAL_TEXT
    assert digest(load_policy(respelled)) == digest(REHEARSAL)


def test_a_number_of_a_file_may_have_an_exponent() -> None:
    respelled = REHEARSAL_TEXT.replace("price_collar_bps = 100", "price_collar_bps = 1e2")
    assert respelled != REHEARSAL_TEXT
    assert load_policy(respelled) == REHEARSAL


@pytest.mark.parametrize(
    ("written", "shown"), [("1e99", "1" + "0" * 39), ("1e100", "1E+100"), ("1e101", "1E+101"), ("1e-100", "1E-100")]
)
def test_a_number_with_a_huge_exponent_is_not_written_out(written: str, shown: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"'{shown}'")):
        load_policy(REHEARSAL_TEXT.replace("quote_per_eur = 1.09", f"quote_per_eur = {written}"))


def test_the_digest_changes_with_any_limit() -> None:
    assert digest(changed(REHEARSAL, "limits.order_notional_max_eur", "6.01")) != digest(REHEARSAL)


def test_bytes_that_are_not_the_canonical_form_are_refused() -> None:
    tree = tree_of(REHEARSAL)
    tree["eur_rate"]["quote_per_eur"] = "1.090"
    with pytest.raises(IntegrityError):
        parse_canonical(canonical.encode(tree))


@pytest.mark.parametrize("written", ["nan", "inf", "-inf", '"NaN"', '"1e3"', "true", '"１"', '"1.0000000000001"', "1e30", '""'])
def test_what_is_not_a_plain_number_is_refused_with_its_path(written: str) -> None:
    with pytest.raises(ConfigError, match=r"^eur_rate\.quote_per_eur "):
        load_policy(REHEARSAL_TEXT.replace("quote_per_eur = 1.09", f"quote_per_eur = {written}"))


@pytest.mark.parametrize("written", ["2030-01-01T00:00:00", "2030-01-01", "00:00:00", '"2030-01-01"'])
def test_an_instant_without_a_time_zone_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match=r"^eur_rate\.valid_until "):
        load_policy(REHEARSAL_TEXT.replace("valid_until = 2030-01-01T00:00:00Z", f"valid_until = {written}"))


@pytest.mark.parametrize("source", [b"\xff", b"version = ", "[" * 100_000, "x" * 2_000_000])
def test_what_is_not_toml_is_refused(source: bytes | str) -> None:
    with pytest.raises(ConfigError, match=r"^the file "):
        load_policy(source)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("caps.live", "10.01", "less than or equal to 10"),
        ("ramp.steps", ["26"], "the first step may be at most 25"),
        ("ramp.steps", ["15", "15"], "step 2 must be above step 1"),
        ("ramp.steps", ["15", "30.01"], "step 2 may be at most 2 times"),
        ("ramp.steps", ["10"], "must start above caps.live"),
        ("symbols", [], "at least 1 item"),
        ("symbols", ["BTCUSDT", "BTCUSDT"], "names a symbol twice"),
        ("symbols", ["BTCUSDC"], "is not quoted in USDT"),
        ("gates.resume", [], "at least 1 item"),
        ("validation.covered_ms", 30_001, "needs a rule covered_ms >="),
        ("guards.quote_stale.cancel_ms", 15_000, "no_entry_ms < cancel_ms < halt_ms"),
        ("guards.clock_offset.halt_ms", 500, "no_entry_ms < halt_ms"),
        ("eur_rate.valid_until", 0, "later than as_of"),
        ("guards.daily_loss.max_cap_fraction", "1.1", "less than or equal to 1"),
    ],
)
def test_even_a_rehearsal_refuses(path: str, value: object, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        changed(REHEARSAL, path, value)


def test_a_rule_in_the_wrong_unit_is_refused() -> None:
    tree = tree_of(REHEARSAL)
    tree["gates"]["resume"][0]["unit"] = "count"
    with pytest.raises(ConfigError, match="covered_ms is measured in ms, not count"):
        parse_canonical(canonical.encode(tree))


def test_two_rules_of_a_gate_cannot_share_an_id() -> None:
    tree = tree_of(REHEARSAL)
    tree["gates"]["resume"].append(tree["gates"]["resume"][0])
    with pytest.raises(ConfigError, match="two rules of resume have the same id"):
        parse_canonical(canonical.encode(tree))


def test_the_schema_asks_for_every_field_of_the_policy() -> None:
    schema = json_schema()
    assert set(schema["required"]) == set(tree_of(REHEARSAL))
    assert set(schema["$defs"]["Gates"]["required"]) == {"testnet-ready", "validation", "live-ready", "ramp-step", "resume"}


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=12))
def test_an_exact_number_reads_back_unchanged(value: Decimal) -> None:
    assert parse(text(value)) == value
    assert text(parse(text(value))) == text(value)


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=20))
def test_numbers_round_to_the_safe_side(value: Decimal) -> None:
    assert rounded_down(value) <= value <= rounded_up(value)


def _older(policy: Policy) -> bytes:
    tree = tree_of(policy)
    del tree["flatten"], tree["guards"]["reduce"], tree["limits"]["exit_stop_fraction"]
    return canonical.encode(tree)


@pytest.mark.parametrize("name", ["demo", "solo", "team"])
def test_a_policy_of_an_older_journal_reads_back_to_its_own_bytes(name: str) -> None:
    data = _older(example(name))
    older = parse_journalled(data)
    assert (older.flatten, older.guards.reduce, older.limits.exit_stop_fraction) == (None, None, None)
    assert canonical_bytes(older) == data


def test_an_older_policy_cannot_come_into_force() -> None:
    with pytest.raises(ConfigError, match=r"^flatten is missing"):
        parse_canonical(_older(REHEARSAL))


def test_a_guard_that_sells_needs_to_know_how() -> None:
    tree = tree_of(REHEARSAL)
    del tree["flatten"]
    tree["guards"]["on_breach"] = {"drawdown": "flatten"}
    with pytest.raises(ConfigError, match="asks for a flatten"):
        parse_journalled(canonical.encode(tree))


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("flatten.slice_eur_max", "6.01", "at most limits.order_notional_max_eur"),
        ("flatten.widen_bps", ["5", "100"], "below limits.price_collar_bps"),
        ("flatten.widen_bps", ["10", "10"], "must rise"),
        ("flatten.widen_bps", [], "at least 1 item"),
        ("flatten.every_ms", 120_000, "every_ms < give_up_after_ms"),
        ("guards.reduce", {"at": "0.5", "until": "0.5"}, "until < at"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused(path: str, value: object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        changed(REHEARSAL, path, value)
