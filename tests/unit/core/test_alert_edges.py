"""An alert begins and ends with its condition, waits for an acknowledgement, and has a deadline. The fold knows all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.alert_catalogue import ACKNOWLEDGE_WITHIN_MS, ALERTS, ESCALATE_AFTER_MS, INFORMS, Severity
from controller.core.decide import decide
from controller.core.decisions.alert_watch import COVERAGE_GAP_MS, STREAM_DOWN_MS
from controller.core.decisions.alerts import check_acknowledged
from controller.core.effects import Alert, AlertKind
from controller.core.fold.alerts import raise_alert
from controller.core.lifecycle import Position
from controller.core.state import OpenAlert
from exchange.errors import Refused
from exchange.model import Balance, Millis
from exchange.ports import Unknown, VenueName
from exchange.stream_life import StreamLife
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import D, Desk
from tests.support.tidiness import ROOT

DISK = (AlertKind.DISK, "the journal's disk gets low")
RAISED = i.AlertNoticed(*DISK, "3 %")
ENDED = i.AlertEnded(*DISK, "40 GB are free")


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def the(desk: Desk, kind: AlertKind) -> OpenAlert:
    (found,) = [one for one in desk.state.alerts if one.kind is kind]
    return found


def kinds(desk: Desk) -> set[AlertKind]:
    return {one.kind for one in desk.state.alerts}


def announced(desk: Desk) -> list[Alert]:
    return [effect for effect in desk.decisions[-1].effects if isinstance(effect, Alert)]


def acknowledge(desk: Desk, kind: AlertKind) -> None:
    assert desk.ask(Verb.ACK_ALERT, the(desk, kind).id, "carol").code == ""


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_has_a_row_with_a_page_that_exists(kind: AlertKind) -> None:
    spec = ALERTS[kind]
    assert spec.meaning.endswith(".")
    assert spec.action.endswith(".")
    assert (ROOT / "ops" / "docs" / spec.page).is_file()


def test_only_what_informs_needs_no_acknowledgement() -> None:
    assert {kind for kind in AlertKind if ALERTS[kind].severity is Severity.INFO} == INFORMS


def test_a_condition_that_ends_is_cleared_with_its_proof(desk: Desk) -> None:
    desk.give(RAISED)
    desk.give(ENDED)
    assert the(desk, AlertKind.DISK).cleared_at == desk.state.at
    assert desk.events(e.AlertCleared) == [e.AlertCleared(alert_kind="disk", title=DISK[1], proof="40 GB are free")]


def test_what_was_not_raised_is_not_cleared(desk: Desk) -> None:
    desk.give(ENDED)
    desk.give(RAISED)
    desk.give(ENDED)
    desk.give(ENDED)
    assert len(desk.events(e.AlertCleared)) == 1


def test_a_condition_that_begins_again_counts_in_its_open_alert(desk: Desk) -> None:
    for _ in range(2):
        desk.give(RAISED)
        desk.give(ENDED)
    desk.give(RAISED)
    assert (the(desk, AlertKind.DISK).times, the(desk, AlertKind.DISK).cleared_at) == (3, None)


def test_an_acknowledged_condition_that_goes_on_is_not_raised_again(desk: Desk) -> None:
    desk.give(RAISED)
    acknowledge(desk, AlertKind.DISK)
    desk.give(RAISED)
    assert desk.state.alerts == ()
    desk.give(ENDED)
    desk.give(RAISED)
    assert kinds(desk) == {AlertKind.DISK}


def test_an_acknowledged_halt_is_raised_again_by_the_next_halt(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    acknowledge(desk, AlertKind.HALTED)
    assert [one.kind for one in desk.state.standing] == [AlertKind.HALTED]
    desk.move(Verb.RESET, Stage.MOCK)
    assert desk.state.standing == ()
    desk.give(i.HaltAsked("test", "stop again"))
    assert the(desk, AlertKind.HALTED).detail == "halt: test: stop again"


def test_leaving_a_halt_clears_its_alert(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    assert the(desk, AlertKind.HALTED).cleared_at is None
    desk.move(Verb.RESET, Stage.MOCK)
    assert the(desk, AlertKind.HALTED).cleared_at == desk.state.at


def test_a_reconciliation_that_agrees_clears_the_break(desk: Desk) -> None:
    for _ in range(3):
        desk.pass_time(3000)
        desk.sweep(VenueName.LIVE, balances={"USDT": Balance("USDT", D(50), D(0))})
    assert the(desk, AlertKind.RECONCILIATION).cleared_at is None
    desk.pass_time(3000)
    desk.sweep(VenueName.LIVE)
    assert the(desk, AlertKind.RECONCILIATION).cleared_at is not None


def test_an_outcome_unknown_for_half_the_guards_time_alerts_until_proven(desk: Desk) -> None:
    policy = desk.state.policy
    assert policy is not None
    desk.placed(desk.order("0.00003"), Unknown("time-out"))
    desk.pass_time(policy.guards.unknown_order.max_age_ms // 2 - 1)
    desk.tick()
    assert AlertKind.UNKNOWN_OVERDUE not in kinds(desk)
    desk.pass_time(1)
    desk.tick()
    assert the(desk, AlertKind.UNKNOWN_OVERDUE).cleared_at is None
    assert [one.kind for one in announced(desk)] == [AlertKind.UNKNOWN_OVERDUE]
    desk.tick()
    assert announced(desk) == []


def test_a_stream_that_stays_down_alerts_until_it_is_of_use() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    began = Millis(desk.now)

    def tick(down_since: Millis | None) -> None:
        life = StreamLife("market BTCUSDT", down_since=down_since, why="cut")
        desk.give(replace(desk.seen(), streams={VenueName.TESTNET: (life,)}))

    desk.pass_time(STREAM_DOWN_MS - 1)
    tick(began)
    assert AlertKind.STREAMS not in kinds(desk)
    desk.pass_time(1)
    tick(began)
    assert the(desk, AlertKind.STREAMS).title == "the stream market BTCUSDT of testnet is down"
    tick(None)
    assert the(desk, AlertKind.STREAMS).cleared_at is not None


def test_a_long_gap_in_the_coverage_alerts_until_it_ends() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(5_000)
    state = desk.state
    assert state.tally is not None
    desk.state = replace(state, tally=replace(state.tally, gap_ms=COVERAGE_GAP_MS), uncovered="no bot")
    decision = decide(desk.state, desk.seen(), Millis(desk.now))
    assert {one.kind for one in decision.after.alerts} == {AlertKind.COVERAGE}


def test_a_run_begun_anew_is_alerted_once_and_cleared_by_a_step_up() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(5_000)
    desk.move(Verb.DEMOTE, Stage.MOCK)
    desk.run(2_000)
    assert the(desk, AlertKind.VALIDATION).times == 1
    acknowledge(desk, AlertKind.VALIDATION)
    desk.run(2_000)
    assert AlertKind.VALIDATION not in kinds(desk)


def test_a_critical_alert_escalates_at_each_deadline_until_acknowledged(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    steps = []
    for minute in range(90):
        desk.pass_time(60_000)
        desk.tick()
        steps += [(minute + 1, one.step) for one in announced(desk) if one.kind is AlertKind.HALTED]
    assert steps == [(ms // 60_000, number) for number, ms in enumerate(ESCALATE_AFTER_MS, 1)]
    assert the(desk, AlertKind.HALTED).escalated == 3


def test_an_acknowledged_alert_does_not_escalate(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    acknowledge(desk, AlertKind.HALTED)
    desk.pass_time(ESCALATE_AFTER_MS[-1])
    desk.tick()
    assert desk.events(e.AlertEscalated) == []


def test_a_warning_does_not_escalate(desk: Desk) -> None:
    desk.give(i.AlertNoticed(AlertKind.CRASH, "the last process did not end by itself", ""))
    desk.pass_time(ESCALATE_AFTER_MS[-1])
    desk.tick()
    assert desk.events(e.AlertEscalated) == []


def refused(desk: Desk, at: Millis) -> str:
    try:
        check_acknowledged(desk.state, Verb.ADVANCE, Position(Stage.LIVE_EUR10), at)
    except Refused as error:
        return error.code
    return ""


@pytest.mark.parametrize(("kind", "code"), [(AlertKind.DISK, "alert-unacknowledged"), (AlertKind.CRASH, "")])
def test_real_money_waits_for_a_person_to_see_what_is_critical(desk: Desk, kind: AlertKind, code: str) -> None:
    desk.give(i.AlertNoticed(kind, "a title", ""))
    raised = the(desk, kind).at
    assert refused(desk, Millis(raised + ACKNOWLEDGE_WITHIN_MS - 1)) == ""
    assert refused(desk, Millis(raised + ACKNOWLEDGE_WITHIN_MS)) == code
    acknowledge(desk, kind)
    assert refused(desk, Millis(raised + ACKNOWLEDGE_WITHIN_MS)) == ""


def test_no_proposal_of_real_money_passes_an_unseen_critical_alert() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.give(RAISED)
    desk.pass_time(ACKNOWLEDGE_WITHIN_MS)
    with pytest.raises(Refused) as found:
        desk.give(i.ProposalAsked(Verb.ADVANCE, Position(Stage.LIVE_EUR10), "", seen=desk.seen()))
    assert found.value.code == "alert-unacknowledged"


def test_a_halt_and_a_step_down_wait_for_no_acknowledgement() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.give(RAISED)
    desk.pass_time(ACKNOWLEDGE_WITHIN_MS)
    desk.tick()
    assert desk.move(Verb.DEMOTE, Stage.TESTNET_VALIDATING).code == ""


def test_each_channel_that_took_an_alert_over_is_noted_once(desk: Desk) -> None:
    desk.give(RAISED)
    for channel in ("mail", "mail", "pager"):
        desk.give(i.AlertDelivered(*DISK, channel))
    assert the(desk, AlertKind.DISK).reached == ("mail", "pager")
    assert len(desk.events(e.AlertHandedOver)) == 2


def test_a_halt_that_returns_was_handed_to_nobody_yet(desk: Desk) -> None:
    for channel in ("mail", "mail"):
        desk.give(i.HaltAsked("test", "stop"))
        assert the(desk, AlertKind.HALTED).reached == ()
        desk.give(i.AlertDelivered(AlertKind.HALTED, the(desk, AlertKind.HALTED).title, channel))
        assert the(desk, AlertKind.HALTED).reached == ("mail",)
        desk.move(Verb.RESET, Stage.MOCK)


def test_a_condition_that_goes_on_was_handed_over_already(desk: Desk) -> None:
    desk.give(RAISED)
    desk.give(i.AlertDelivered(*DISK, "mail"))
    desk.state = raise_alert(desk.state, *DISK, "2 %")
    assert the(desk, AlertKind.DISK).reached == ("mail",)


def test_what_has_no_end_was_handed_to_nobody_when_it_happens_again(desk: Desk) -> None:
    step_down = (AlertKind.STEP_DOWN, "RAMPING step 1 → LIVE_€10")
    desk.state = raise_alert(desk.state, *step_down, "the first")
    desk.give(i.AlertDelivered(*step_down, "mail"))
    desk.state = raise_alert(desk.state, *step_down, "the second")
    assert the(desk, AlertKind.STEP_DOWN).reached == ()


def test_a_halt_that_returns_escalates_again(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    for after in ESCALATE_AFTER_MS:
        desk.pass_time(after)
        desk.tick()
    desk.move(Verb.RESET, Stage.MOCK)
    desk.give(i.HaltAsked("test", "stop again"))
    desk.tick()
    assert [one.step for one in announced(desk)] == [1]


def test_what_was_handed_over_and_is_not_open_leaves_no_entry(desk: Desk) -> None:
    desk.give(i.AlertDelivered(AlertKind.STAGE, "MOCK → TESTNET_VALIDATING", "mail"))
    assert desk.events(e.AlertHandedOver) == []


def test_an_alert_of_the_inbox_alone_is_announced_once(desk: Desk) -> None:
    lost = i.AlertNoticed(AlertKind.WATCHDOG_LOST, "the watchdog is not reached", "refused", announce=True)
    desk.give(lost)
    assert announced(desk) == [Alert(lost.kind, lost.title, lost.detail)]
    desk.give(lost)
    assert announced(desk) == []


def test_alerts_survive_a_restart_as_they_were(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))
    desk.give(RAISED)
    desk.give(i.AlertDelivered(*DISK, "mail"))
    desk.pass_time(ESCALATE_AFTER_MS[0])
    desk.tick()
    acknowledge(desk, AlertKind.DISK)
    before = (desk.state.alerts, desk.state.standing, desk.state.acknowledged)
    desk.boot()
    assert (desk.state.alerts, desk.state.standing, desk.state.acknowledged) == before
    assert the(desk, AlertKind.HALTED).escalated == 1
