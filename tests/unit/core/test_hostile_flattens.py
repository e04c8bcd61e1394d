"""Hostile flatten commands: each is refused for exactly one reason and changes nothing but the record of the refusal."""

from __future__ import annotations

import pytest

from controller.core import inputs as i
from controller.core.decisions.flatten import ALL
from policies.authority import Verb
from tests.support.counting import Counted
from tests.support.desk import SYMBOL, Desk
from tests.support.flattening import hold
from tests.unit.core.hostile_subjects import Prepare, about, misused, validated
from tests.unit.core.test_hostile_commands import assert_refused, hand_in

SUBJECTS: list[tuple[str, str, str]] = [
    ("a flatten of another symbol", "ETHUSDT", "no-such-symbol"),
    ("a flatten of two symbols", f"{SYMBOL},{SYMBOL}", "no-such-symbol"),
    ("a flatten in capitals", "ALL", "no-such-symbol"),
    ("a flatten of a document", '{"flatten":"all"}', "no-such-symbol"),
]


def holding() -> Desk:
    return hold(validated(), "0.00005")


@pytest.mark.parametrize(("subject", "code"), [pytest.param(*vector, id=name) for name, *vector in SUBJECTS])
def test_a_flatten_command_with_a_wrong_subject_changes_nothing(subject: str, code: str, counted: Counted) -> None:
    desk = holding()
    assert_refused(desk, about(desk, Verb.FLATTEN, subject), code)
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(
    ("prepare", "code"),
    [pytest.param(*vector, id=name) for name, *vector in misused(Verb.FLATTEN, lambda _: ALL, halt_only_may_sign=False)],
)
def test_a_misused_flatten_command_changes_nothing(prepare: Prepare, code: str, counted: Counted) -> None:
    desk = holding()
    assert_refused(desk, prepare(desk), code)
    counted("attack vectors", kind=code)


def test_a_flatten_of_what_gatehouse_did_not_buy_changes_nothing(counted: Counted) -> None:
    desk = validated()
    assert_refused(desk, about(desk, Verb.FLATTEN, ALL), "nothing-to-sell")
    counted("attack vectors", kind="nothing-to-sell")


def test_a_flatten_signed_before_the_halt_changes_nothing_after_it(counted: Counted) -> None:
    desk = holding()
    command = about(desk, Verb.FLATTEN, ALL, "alice")
    desk.give(i.HaltAsked("test", "stop"))
    assert_refused(desk, command, "other-stage")
    counted("attack vectors", kind="other-stage")


def test_the_unchanged_flatten_command_is_accepted() -> None:
    desk = holding()
    assert hand_in(desk, about(desk, Verb.FLATTEN, ALL, "alice")).code == ""
