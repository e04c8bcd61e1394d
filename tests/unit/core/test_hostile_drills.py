"""Hostile drill commands: each is refused for exactly one reason and changes nothing but the record of the refusal."""

from __future__ import annotations

import pytest

from controller.core import inputs as i
from controller.core.decisions.drills import HALT_DRILL
from policies import canonical
from policies.authority import Verb
from tests.support.counting import Counted
from tests.unit.core.hostile_subjects import Prepare, about, live, misused, validated
from tests.unit.core.test_hostile_commands import assert_refused, hand_in

SUBJECTS: list[tuple[str, Verb, str, str]] = [
    ("a drill of something else", Verb.DRILL, canonical.encode({"drill": "flatten"}).decode(), "drill-malformed"),
    ("a drill with a field more", Verb.DRILL, canonical.encode({"drill": "halt", "venue": "live"}).decode(), "drill-malformed"),
    ("a drill that is no document", Verb.DRILL, "halt", "not-canonical"),
    ("a drill in another spelling", Verb.DRILL, '{"drill": "halt"}', "not-canonical"),
    ("a drill in a list", Verb.DRILL, '[{"drill":"halt"}]', "drill-malformed"),
]


SEQUENCES: list[tuple[str, Prepare, str]] = [
    *misused(Verb.DRILL, lambda _: HALT_DRILL, halt_only_may_sign=False),
]


@pytest.mark.parametrize(("verb", "subject", "code"), [pytest.param(*vector, id=name) for name, *vector in SUBJECTS])
def test_a_drill_command_with_a_wrong_subject_changes_nothing(verb: Verb, subject: str, code: str, counted: Counted) -> None:
    desk = validated()
    assert_refused(desk, about(desk, verb, subject), code)
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(("prepare", "code"), [pytest.param(*vector, id=name) for name, *vector in SEQUENCES])
def test_a_misused_drill_command_changes_nothing(prepare: Prepare, code: str, counted: Counted) -> None:
    desk = validated()
    assert_refused(desk, prepare(desk), code)
    counted("attack vectors", kind=code)


def test_a_drill_at_a_live_stage_changes_nothing(counted: Counted) -> None:
    desk = live()
    assert_refused(desk, about(desk, Verb.DRILL, HALT_DRILL), "drill-not-here")
    counted("attack vectors", kind="drill-not-here")


def test_a_drill_of_a_halted_deployment_changes_nothing(counted: Counted) -> None:
    desk = live()
    desk.give(i.HaltAsked("test", "stop"))
    assert_refused(desk, about(desk, Verb.DRILL, HALT_DRILL), "drill-not-here")
    counted("attack vectors", kind="drill-not-here")


def test_the_unchanged_drill_command_is_accepted() -> None:
    desk = validated()
    assert hand_in(desk, about(desk, Verb.DRILL, HALT_DRILL, "alice")).code == ""
