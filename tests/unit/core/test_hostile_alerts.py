"""Hostile acknowledgements of alerts: each is refused for exactly one reason and changes nothing but the record of the refusal."""

from __future__ import annotations

import pytest

from policies.authority import Verb
from tests.support.counting import Counted
from tests.support.desk import Desk
from tests.unit.core.hostile_subjects import Prepare, about, misused, validated
from tests.unit.core.test_hostile_commands import assert_refused, hand_in

SUBJECTS: list[tuple[str, Verb, str, str]] = [
    ("an acknowledgement of an alert that never was", Verb.ACK_ALERT, "A-1", "no-such-alert"),
    ("an acknowledgement of all alerts", Verb.ACK_ALERT, "*", "no-such-alert"),
    ("an acknowledgement with a space", Verb.ACK_ALERT, "A-1 ", "no-such-alert"),
]


def _alert(desk: Desk) -> str:
    return desk.state.alerts[0].id


def _acknowledged_twice(desk: Desk) -> str:
    alert = _alert(desk)
    assert desk.ask(Verb.ACK_ALERT, alert, "carol").code == ""
    return about(desk, Verb.ACK_ALERT, alert)


SEQUENCES: list[tuple[str, Prepare, str]] = [
    ("an acknowledgement of an acknowledged alert", _acknowledged_twice, "already-acknowledged"),
    *misused(Verb.ACK_ALERT, _alert, halt_only_may_sign=True),
]


@pytest.mark.parametrize(("verb", "subject", "code"), [pytest.param(*vector, id=name) for name, *vector in SUBJECTS])
def test_an_acknowledgement_with_a_wrong_subject_changes_nothing(verb: Verb, subject: str, code: str, counted: Counted) -> None:
    desk = validated()
    assert_refused(desk, about(desk, verb, subject), code)
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(("prepare", "code"), [pytest.param(*vector, id=name) for name, *vector in SEQUENCES])
def test_a_misused_acknowledgement_changes_nothing(prepare: Prepare, code: str, counted: Counted) -> None:
    desk = validated()
    assert_refused(desk, prepare(desk), code)
    counted("attack vectors", kind=code)


def test_the_unchanged_acknowledgement_is_accepted() -> None:
    desk = validated()
    assert hand_in(desk, about(desk, Verb.ACK_ALERT, _alert(desk), "alice")).code == ""
