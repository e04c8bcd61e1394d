"""A client order id names one order: the same order again is answered, every other use of the id is refused and sends nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Decision, Repeated
from controller.core.fold.apply import apply
from controller.core.state import State
from exchange.model import OrderIntent, OrderStatus, OrderType, Side
from exchange.ports import Rejected, Unknown
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import SYMBOL, D, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def refused(decision: Decision) -> str:
    """The message of the refusal; nothing was sent."""
    assert isinstance(decision.reply, Deny), decision.reply
    assert (decision.reply.rule, decision.effects) == ("client-id", ())
    return decision.reply.message


def asked(desk: Desk, intent: OrderIntent, conditions: str = "") -> Decision:
    return desk.give(replace(desk.requested("1"), intent=intent, conditions=conditions))


FIRST = OrderIntent(SYMBOL, Side.BUY, OrderType.LIMIT, "once", quantity=D("0.00003"), price=D(60000))
OTHERS = {
    "symbol": replace(FIRST, symbol="ETHUSDT"),
    "side": replace(FIRST, side=Side.SELL),
    "type": replace(FIRST, type=OrderType.LIMIT_MAKER),
    "quantity": replace(FIRST, quantity=D("0.00004")),
    "price": replace(FIRST, price=D(60001)),
    "quote quantity": OrderIntent(SYMBOL, Side.BUY, OrderType.MARKET, "once", quote_quantity=D(2)),
}


def test_the_same_order_again_gives_the_first_and_changes_nothing(desk: Desk) -> None:
    first = desk.placed(asked(desk, FIRST))
    before = desk.state
    again = asked(desk, replace(FIRST, quantity=D("0.000030"), price=D("60000.0")))
    assert (again.reply, again.events, again.effects) == (Repeated(first), (), ())
    assert desk.state == before


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_the_same_id_with_other_content_is_refused_and_names_both_orders(desk: Desk, other: OrderIntent) -> None:
    first = desk.placed(asked(desk, FIRST))
    message = refused(asked(desk, other))
    assert f"{first}: BUY 0.00003 {SYMBOL} LIMIT at 60000, NEW" in message
    assert f"{other.side} " in message.split("for another order:")[1]
    assert "the two differ" in message


@pytest.mark.parametrize(("first", "second"), [("timeInForce=GTC", "timeInForce=IOC"), ("", "stpMode=cancel_maker")])
def test_the_same_id_with_other_conditions_is_refused(desk: Desk, first: str, second: str) -> None:
    desk.placed(asked(desk, FIRST, first))
    assert second in refused(asked(desk, FIRST, second))
    assert isinstance(asked(desk, FIRST, first).reply, Repeated)


def test_the_id_of_a_cancelled_buy_does_not_answer_for_a_sell(desk: Desk) -> None:
    first = desk.placed(asked(desk, FIRST))
    desk.give(i.VenueReported(desk.state.orders[first].venue, desk.report(first, OrderStatus.CANCELED)))
    message = refused(asked(desk, OTHERS["side"]))
    assert "CANCELED" in message
    assert f"SELL 0.00003 {SYMBOL}" in message


@pytest.mark.parametrize("ended", [OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED])
def test_the_id_of_an_order_that_is_over_is_refused(desk: Desk, ended: OrderStatus) -> None:
    first = desk.placed(asked(desk, FIRST))
    executed = {OrderStatus.FILLED: "0.00003", OrderStatus.PARTIALLY_CANCELED: "0.00001"}.get(ended, "0")
    desk.give(i.VenueReported(desk.state.orders[first].venue, desk.report(first, ended, executed)))
    assert f"is over ({ended})" in refused(asked(desk, FIRST))


def test_the_id_of_an_order_that_the_venue_rejected_is_refused(desk: Desk) -> None:
    desk.placed(asked(desk, FIRST), Rejected(30005, "Oversold"))
    assert "is over (REJECTED)" in refused(asked(desk, FIRST))


def test_the_same_order_again_before_its_answer_is_sent_once(desk: Desk) -> None:
    admitted = asked(desk, FIRST)
    assert isinstance(admitted.reply, Admitted)
    again = asked(desk, FIRST)
    assert (again.reply, again.effects) == (Repeated(admitted.reply.client_id), ())
    refused(asked(desk, OTHERS["side"]))


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_an_unknown_orders_id_with_other_content_is_refused(desk: Desk, other: OrderIntent) -> None:
    first = desk.placed(asked(desk, FIRST), Unknown("time-out"))
    assert f"{first}: BUY 0.00003 {SYMBOL} LIMIT at 60000, UNKNOWN" in refused(asked(desk, other))


@pytest.mark.parametrize("own", ["x" * 64, "é☃" * 32, "a b"])
def test_an_id_of_any_printable_text_names_one_order_after_a_restart(own: str) -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.tick()
    first = desk.placed(asked(desk, replace(FIRST, client_id=own)), Unknown("time-out"))
    desk.state = folded(desk)
    desk.boot()
    desk.sweep_all()
    assert asked(desk, replace(FIRST, client_id=own)).reply == Repeated(first)
    refused(asked(desk, replace(OTHERS["side"], client_id=own)))


def test_an_order_without_an_outcome_still_lives(desk: Desk) -> None:
    first = desk.placed(asked(desk, FIRST), Unknown("time-out"))
    assert asked(desk, FIRST).reply == Repeated(first)


def test_the_id_of_an_order_of_another_stage_is_refused() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.tick()
    first = desk.placed(asked(desk, FIRST))
    desk.run(40_000)
    desk.walk_to(Stage.VALIDATED)
    assert desk.state.orders[first].working
    assert "of stage TESTNET_VALIDATING, and the deployment is at VALIDATED" in refused(asked(desk, FIRST))


def test_while_halted_the_id_of_an_earlier_order_is_refused(desk: Desk) -> None:
    desk.placed(asked(desk, FIRST))
    desk.give(i.HaltAsked("test", "stop"))
    assert "HALTED" in refused(asked(desk, FIRST))


def test_a_refused_reuse_is_journalled(desk: Desk) -> None:
    desk.placed(asked(desk, FIRST))
    refused(asked(desk, OTHERS["side"]))
    event = desk.events(e.OrderDenied)[-1]
    assert isinstance(event, e.OrderDenied)
    assert (event.rule, event.bot_client_id, event.side) == ("client-id", "once", Side.SELL)


def folded(desk: Desk, *, without: str = "") -> State:
    """The state a new process folds from the journal's bytes; ``without`` a field that an older build did not write."""
    state = State()
    for event, at in desk.journal:
        body = event_codec.encode(event)
        if without and isinstance(event, e.OrderAdmitted):
            body = json.dumps({name: value for name, value in json.loads(body).items() if name != without}).encode()
        state = apply(state, event_codec.decode(event.kind, body), at)
    return state


def test_the_content_is_remembered_across_a_restart() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.tick()
    first = desk.placed(asked(desk, FIRST, "timeInForce=GTC"))
    desk.state = folded(desk)
    desk.boot()
    desk.sweep_all()
    assert asked(desk, FIRST, "timeInForce=GTC").reply == Repeated(first)
    assert "the two differ" in refused(asked(desk, FIRST, "timeInForce=IOC"))
    assert "the two differ" in refused(asked(desk, OTHERS["quantity"], "timeInForce=GTC"))


def test_an_order_of_an_older_journal_is_compared_by_what_it_recorded(desk: Desk) -> None:
    first = desk.placed(asked(desk, FIRST))
    desk.state = folded(desk, without="conditions")
    assert desk.state.orders[first].conditions is None
    assert asked(desk, FIRST, "timeInForce=GTC").reply == Repeated(first)
    refused(asked(desk, OTHERS["side"]))
