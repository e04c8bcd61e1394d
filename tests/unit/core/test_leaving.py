"""What a bot has at one stage and not at the next, and why its orders ended."""

from __future__ import annotations

from controller.core import inputs as i
from controller.core.decisions.leaving import cancel_reason, left_behind
from controller.core.lifecycle import Position
from exchange.model import OrderStatus
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk

TESTING, VALIDATED, LIVE, MOCK = (
    Position(one) for one in (Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10, Stage.MOCK)
)


def holding(stage: Stage) -> Desk:
    """A bot that bought at a stage and has two open orders there."""
    desk = Desk().walk_to(stage)
    bought = desk.placed(desk.order("0.00003"))
    desk.fill(bought, "0.00003")
    desk.give(i.VenueReported(desk.state.orders[bought].venue, desk.report(bought, OrderStatus.FILLED, "0.00003")))
    desk.placed(desk.order("0.00002", "59500"))
    desk.placed(desk.order("0.00002", "59400"))
    return desk


def test_coins_of_the_mock_do_not_exist_on_the_testnet() -> None:
    desk = holding(Stage.MOCK)
    assert left_behind(desk.state, desk.policy, TESTING) == (
        "the bot holds 0.00003 BTC at MOCK: it does not exist at TESTNET_VALIDATING",
        "2 open orders of MOCK will be cancelled and end as CANCELED, because the deployment leaves mock",
    )


def test_coins_of_the_testnet_do_not_exist_with_real_money() -> None:
    desk = holding(Stage.VALIDATED)
    assert left_behind(desk.state, desk.policy, LIVE)[0] == "the bot holds 0.00003 BTC at VALIDATED: it does not exist at LIVE_€10"


def test_coins_that_were_bought_with_real_money_stay_there() -> None:
    desk = holding(Stage.LIVE_EUR10)
    assert left_behind(desk.state, desk.policy, VALIDATED)[0] == (
        "the bot holds 0.00003 BTC at LIVE_€10: it stays in the account at live"
    )


def test_a_move_within_one_account_leaves_nothing() -> None:
    desk = holding(Stage.TESTNET_VALIDATING)
    assert left_behind(desk.state, desk.policy, VALIDATED) == ()
    assert left_behind(desk.state, desk.policy, Position(Stage.HALTED)) == ()


def test_a_bot_without_anything_leaves_nothing() -> None:
    desk = Desk().walk_to(Stage.MOCK)
    assert left_behind(desk.state, desk.policy, TESTING) == ()


def test_a_deployment_that_is_halted_leaves_what_it_had_before() -> None:
    desk = holding(Stage.VALIDATED)
    desk.give(i.HaltAsked("test", "stop"))
    assert left_behind(desk.state, desk.policy, MOCK)[0] == "the bot holds 0.00003 BTC at VALIDATED: it does not exist at MOCK"


def ended(desk: Desk, client_id: str, executed: str = "0") -> None:
    status = OrderStatus.CANCELED if executed == "0" else OrderStatus.PARTIALLY_CANCELED
    desk.give(i.VenueReported(desk.state.orders[client_id].venue, desk.report(client_id, status, executed)))


def test_an_order_that_the_move_ended_says_so() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    client_id = desk.placed(desk.order("0.00002", "59500"))
    desk.pass_time(1_000)
    assert cancel_reason(desk.state, desk.state.orders[client_id]) is None
    assert desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",)).code == ""
    assert cancel_reason(desk.state, desk.state.orders[client_id]) is None
    ended(desk, client_id)
    assert cancel_reason(desk.state, desk.state.orders[client_id]) == "gatehouse: the deployment left VALIDATED for MOCK"


def test_an_order_that_a_halt_ended_says_so() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    before, client_id = desk.placed(desk.order("0.00002", "59500")), desk.placed(desk.order("0.00002", "59500"))
    ended(desk, before)
    desk.pass_time(1_000)
    desk.give(i.HaltAsked("test", "stop"))
    ended(desk, client_id)
    assert cancel_reason(desk.state, desk.state.orders[client_id]) == "gatehouse: the deployment is HALTED"
    assert cancel_reason(desk.state, desk.state.orders[before]) is None


def test_an_order_that_its_bot_cancelled_has_no_reason_of_ours() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    client_id = desk.placed(desk.order("0.00002", "59500"))
    desk.give(i.CancelAsked("demo-bot", client_id))
    desk.give(i.HaltAsked("test", "stop"))
    ended(desk, client_id)
    assert cancel_reason(desk.state, desk.state.orders[client_id]) is None
