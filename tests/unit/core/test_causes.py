"""Causes in the journal: what older versions wrote still reads, and means what it meant."""

from __future__ import annotations

import json

import pytest

from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause, HaltClass
from controller.core.state import State
from exchange.errors import IntegrityError
from policies import canonical
from policies.stage import Stage
from tests.support.desk import D, Desk
from tests.support.folding import fold

WRITTEN_BEFORE = {
    "advance": HaltClass.OPERATOR,
    "ramp": HaltClass.OPERATOR,
    "demote": HaltClass.OPERATOR,
    "halt": HaltClass.OPERATOR,
    "resume": HaltClass.OPERATOR,
    "reset": HaltClass.OPERATOR,
    "veto": HaltClass.OPERATOR,
    "set-roster": HaltClass.OPERATOR,
    "set-policy": HaltClass.OPERATOR,
    "set-release": HaltClass.OPERATOR,
    "changed-deployment": HaltClass.OPERATOR,
    "refused": HaltClass.OPERATOR,
    "revoke": HaltClass.AUTHORITY,
    "breach": HaltClass.BREACH,
    "integrity": HaltClass.INTEGRITY,
}
"""Every cause that was a free string once."""


def moved(cause: str, **added_since: int) -> bytes:
    return canonical.encode(
        {
            "from_stage": "LIVE_€10",
            "from_step": 0,
            "stage": "HALTED",
            "step": 0,
            "cause": cause,
            "reason": "stop",
            "command_id": "",
            **added_since,
        }
    )


@pytest.mark.parametrize(("cause", "kind"), WRITTEN_BEFORE.items())
def test_a_journalled_cause_reads_back_unchanged(cause: str, kind: HaltClass) -> None:
    event = event_codec.decode("stage-changed", moved(cause))
    assert isinstance(event, e.StageChanged)
    assert (event.cause.value, HaltClass.of(event.cause)) == (cause, kind)
    assert event_codec.encode(event) == moved(cause, lost_ms=0)


def test_an_unknown_cause_is_refused() -> None:
    with pytest.raises(IntegrityError) as refusal:
        event_codec.decode("stage-changed", moved("because"))
    assert refusal.value.code == "malformed-event"


def test_a_journal_without_guard_names_folds_to_the_same_state() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    desk.tick(age_ms=2_001)
    desk.tick()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.price *= D("0.9")
    desk.tick()
    old = []
    for event, at in desk.journal:
        body = json.loads(event_codec.encode(event))
        if isinstance(event, e.GuardLevelChanged):
            del body["guard"]
        old.append((event_codec.decode(event.kind, canonical.encode(body)), at))
    assert fold(State(), old) == desk.state
    assert desk.state.halt_class is HaltClass.BREACH


@pytest.mark.parametrize(("cause", "kind"), [(Cause.HALT, HaltClass.OPERATOR), (Cause.JOURNAL, HaltClass.JOURNAL)])
def test_the_cause_of_a_halt_decides_its_kind(cause: Cause, kind: HaltClass) -> None:
    desk = Desk().arm()
    desk.give(i.HaltAsked("operator", "stop", cause))
    assert (desk.state.halt_cause, desk.state.halt_class) == (cause, kind)
    assert desk.state.halt_reason == "operator: stop"


def test_there_is_no_kind_of_halt_before_a_halt_or_after_a_reset() -> None:
    desk = Desk().arm()
    assert desk.state.halt_class is None
    desk.give(i.HaltAsked("test", "stop"))
    desk.boot()
    assert desk.state.halt_class is HaltClass.OPERATOR
