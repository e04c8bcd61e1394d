"""A practised halt: it does what a halt does, ends where it began, and is a real halt as soon as anything else happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted
from controller.core.decisions.drills import DRILL_WITHIN_MS, HALT_DRILL
from controller.core.effects import Cancel, CancelAll, Latch
from controller.core.lifecycle import Position
from controller.core.state import HaltFigures
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.writer import HaltClock
from controller.runtime.venues.cancel_all import CancelAllResult
from controller.runtime.venues.halt_figures import report_drill
from exchange.errors import Refused
from exchange.model import Balance
from exchange.ports import Unknown, VenueName
from policies.authority import Verb
from policies.limit_types import Deny
from policies.stage import Mode, Stage
from tests.support.desk import SYMBOL, D, Desk, with_policy
from tests.support.shell import SetClock, Shell

TESTNET = Stage.TESTNET_VALIDATING


@pytest.fixture(scope="module")
def validating() -> Desk:
    return Desk().walk_to(TESTNET)


@pytest.fixture
def desk(validating: Desk) -> Desk:
    return validating.fork()


def begin(desk: Desk) -> Desk:
    reply = desk.ask(Verb.DRILL, HALT_DRILL, "alice")
    assert reply.code == "", reply
    return desk


def measured(desk: Desk, *, empty: bool = True, command_id: str = "") -> None:
    drill = desk.state.drill
    assert drill is not None or command_id
    desk.give(i.DrillMeasured(command_id or drill.command_id, 12, 3456 if empty else -1, 2, verified_empty=empty))  # type: ignore[union-attr]


def denied_by(desk: Desk) -> str:
    reply = desk.order("0.00003").reply
    assert isinstance(reply, Deny | Admitted)
    return reply.rule if isinstance(reply, Deny) else ""


def test_a_drill_latches_first_and_cancels_on_the_venue_in_use(desk: Desk) -> None:
    begin(desk)
    latch, cancel = desk.decisions[-1].effects[:2]
    assert isinstance(latch, Latch)
    assert isinstance(cancel, CancelAll)
    assert (cancel.venue, cancel.symbols) == (VenueName.TESTNET, (SYMBOL,))
    assert (desk.state.armed, desk.state.position.stage) == (False, TESTNET)


def test_orders_during_a_drill_are_denied_by_its_rule_and_counted(desk: Desk) -> None:
    begin(desk)
    assert [denied_by(desk), denied_by(desk)] == ["drill", "drill"]
    measured(desk)
    assert desk.state.last_drill is not None
    assert desk.state.last_drill.drill.denied == 2


def test_the_controller_does_not_arm_during_a_drill(desk: Desk) -> None:
    begin(desk)
    desk.run(6000)
    assert not desk.state.armed


def test_a_drill_ends_with_the_measured_figures(desk: Desk) -> None:
    began = begin(desk).now
    desk.pass_time(1500)
    measured(desk)
    last = desk.state.last_drill
    assert last is not None
    assert (last.drill.since, last.at, last.ended_by) == (began, desk.now, "")
    assert last.figures == HaltFigures("drill", 12, 3456, 2, verified_empty=True)
    assert desk.events(e.HaltMeasured) == []


def test_after_a_drill_the_controller_arms_once_reconciled(desk: Desk) -> None:
    begin(desk)
    measured(desk)
    desk.tick()
    assert (desk.state.armed, denied_by(desk)) == (False, "not-armed")
    desk.sweep(VenueName.TESTNET)
    assert (desk.state.armed, desk.state.position, denied_by(desk)) == (True, Position(TESTNET), "")
    assert desk.state.halt_cause is None


def test_the_time_of_a_drill_is_not_covered(desk: Desk) -> None:
    assert desk.state.tally is not None
    desk.run(3000)
    before = desk.state.tally.covered_ms
    begin(desk)
    desk.run(5000)
    assert desk.state.tally.covered_ms <= before + 1000


def test_an_in_flight_order_is_cancelled_during_a_drill_once_reported(desk: Desk) -> None:
    admitted = desk.order("0.00003")
    begin(desk)
    client_id = desk.placed(admitted)
    assert [effect.client_id for effect in desk.decisions[-1].effects if isinstance(effect, Cancel)] == [client_id]


def _late(desk: Desk) -> None:
    desk.run(DRILL_WITHIN_MS - 1000)
    assert desk.state.drill is not None
    desk.run(1000)


def _not_empty(desk: Desk) -> None:
    measured(desk, empty=False)


def _broken_guard(desk: Desk) -> None:
    for _ in range(29):
        desk.pass_time(1000)
        desk.tick(quoted=False)


def _break(desk: Desk) -> None:
    for _ in range(2):
        desk.pass_time(1000)
        desk.sweep(VenueName.TESTNET, balances={"USDT": Balance("USDT", D(1), D(0))})


def _halt(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))


def _restart(desk: Desk) -> None:
    desk.boot()


@pytest.mark.parametrize("happens", [_late, _not_empty, _broken_guard, _break, _halt, _restart])
def test_a_failed_drill_is_a_halt(desk: Desk, happens: Callable[[Desk], None]) -> None:
    begin(desk)
    happens(desk)
    assert (desk.state.position.stage, desk.state.halted_from) == (Stage.HALTED, Position(TESTNET))
    assert desk.state.drill is None
    assert desk.state.last_drill is not None
    assert desk.state.last_drill.ended_by
    assert desk.state.last_drill.figures is None
    assert desk.events(e.DrillFinished) == []
    assert desk.state.alerts[-1].title.endswith("HALTED")


def test_a_restart_latches_and_cancels_again_before_anything_else(desk: Desk) -> None:
    begin(desk)
    effects = desk.boot().effects
    assert isinstance(effects[0], Latch)
    assert VenueName.TESTNET in {effect.venue for effect in effects if isinstance(effect, CancelAll)}


def test_a_restart_with_another_release_during_a_drill_halts(desk: Desk) -> None:
    begin(desk)
    desk.release = i.Release("bot", "2", "sha256:" + "a" * 64, "sha256:" + "e" * 64)
    desk.boot()
    assert desk.state.position.stage is Stage.HALTED


def test_a_measurement_of_another_drill_ends_nothing(desk: Desk) -> None:
    begin(desk)
    measured(desk, command_id="0" * 32)
    assert desk.state.drill is not None


def test_a_drill_measurement_after_a_halt_changes_nothing(desk: Desk) -> None:
    begin(desk)
    command_id = desk.state.drill.command_id if desk.state.drill else ""
    _halt(desk)
    measured(desk, command_id=command_id)
    assert desk.decisions[-1].events == ()


def test_a_move_up_is_refused_during_a_drill(validating: Desk) -> None:
    desk = validating.fork()
    desk.trade(6)
    desk.run(40_000)
    command = desk.command(Verb.ADVANCE, Position(Stage.VALIDATED))
    begin(desk)
    assert desk.submit(command, "alice").code == "drill-running"
    measured(desk)
    desk.sweep_all()
    assert desk.submit(command, "alice").code == ""


def test_a_waiting_move_up_is_not_applied_during_a_drill() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.VALIDATED)
    desk.trade(6)
    desk.run(40_000)
    applies_at = desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",)).applies_at
    assert applies_at is not None
    desk.run(applies_at - desk.now - 1000)
    begin(desk)
    desk.run(3000)
    assert desk.state.position.stage is Stage.VALIDATED
    measured(desk)
    desk.run(4000)
    assert desk.state.position.stage is Stage.LIVE_EUR10


def test_a_move_down_is_allowed_during_a_drill(desk: Desk) -> None:
    begin(desk)
    assert desk.move(Verb.DEMOTE, Stage.MOCK).code == ""
    assert (desk.state.drill, desk.state.position.stage) == (None, Stage.MOCK)
    desk.sweep_all()
    assert desk.state.armed


def test_a_second_drill_at_the_same_time_is_refused(desk: Desk) -> None:
    command = desk.command(Verb.DRILL, desk.state.position, subject=HALT_DRILL)
    begin(desk)
    assert desk.submit(command, "alice").code == "drill-running"


def test_a_drill_is_refused_while_a_live_order_is_unsettled() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.placed(desk.order("0.00003", "59900"))
    assert desk.move(Verb.DEMOTE, Stage.VALIDATED).code == ""
    with pytest.raises(Refused) as refused:
        desk.command(Verb.DRILL, desk.state.position, subject=HALT_DRILL)
    assert refused.value.code == "drill-not-here"


def test_a_drill_is_refused_when_it_would_measure_nothing(desk: Desk) -> None:
    desk.boot()
    with pytest.raises(Refused) as refused:
        desk.command(Verb.DRILL, desk.state.position, subject=HALT_DRILL)
    assert refused.value.code == "drill-not-ready"


def test_a_drill_waits_until_the_outcome_of_every_order_is_known(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003", "59900"), Unknown("time-out"))
    with pytest.raises(Refused) as refused:
        desk.command(Verb.DRILL, desk.state.position, subject=HALT_DRILL)
    assert (refused.value.code, client_id in refused.value.message) == ("drill-not-ready", True)


def swept(shell: Shell) -> i.AccountRead:
    """The testnet agrees with us now."""
    desk, venue = shell.desk, VenueName.TESTNET
    snapshot = i.AccountSnapshot((), tuple(desk.trades[venue]), desk.balances(venue))
    return i.AccountRead(venue, snapshot, shell.writer.state.ledger(venue).fills_booked, desk.now)


async def test_the_writer_issues_no_permit_until_armed_after_a_drill(validating: Desk, tmp_path: Path) -> None:
    shell = Shell(validating.fork(), tmp_path / "journal.db")

    async def live_after(input_: i.Input) -> bool:
        shell.ask(input_)
        await shell.step()
        return shell.permits.current().is_live()

    desk = shell.desk
    assert await live_after(swept(shell))
    verified = desk.verified(desk.command(Verb.DRILL, desk.state.position, subject=HALT_DRILL), "alice")
    assert not await live_after(i.CommandSubmitted(verified, anchored=True))
    drill, times = shell.writer.state.drill, shell.writer.halt_clock
    assert drill is not None
    assert times is not None
    assert not await live_after(swept(shell))
    assert shell.permits.latched_because
    assert not await live_after(i.DrillMeasured(drill.command_id, 1, 2, 0, verified_empty=True))
    assert await live_after(swept(shell))


@pytest.mark.parametrize(("empty_ns", "reported"), [(999, False), (1_000, True), (-1, True)])
def test_an_account_read_begun_before_a_drill_proves_nothing(desk: Desk, empty_ns: int, reported: bool) -> None:
    begin(desk)
    effect = CancelAll(VenueName.TESTNET, (SYMBOL,), "earlier")
    again, inbox = list[tuple[CancelAll, int]](), Inbox()
    times = HaltClock(known_ns=0, latched_ns=1_000)
    report_drill(
        effect, CancelAllResult(1, empty_ns, empty_ns), desk.state, times, inbox, SetClock(desk.now), lambda *one: again.append(one)
    )
    assert again == ([] if reported else [(effect, 1)])
    assert bool(inbox._facts) is reported
