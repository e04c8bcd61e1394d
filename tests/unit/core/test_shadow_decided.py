"""Real orders are compared with their simulation, and a simulation that is proven to differ revokes the validation it made."""

from __future__ import annotations

from decimal import Decimal

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause
from controller.core.decisions.evidence import gather
from controller.core.effects import Alert, AlertKind, CancelAll
from controller.core.lifecycle import Position
from exchange.errors import Refused
from exchange.model import OrderStatus, Side
from exchange.ports import NOT_SENT, Rejected, VenueName
from policies.authority import Verb
from policies.limit_types import Deny
from policies.rules import GateName
from policies.stage import Stage
from tests.support.desk import D, Desk, with_policy

LIVE, VALIDATED, TESTNET, HALTED = map(Position, (Stage.LIVE_EUR10, Stage.VALIDATED, Stage.TESTNET_VALIDATING, Stage.HALTED))
QUANTITY = "0.00009"


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    return desk


def traded(desk: Desk, side: Side = Side.BUY) -> str:
    """A real order that fills at once."""
    client_id = desk.placed(desk.order(QUANTITY, side=side))
    desk.fill(client_id, QUANTITY)
    desk.give(i.VenueReported(VenueName.LIVE, desk.report(client_id, OrderStatus.FILLED, QUANTITY)))
    return client_id


def simulated(client_id: str, *, filled: bool = True, price: Decimal | None = None, ack_ms: int = 40) -> i.ShadowEnded:
    return i.ShadowEnded(client_id, D(60_000), filled, price, ack_ms, ack_ms + 10, 30, 35)


def pairs(desk: Desk, count: int, *, better: str = "0", first: Side = Side.BUY) -> None:
    """So many round trips, each side with its simulation. Time passes, so that the order rate is never reached."""
    for number in range(count):
        desk.pass_time(4_000)
        desk.sweep_all()
        desk.tick()
        side = first if number % 2 == 0 else first.opposite
        price = desk.price - D(better) if side is Side.BUY else desk.price + D(better)
        desk.give(simulated(traded(desk, side), price=price))


def test_a_pair_is_journalled_and_counted_once(live: Desk) -> None:
    desk = live.fork()
    client_id = traded(desk)
    decision = desk.give(simulated(client_id, price=D("59990.0000000000001")))
    (event,) = decision.events
    assert isinstance(event, e.ShadowCompared)
    assert (event.filled, event.simulated_filled, event.price, event.simulated_price) == (
        True,
        True,
        D(60_000),
        D("59990.000000000001"),
    )
    tally = desk.state.shadow
    # 10 of 60000 cheaper is 1.666667 bps; 40 - 30 and 50 - 35 ms.
    assert (tally.orders, tally.filled, tally.only_simulated, tally.only_real) == (1, 1, 0, 0)
    assert (tally.prices.total, tally.acks.total, tally.first_fills.total) == (D("1.666667"), D(10), D(15))


def test_only_one_that_fills_is_a_difference(live: Desk) -> None:
    desk = live.fork()
    desk.give(simulated(traded(desk), filled=False))
    assert (desk.state.shadow.only_simulated, desk.state.shadow.only_real) == (0, 1)
    assert desk.state.shadow.prices.count == 0


def test_an_order_that_was_not_sent_is_not_compared(live: Desk) -> None:
    desk = live.fork()
    client_id = desk.placed(desk.order(QUANTITY), Rejected(NOT_SENT, "not sent: no permit"))
    assert desk.give(simulated(client_id)).events == ()


def test_an_order_that_still_trades_is_not_compared(live: Desk) -> None:
    desk = live.fork()
    assert desk.give(simulated(desk.placed(desk.order(QUANTITY)))).events == ()
    assert desk.give(simulated("gh-nobody")).events == ()


def test_a_pair_of_another_run_does_not_count(live: Desk) -> None:
    desk = live.fork()
    client_id = traded(desk)
    desk.give(i.HaltAsked("test", "stop"))
    assert [event.kind for event in desk.give(simulated(client_id)).events] == ["shadow-compared"]
    assert desk.state.shadow.orders == 0


def test_a_pair_of_an_earlier_step_does_not_count() -> None:
    desk = Desk(with_policy(ramp={"steps": (D(15), D(20))})).walk_to(Stage.RAMPING, 1)
    desk.run(3_000)
    client_id = traded(desk)
    desk.walk_to(Stage.RAMPING, 2)
    desk.give(simulated(client_id))
    assert desk.state.shadow.orders == 0


def test_an_unbiased_simulation_changes_nothing(live: Desk) -> None:
    desk = live.fork()
    pairs(desk, 40)
    assert desk.state.shadow.orders == 40
    assert desk.state.position == LIVE
    assert not desk.state.revoked


