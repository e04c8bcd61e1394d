"""Alerts that wait for a human: what raises one, how long it stays, and how little acknowledging it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.effects import AlertKind
from controller.core.fold.alerts import MOST_ALERTS
from controller.core.state import State
from exchange.model import Balance
from exchange.ports import VenueName
from policies.authority import Verb
from policies.stage import Mode, Stage
from tests.support.desk import D, Desk, with_policy

LOCKOUT = i.AlertNoticed(AlertKind.VENUE_LOCKOUT, "the live venue has locked us out", "HTTP 418")


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def titles(desk: Desk) -> list[str]:
    return [one.title for one in desk.state.alerts]


def test_a_halt_opens_an_alert_named_after_its_entry(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    (number,) = [number for number, (event, _) in enumerate(desk.journal, 1) if isinstance(event, e.StageChanged)]
    (alert,) = desk.state.alerts
    assert (alert.id, alert.kind, alert.detail) == (f"A-{number}", AlertKind.HALTED, "halt: test: stop")


def test_a_breach_and_its_halt_open_two_alerts() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    for _ in range(600):
        desk.pass_time(1000)
        desk.tick(quoted=False)
        if desk.state.position.stage is Stage.HALTED:
            break
    assert {one.kind for one in desk.state.alerts} == {AlertKind.BREACH, AlertKind.HALTED}


def test_a_break_found_by_every_sweep_is_one_alert(desk: Desk) -> None:
    wrong = {"USDT": Balance("USDT", D(50), D(0))}
    for _ in range(4):
        desk.pass_time(3000)
        desk.sweep(VenueName.LIVE, balances=wrong)
    (alert,) = desk.state.alerts
    assert (alert.kind, alert.times) == (AlertKind.RECONCILIATION, 1)


def test_an_alert_of_the_shell_is_journalled_once_while_open(desk: Desk) -> None:
    for _ in range(3):
        desk.give(LOCKOUT)
    assert len(desk.events(e.AlertRaised)) == 1
    assert desk.ask(Verb.ACK_ALERT, desk.state.alerts[0].id, "carol").code == ""
    desk.give(LOCKOUT)
    assert len(desk.events(e.AlertRaised)) == 2


def test_a_move_opens_no_alert() -> None:
    assert Desk().walk_to(Stage.VALIDATED).state.alerts == ()


def test_with_too_many_alerts_the_oldest_are_only_counted(desk: Desk) -> None:
    for number in range(MOST_ALERTS + 3):
        desk.give(i.AlertNoticed(AlertKind.BOT_KEY, f"number {number}", ""))
    assert (len(desk.state.alerts), desk.state.alerts_lost) == (MOST_ALERTS, 3)
    assert titles(desk)[-1] == f"number {MOST_ALERTS + 2}"


def test_a_flood_of_warnings_leaves_the_critical_alert(desk: Desk) -> None:
    desk.give(LOCKOUT)
    for number in range(MOST_ALERTS + 3):
        desk.give(i.AlertNoticed(AlertKind.BOT_KEY, f"number {number}", ""))
    assert titles(desk)[0] == LOCKOUT.title
    assert (len(desk.state.alerts), desk.state.alerts_lost) == (MOST_ALERTS, 4)


def test_an_acknowledged_alert_is_closed_with_its_persons(desk: Desk) -> None:
    desk.give(LOCKOUT)
    (alert,) = desk.state.alerts
    assert desk.ask(Verb.ACK_ALERT, alert.id, "carol").code == ""
    assert desk.state.alerts == ()
    assert (desk.state.acknowledged[-1].id, desk.state.acknowledged[-1].persons) == (alert.id, ("carol",))


def test_an_acknowledgement_changes_nothing_else(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    command = desk.state
    before = desk.state
    assert desk.ask(Verb.ACK_ALERT, command.alerts[0].id, "carol").code == ""
    blank = {"seq": 0, "at": 0, "alerts": (), "acknowledged": (), "standing": (), "commands": State().commands}
    assert replace(desk.state, **blank) == replace(before, **blank)  # type: ignore[arg-type]
    assert desk.decisions[-1].effects == ()


def test_an_acknowledgement_leaves_a_proposal_valid(desk: Desk) -> None:
    desk.give(LOCKOUT)
    move = desk.command(Verb.HALT, replace(desk.state.position, stage=Stage.HALTED))
    assert desk.ask(Verb.ACK_ALERT, desk.state.alerts[0].id, "carol").code == ""
    assert desk.submit(move, "alice").code == ""


def test_an_acknowledgement_leaves_a_waiting_command_pending() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.VALIDATED)
    desk.give(LOCKOUT)
    desk.trade(6)
    desk.run(40_000)
    assert desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",)).applies_at is not None
    assert desk.ask(Verb.ACK_ALERT, desk.state.alerts[0].id, "carol").code == ""
    assert desk.state.pending is not None


def test_an_alert_opens_again_when_its_cause_returns(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    first = desk.state.alerts[0].id
    assert desk.ask(Verb.ACK_ALERT, first, "carol").code == ""
    desk.move(Verb.RESET, Stage.MOCK)
    desk.give(i.HaltAsked("test", "stop"))
    assert desk.state.alerts[0].id != first


def test_a_repeated_halt_is_counted_in_its_open_alert(desk: Desk) -> None:
    for _ in range(2):
        desk.give(i.HaltAsked("test", "stop"))
        desk.move(Verb.RESET, Stage.MOCK)
    (alert,) = desk.state.alerts
    assert alert.times == 2
