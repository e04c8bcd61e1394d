"""What is shown of a HALTED deployment: reconciled or not, and never armed."""

from controller.core import inputs as i
from controller.telemetry.health import Probe, readyz
from policies.stage import Stage
from tests.support.desk import Desk
from tests.unit.core.test_closed_symbols import shown


def test_a_halted_deployment_that_agrees_is_reconciled_and_not_armed() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    assert shown(desk).armed
    desk.give(i.HaltAsked("test", "stop"))
    view = shown(desk)
    assert (view.stage, view.armed, view.reconciled) == (Stage.HALTED, False, True)
    assert view.not_armed_because == "it is HALTED, so no order is sent"


def test_a_halted_deployment_is_not_ready() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.give(i.HaltAsked("test", "stop"))
    view = shown(desk)
    probe = readyz(Probe(ok=True, because=""), armed=view.armed, not_armed_because=view.not_armed_because)
    assert (probe.ok, probe.because) == (False, "it is HALTED, so no order is sent")
