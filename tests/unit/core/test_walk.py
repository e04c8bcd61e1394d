"""The whole way up and down, decided without a shell."""

from controller.core import inputs as i
from controller.core.effects import CancelAll, Latch, Place
from controller.core.events import BreachDetected, OrderDenied, StageChanged
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import D, Desk
from tests.support.folding import fold


def test_a_deployment_moves_from_mock_to_ramping() -> None:
    desk = Desk().walk_to(Stage.RAMPING, 1)
    stages = [event.stage for event in desk.events(StageChanged)]
    assert stages == [Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10, Stage.RAMPING]


def test_the_state_is_the_fold_of_its_journal() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    assert fold(State(), desk.journal).fingerprint() == desk.state.fingerprint()
    assert fold(State(), desk.journal) == desk.state


def test_a_price_gap_halts_latches_first_and_cancels_on_the_live_venue() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.tick()
    bought = desk.placed(desk.order("0.00009"))
    desk.fill(bought, "0.00009")
    desk.price = desk.price * D("0.9")
    decision = desk.tick()
    assert desk.state.position == Position(Stage.HALTED)
    kinds = [type(effect) for effect in decision.effects]
    assert kinds.index(Latch) < kinds.index(CancelAll)
    assert any(isinstance(effect, CancelAll) and effect.venue is VenueName.LIVE for effect in decision.effects)
    assert [event.guard for event in desk.events(BreachDetected)] == ["daily-loss"]


def test_nothing_is_placed_once_halted() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.give(i.HaltAsked(by="test", reason="stop"))
    decision = desk.order("0.00003")
    assert not any(isinstance(effect, Place) for effect in decision.effects)
    assert desk.events(OrderDenied)[-1].rule == "stage"