def test_a_simulation_that_trades_too_well_is_revoked(live: Desk) -> None:
    desk = live.fork()
    pairs(desk, 29, better="60")
    assert desk.state.position == LIVE
    assert not desk.state.revoked
    desk.pass_time(4_000)
    decision = desk.give(simulated(traded(desk, Side.SELL), price=desk.price + 60))
    assert "the simulated price differs from the real one by 10 to 10 bps" in desk.state.revoked
    assert [event.kind for event in decision.events][:2] == ["shadow-compared", "validation-revoked"]
    assert any(isinstance(effect, CancelAll) and effect.venue is VenueName.LIVE for effect in decision.effects)
    assert any(isinstance(effect, Alert) and effect.kind is AlertKind.VALIDATION for effect in decision.effects)


@pytest.fixture(scope="module")
def revoked(live: Desk) -> Desk:
    """Revoked while it holds five euros of BTC."""
    desk = live.fork()
    traded(desk)
    pairs(desk, 30, better="60", first=Side.SELL)
    assert desk.state.revoked
    return desk


def test_a_revoked_deployment_only_sells_until_it_is_empty(revoked: Desk) -> None:
    desk = revoked.fork()
    desk.run(3_000)
    assert desk.state.position == LIVE
    denied = desk.order(QUANTITY)
    assert isinstance(denied.reply, Deny)
    traded(desk, Side.SELL)
    desk.run(9_000)
    assert desk.state.position == TESTNET
    moves = [event for event in desk.events(e.StageChanged) if isinstance(event, e.StageChanged)][-2:]
    assert [(event.stage, event.cause) for event in moves] == [
        (Stage.VALIDATED, Cause.SOFT_BREACH),
        (Stage.TESTNET_VALIDATING, Cause.SOFT_BREACH),
    ]
    assert "the simulated price" in moves[-1].reason
    assert not desk.state.revoked
    assert desk.state.tally is not None
    assert desk.state.tally.covered_ms < 9_000


def test_no_signature_lifts_a_revoked_validation(revoked: Desk) -> None:
    desk = revoked.fork()
    with pytest.raises(Refused, match="the validation is revoked: the simulated price"):
        desk.move(Verb.RAMP, Stage.RAMPING, 1)


def test_a_revoked_validation_is_void_after_a_halt(revoked: Desk) -> None:
    desk = revoked.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(3_000)
    assert desk.state.position == HALTED
    assert "simulated price" in desk.state.validation_void
    with pytest.raises(Refused, match="the validation is void"):
        desk.move(Verb.RESUME, Stage.LIVE_EUR10)


def test_a_ramping_deployment_leaves_the_ramp_at_once() -> None:
    policy = with_policy(ramp={"steps": (D(15), D(20))})
    desk = Desk(policy).walk_to(Stage.RAMPING, 2)
    desk.run(3_000)
    pairs(desk, 30, better="60")
    assert desk.state.revoked
    desk.run(6_000)
    assert desk.state.position == TESTNET
    stages = [(event.stage, event.step) for event in desk.events(e.StageChanged) if isinstance(event, e.StageChanged)]
    assert stages[-4:] == [(Stage.RAMPING, 2), (Stage.LIVE_EUR10, 0), (Stage.VALIDATED, 0), (Stage.TESTNET_VALIDATING, 0)]


def test_the_gate_of_the_ramp_shows_the_bias(live: Desk) -> None:
    desk = live.fork()
    pairs(desk, 4)
    assert desk.state.policy is not None
    evidence = gather(desk.state, desk.state.policy, GateName.RAMP_STEP)
    assert evidence is not None
    values = {metric.name.value: metric.value for metric in evidence.metrics if metric.name.startswith("shadow_")}
    assert values["shadow_orders"] == D(4)
    assert values["shadow_price_bias_bps"] == D(0)
    assert values["shadow_latency_bias_ms"] == D(10)
    high = values["shadow_fill_bias_high"]
    assert high is not None
    assert high > D("0.7")


def test_answers_of_the_real_venue_count_for_the_validation() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.give(i.OrderTestsAnswered(9, {"30002 on LIMIT BUY BTCUSDT": 1}, {"the live account holds too little for it": 2}))
    assert (desk.state.order_tests.asked, desk.state.order_tests.accepted) == (10, 9)
    desk.walk_to(Stage.VALIDATED)
    assert desk.state.order_tests.asked == 10
    desk.walk_to(Stage.LIVE_EUR10)
    assert desk.give(i.OrderTestsAnswered(1)).events == ()


def test_a_new_validation_asks_anew() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.give(i.OrderTestsAnswered(3))
    desk.move(Verb.DEMOTE, Stage.TESTNET_VALIDATING)
    assert desk.state.order_tests.asked == 0
