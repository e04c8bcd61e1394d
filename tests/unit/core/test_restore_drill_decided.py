"""The drill of a restore works beside the deployment: it withholds no order, and nothing that goes wrong in it halts."""

from __future__ import annotations

import pytest

from controller.core import inputs as i
from controller.core.decisions.draft import Admitted
from controller.core.decisions.drills import subject_of
from controller.core.decisions.evidence import gather
from controller.core.state import Drill
from exchange.errors import Refused
from exchange.ports import VenueName
from policies.authority import Verb
from policies.drills import DRILLS, DrillKind
from policies.rules import GateName, MetricName
from policies.stage import Stage
from tests.support.desk import Desk

MEASURED = {"entries": 150, "rpo_ms": 61_000, "rto_ms": 900}


@pytest.fixture(scope="module")
def validating() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


@pytest.fixture
def desk(validating: Desk) -> Desk:
    return validating.fork()


def begin(desk: Desk) -> Drill:
    reply = desk.ask(Verb.DRILL, subject_of(DrillKind.RESTORE), "alice")
    assert reply.code == "", reply
    assert desk.state.drill is not None
    return desk.state.drill


def report(desk: Desk, drill: Drill, *, problem: str = "") -> None:
    desk.give(i.FaultReported(drill.command_id, {} if problem else MEASURED, problem, exercised=not problem))


def stale(desk: Desk) -> None:
    market = desk.market(age_ms=desk.policy.guards.quote_stale.no_entry_ms + 1)
    offsets = dict.fromkeys(VenueName, 3)
    desk.give(i.Tick({VenueName.TESTNET: market, VenueName.LIVE: market}, clock_offset_ms=offsets, bots=desk.heard()))


def test_orders_go_on_while_a_backup_is_restored(desk: Desk) -> None:
    begin(desk)
    assert isinstance(desk.order("0.00003").reply, Admitted)


def test_a_green_restore_keeps_its_figures_and_has_an_age(desk: Desk) -> None:
    report(desk, begin(desk))
    ended = desk.now
    record = desk.state.drills[DrillKind.RESTORE]
    assert (record.green, dict(record.measured)) == (True, MEASURED)
    desk.run(3000)
    evidence = gather(desk.state, desk.policy, GateName.LIVE_READY)
    assert evidence is not None
    age = evidence.metric(MetricName.DRILL_RESTORE_AGE_MS)
    assert age is not None
    assert age.value == evidence.window_to_ms - ended


@pytest.mark.parametrize("problem", ["the copy is damaged"])
def test_a_backup_that_cannot_be_restored_halts_nothing(desk: Desk, problem: str) -> None:
    report(desk, begin(desk), problem=problem)
    record = desk.state.drills[DrillKind.RESTORE]
    assert (record.green, record.ended_by) == (False, problem)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING


def test_a_restore_past_its_deadline_fails_and_halts_nothing(desk: Desk) -> None:
    begin(desk)
    desk.run(DRILLS[DrillKind.RESTORE].within_ms + 2000)
    assert desk.state.drill is None
    assert not desk.state.drills[DrillKind.RESTORE].green
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING


def test_a_restart_during_a_restore_halts_nothing(desk: Desk) -> None:
    begin(desk)
    desk.boot()
    assert desk.state.drill is None
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING


def test_a_breach_beside_a_restore_is_an_ordinary_breach(desk: Desk) -> None:
    begin(desk)
    stale(desk)
    assert (desk.state.guard_level, desk.state.position.stage) == ("NO_ENTRY", Stage.TESTNET_VALIDATING)
    assert desk.state.drill is not None


def test_a_restore_is_practised_with_real_money_too(desk: Desk) -> None:
    live = Desk().walk_to(Stage.LIVE_EUR10)
    live.run(3000)
    live.order("0.00003")
    assert begin(live).kind is DrillKind.RESTORE


def test_no_restore_is_practised_while_halted(desk: Desk) -> None:
    desk.give(i.HaltAsked("local socket", "stop"))
    with pytest.raises(Refused) as caught:
        desk.command(Verb.DRILL, desk.state.position, subject=subject_of(DrillKind.RESTORE))
    assert caught.value.code == "drill-not-here"
