"""The watchdog's log in the journal: what fired halts, what contradicts halts as integrity, and neither does so twice."""

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause, HaltClass
from controller.core.effects import Alert, AlertKind, Latch
from policies.stage import Stage
from tests.support.desk import Desk


def read(seq: int = 3, **fields: object) -> i.WatchdogLogRead:
    return i.WatchdogLogRead(seq=seq, hash=f"sha256:{seq:064x}", entries=1, **fields)  # type: ignore[arg-type]


def at_testnet() -> Desk:
    desk = Desk()
    desk.walk_to(Stage.TESTNET_VALIDATING)
    return desk


def test_a_log_that_fired_latches_and_halts() -> None:
    desk = at_testnet()
    decision = desk.give(read(fired=True, reason="silent for 30 s"))
    assert isinstance(decision.effects[0], Latch)
    assert any(isinstance(effect, Alert) and effect.kind is AlertKind.WATCHDOG for effect in decision.effects)
    assert (desk.state.halt_cause, desk.state.halt_class) == (Cause.WATCHDOG, HaltClass.CONTROLLER)
    assert "silent for 30 s" in desk.state.halt_reason


def test_a_log_that_did_not_fire_is_only_remembered() -> None:
    desk = at_testnet()
    decision = desk.give(read())
    assert [event.kind for event in decision.events] == ["watchdog-log-absorbed"]
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING
    assert (desk.state.watchdog_seq, desk.state.watchdog_head) == (3, f"sha256:{3:064x}")


def test_what_was_absorbed_is_not_decided_again() -> None:
    desk = at_testnet()
    desk.give(read(fired=True))
    assert desk.give(read(fired=True)).events == ()


def test_a_log_that_does_not_go_on_from_the_last_one_is_a_contradiction() -> None:
    desk = at_testnet()
    desk.give(read())
    desk.give(read(1, broken="entry 3 is missing", fired=True))
    assert desk.state.halt_class is HaltClass.INTEGRITY


def test_a_halted_deployment_absorbs_and_stays_halted_for_its_first_reason() -> None:
    desk = at_testnet()
    desk.give(i.HaltAsked("alice", "stop"))
    desk.give(read(fired=True))
    assert (desk.state.halt_cause, desk.state.watchdog_seq) == (Cause.HALT, 3)


def test_the_event_keeps_what_the_log_said() -> None:
    desk = at_testnet()
    event = desk.give(read(fired=True, reason="silent")).events[0]
    assert isinstance(event, e.WatchdogLogAbsorbed)
    assert (event.fired, event.reason, event.broken) == (True, "silent", "")
