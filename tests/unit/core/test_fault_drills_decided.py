"""Drills that withhold something: what they practise halts nothing, everything else does, and the journal has to show it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted
from controller.core.decisions.drills import subject_of
from controller.core.decisions.evidence import gather
from controller.core.decisions.governance import release_document
from controller.core.decisions.probe import refusing_rule
from controller.core.effects import CancelAll, Latch
from controller.core.lifecycle import Position
from controller.core.state import Drill
from exchange.errors import Refused
from exchange.model import Millis, OrderStatus
from exchange.ports import Unknown, VenueName
from policies.authority import Verb
from policies.drills import DRILLS, DrillKind
from policies.limit_types import Deny
from policies.rules import GateName, MetricName
from policies.stage import Stage
from tests.support.desk import SYMBOL, Desk
from tests.support.desk_parts import RULES
from tests.support.flattening import hold

TESTNET = Stage.TESTNET_VALIDATING
FAULTS = [kind for kind in DrillKind if kind is not DrillKind.HALT and not DRILLS[kind].beside]
STAYS_ARMED = [kind for kind in FAULTS if kind is not DrillKind.KILL]


@pytest.fixture(scope="module")
def validating() -> Desk:
    return Desk().walk_to(TESTNET)


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3000)
    return desk


@pytest.fixture
def desk(validating: Desk) -> Desk:
    return validating.fork()


def begin(desk: Desk, kind: DrillKind) -> Drill:
    reply = desk.ask(Verb.DRILL, subject_of(kind), "alice")
    assert reply.code == "", reply
    assert desk.state.drill is not None
    return desk.state.drill


def report(desk: Desk, drill: Drill, *, problem: str = "", exercised: bool = True) -> None:
    desk.give(i.FaultReported(drill.command_id, {"seen_ms": 7}, problem, exercised))


def refused(desk: Desk, kind: DrillKind) -> str:
    with pytest.raises(Refused) as caught:
        desk.command(Verb.DRILL, desk.state.position, subject=subject_of(kind))
    return caught.value.code


def tick(desk: Desk, *, offset_ms: int = 3, age_ms: int = 0) -> None:
    market = desk.market(age_ms=age_ms)
    offsets = dict.fromkeys(VenueName, offset_ms)
    desk.give(i.Tick({VenueName.TESTNET: market, VenueName.LIVE: market}, clock_offset_ms=offsets, bots=desk.heard()))


def stale(desk: Desk) -> None:
    tick(desk, age_ms=desk.policy.guards.quote_stale.no_entry_ms + 1)


def wrong_clock(desk: Desk) -> None:
    tick(desk, offset_ms=desk.policy.guards.clock_offset.no_entry_ms + 1)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_drill_stops_no_order_by_itself(desk: Desk, kind: DrillKind) -> None:
    begin(desk, kind)
    assert not [effect for effect in desk.decisions[-1].effects if isinstance(effect, Latch | CancelAll)]
    assert desk.state.armed
    assert isinstance(desk.order("0.00003").reply, Admitted)


@pytest.mark.parametrize(("kind", "breach"), [(DrillKind.STALE, stale), (DrillKind.CLOCK, wrong_clock)])
def test_the_practised_guard_stops_entries_and_halts_nothing(desk: Desk, kind: DrillKind, breach: Callable[[Desk], None]) -> None:
    begin(desk, kind)
    breach(desk)
    assert (desk.state.guard_level, desk.state.position.stage) == ("NO_ENTRY", TESTNET)
    denied = desk.order("0.00003").reply
    assert isinstance(denied, Deny)
    assert desk.state.drill is not None
    assert (desk.state.drill.denied, desk.state.drill.seen_at) == (1, desk.now)


@pytest.mark.parametrize(("kind", "breach"), [(DrillKind.STALE, wrong_clock), (DrillKind.CLOCK, stale), (DrillKind.DISK, stale)])
def test_another_guard_breached_during_a_drill_halts(desk: Desk, kind: DrillKind, breach: Callable[[Desk], None]) -> None:
    begin(desk, kind)
    breach(desk)
    assert desk.state.position.stage is Stage.HALTED
    assert f"the {kind} drill failed" in desk.state.halt_reason


def test_the_practised_guard_at_a_harder_level_halts(desk: Desk) -> None:
    begin(desk, DrillKind.STALE)
    tick(desk, age_ms=desk.policy.guards.quote_stale.cancel_ms + 1)
    assert desk.state.position.stage is Stage.HALTED


@pytest.mark.parametrize(("kind", "breach"), [(DrillKind.STALE, stale), (DrillKind.CLOCK, wrong_clock)])
def test_a_drill_passes_when_the_journal_shows_its_guard(desk: Desk, kind: DrillKind, breach: Callable[[Desk], None]) -> None:
    drill = begin(desk, kind)
    breach(desk)
    tick(desk)
    report(desk, drill)
    last = desk.state.last_drill
    assert last is not None
    assert (last.green, dict(last.measured), desk.state.armed, desk.state.drill) == (True, {"seen_ms": 7}, True, None)
    assert desk.state.drills[kind] == last


@pytest.mark.parametrize("kind", [DrillKind.STALE, DrillKind.CLOCK, DrillKind.AMBIGUOUS, DrillKind.WATCHDOG])
def test_a_report_that_the_journal_does_not_show_halts(desk: Desk, kind: DrillKind) -> None:
    report(desk, begin(desk, kind))
    assert desk.state.position.stage is Stage.HALTED
    assert desk.events(e.DrillFinished) == []


def test_a_guard_that_is_still_breached_at_the_end_halts(desk: Desk) -> None:
    drill = begin(desk, DrillKind.STALE)
    stale(desk)
    report(desk, drill)
    assert desk.state.position.stage is Stage.HALTED


@pytest.mark.parametrize("kind", STAYS_ARMED)
def test_a_fault_that_could_not_be_practised_halts_nothing(desk: Desk, kind: DrillKind) -> None:
    report(desk, begin(desk, kind), problem="nothing to break", exercised=False)
    record = desk.state.drills[kind]
    assert (record.green, record.exercised, record.ended_by) == (False, False, "nothing to break")
    assert (desk.state.position.stage, desk.state.drill, desk.state.armed) == (TESTNET, None, True)


@pytest.mark.parametrize("kind", STAYS_ARMED)
def test_a_problem_of_a_practised_fault_halts(desk: Desk, kind: DrillKind) -> None:
    report(desk, begin(desk, kind), problem="it went on")
    assert "it went on" in desk.state.halt_reason


@pytest.mark.parametrize("kind", FAULTS)
def test_a_drill_without_proof_at_its_deadline_halts(desk: Desk, kind: DrillKind) -> None:
    begin(desk, kind)
    desk.run(DRILLS[kind].within_ms - 1000)
    assert desk.state.drill is not None
    desk.run(1000)
    assert desk.state.position.stage is Stage.HALTED


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind is not DrillKind.CRASH])
def test_a_restart_during_another_drill_halts(desk: Desk, kind: DrillKind) -> None:
    begin(desk, kind)
    desk.boot()
    assert desk.state.position.stage is Stage.HALTED


def test_a_crash_drill_ends_when_the_next_start_is_reconciled(desk: Desk) -> None:
    drill = begin(desk, DrillKind.CRASH)
    desk.pass_time(5000)
    desk.boot()
    tick(desk)
    assert (desk.state.position.stage, desk.state.drill is not None, desk.state.armed) == (TESTNET, True, False)
    desk.pass_time(1000)
    desk.sweep_all()
    tick(desk)
    record = desk.state.drills[DrillKind.CRASH]
    assert record.green
    assert dict(record.measured) == {"down_ms": 5000, "open_orders": 0, "recovered_ms": 6000}
    assert record.drill.command_id == drill.command_id


def test_a_crash_drill_waits_for_every_outcome(desk: Desk) -> None:
    begin(desk, DrillKind.CRASH)
    admitted = desk.order("0.00003")
    desk.boot()
    desk.sweep_all()
    tick(desk)
    (order,) = desk.state.open.values()
    assert (desk.state.armed, order.status, desk.state.drill is not None) == (True, OrderStatus.UNKNOWN, True)
    desk.placed(admitted)
    tick(desk)
    assert desk.state.drills[DrillKind.CRASH].green


def test_a_second_crash_during_a_crash_drill_halts(desk: Desk) -> None:
    begin(desk, DrillKind.CRASH)
    desk.boot()
    desk.boot()
    assert desk.state.position.stage is Stage.HALTED


def test_the_next_start_has_its_own_deadline_and_then_halts(desk: Desk) -> None:
    begin(desk, DrillKind.CRASH)
    desk.pass_time(3_600_000)
    desk.boot()
    tick(desk)
    assert desk.state.position.stage is TESTNET
    for _ in range(DRILLS[DrillKind.CRASH].within_ms // 1000):
        desk.pass_time(1000)
        tick(desk)
    assert desk.state.position.stage is Stage.HALTED


def test_a_practised_halt_latches_once_the_thread_has_stopped_orders(desk: Desk) -> None:
    drill = begin(desk, DrillKind.KILL)
    decision = desk.give(i.HaltPractised(drill.command_id, 90_000))
    assert isinstance(decision.effects[0], Latch)
    assert [effect.venue for effect in decision.effects if isinstance(effect, CancelAll)] == [VenueName.TESTNET]
    assert not desk.state.armed
    desk.give(i.DrillMeasured(drill.command_id, 100_000, 200_000, 1, verified_empty=True))
    record = desk.state.drills[DrillKind.KILL]
    assert (record.green, dict(record.measured)) == (True, {"suspended_us": 90_000})


def test_a_venue_emptied_before_the_latch_proves_no_kill_drill(desk: Desk) -> None:
    drill = begin(desk, DrillKind.KILL)
    desk.give(i.DrillMeasured(drill.command_id, 1, 2, 0, verified_empty=True))
    assert desk.state.drill is not None


def test_an_order_that_lost_its_answer_is_named_and_must_be_found(desk: Desk) -> None:
    drill = begin(desk, DrillKind.AMBIGUOUS)
    admitted = desk.order("0.00003")
    client_id = desk.placed(admitted, Unknown("no answer"))
    assert desk.state.drill is not None
    assert (desk.state.drill.order, desk.state.drill.seen_at) == (client_id, desk.now)
    desk.placed(admitted)
    report(desk, drill)
    assert desk.state.drills[DrillKind.AMBIGUOUS].green


def fired(seq: int) -> i.WatchdogLogRead:
    return i.WatchdogLogRead(seq=seq, hash=f"sha256:{seq:064d}", entries=1, fired=True, reason="silent")


def test_the_watchdog_fires_once_in_its_drill_without_a_halt(desk: Desk) -> None:
    drill = begin(desk, DrillKind.WATCHDOG)
    desk.give(fired(1))
    assert desk.state.position.stage is TESTNET
    report(desk, drill)
    assert desk.state.drills[DrillKind.WATCHDOG].green
    desk.give(fired(2))
    assert desk.state.position.stage is Stage.HALTED


def test_the_watchdog_firing_twice_in_one_drill_halts(desk: Desk) -> None:
    begin(desk, DrillKind.WATCHDOG)
    desk.give(fired(1))
    desk.give(fired(2))
    assert desk.state.position.stage is Stage.HALTED


@pytest.mark.parametrize("kind", [DrillKind.STALE, DrillKind.HANG])
def test_the_watchdog_firing_in_another_drill_halts(desk: Desk, kind: DrillKind) -> None:
    begin(desk, kind)
    desk.give(fired(1))
    assert desk.state.position.stage is Stage.HALTED


def test_a_made_up_clock_is_no_measurement_of_the_run(desk: Desk) -> None:
    desk.run(1000)
    begin(desk, DrillKind.CLOCK)
    desk.pass_time(1000)
    wrong_clock(desk)
    assert desk.state.tally is not None
    assert desk.state.tally.clock_offset_max_ms == 3


@pytest.mark.parametrize("kind", FAULTS)
def test_only_three_drills_may_run_with_real_money(live: Desk, kind: DrillKind) -> None:
    desk = live.fork()
    if kind in {DrillKind.KILL, DrillKind.STALE, DrillKind.WATCHDOG}:
        assert begin(desk, kind).venue is VenueName.LIVE
    else:
        assert refused(desk, kind) == "drill-not-here"


def test_no_drill_runs_with_real_money_while_an_order_is_open(live: Desk) -> None:
    desk = live.fork()
    desk.placed(desk.order("0.00003", "59900"))
    desk.run(2000)
    assert refused(desk, DrillKind.STALE) == "drill-not-here"


def test_no_drill_runs_with_real_money_while_something_is_held(live: Desk) -> None:
    desk = live.fork()
    hold(desk, "0.00003")
    desk.run(4000)
    assert not desk.state.open
    assert refused(desk, DrillKind.STALE) == "drill-not-here"


@pytest.mark.parametrize("kind", FAULTS)
def test_no_fault_drill_runs_at_mock(kind: DrillKind) -> None:
    assert refused(Desk().arm(), kind) == "drill-not-here"


def test_what_drills_proved_is_void_with_another_release(desk: Desk) -> None:
    report(desk, begin(desk, DrillKind.HANG))
    assert desk.state.drills[DrillKind.HANG].green
    assert desk.ask(Verb.SET_RELEASE, release_document("bot", "2", "sha256:" + "c" * 64), "alice").code == ""
    assert not desk.state.drills


def test_the_evidence_of_live_ready_has_the_age_of_each_drill(validating: Desk) -> None:
    desk = validating.fork()
    report(desk, begin(desk, DrillKind.HANG))
    ended = desk.now
    desk.run(3000)
    evidence = gather(desk.state, desk.policy, GateName.LIVE_READY)
    assert evidence is not None
    hang, kill = evidence.metric(MetricName.DRILL_HANG_AGE_MS), evidence.metric(MetricName.DRILL_KILL_AGE_MS)
    assert hang is not None
    assert kill is not None
    assert (hang.value, kill.value) == (evidence.window_to_ms - ended, None)
    other = gather(desk.state, desk.policy, GateName.VALIDATION)
    assert other is not None
    assert other.metric(MetricName.DRILL_HANG_AGE_MS) is None


def test_a_failed_drill_replaces_a_green_one(desk: Desk) -> None:
    report(desk, begin(desk, DrillKind.HANG))
    report(desk, begin(desk, DrillKind.HANG), problem="no", exercised=False)
    assert not desk.state.drills[DrillKind.HANG].green


def test_the_probe_names_the_rule_and_changes_nothing(desk: Desk) -> None:
    before = desk.state

    def rule(*, age_ms: int = 0) -> str | None:
        return refusing_rule(desk.state, {SYMBOL: desk.quote(age_ms=age_ms)}, {SYMBOL: RULES}, Millis(desk.now), desk.price)

    assert (rule(), rule(age_ms=60_000), desk.state) == ("", "quote", before)
    begin(desk, DrillKind.CLOCK)
    wrong_clock(desk)
    assert rule() == "guard"


def test_a_halt_during_a_fault_drill_is_a_real_halt(desk: Desk) -> None:
    begin(desk, DrillKind.HANG)
    desk.give(i.HaltAsked("test", "stop"))
    assert desk.state.position == Position(Stage.HALTED)
    assert desk.state.drills[DrillKind.HANG].ended_by
