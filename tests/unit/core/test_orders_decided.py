"""A bot's orders and cancels: admitted, denied, repeated, cancelled."""

import re

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Decision, Repeated
from controller.core.effects import Cancel, Place
from exchange.model import OrderStatus, OrderType, Side
from exchange.ports import NOT_SENT, Ack, Rejected, Unknown, VenueName
from policies.authority import Verb
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import D, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def denial(decision: Decision) -> Deny:
    assert isinstance(decision.reply, Deny), decision.reply
    assert not decision.effects
    return decision.reply


def cancels(decision: Decision) -> list[str]:
    return [effect.client_id for effect in decision.effects if isinstance(effect, Cancel)]


def ask_cancel(desk: Desk, client_id: str, bot: str = "demo-bot") -> Decision:
    return desk.give(i.CancelAsked(bot, client_id))


def test_an_admitted_order_has_one_event_and_one_place_effect(desk: Desk) -> None:
    decision = desk.order("0.00003", bot_id="mine-1")
    (event,) = decision.events
    (place,) = decision.effects
    assert isinstance(event, e.OrderAdmitted)
    assert isinstance(place, Place)
    assert (place.venue, place.intent.client_id) == (VenueName.MOCK, event.client_id)
    assert decision.reply == Admitted(event.client_id)


def test_an_admission_records_the_figures_it_was_judged_by(desk: Desk) -> None:
    (event,) = desk.order("0.00003").events
    assert isinstance(event, e.OrderAdmitted)
    assert (event.stage, event.cap_eur, event.ask) == (Stage.MOCK, D(10), D("60000.5"))
    assert D("1.6") < event.exposure_eur < D("1.7")


def test_client_ids_fit_the_venue_and_never_repeat(desk: Desk) -> None:
    ids = [desk.placed(desk.order("0.00002")) for _ in range(5)]
    assert len(set(ids)) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", client_id) for client_id in ids)


def test_a_repeated_bot_id_is_recognised_before_anything_could_deny_it() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    first = desk.placed(desk.order("0.00003", bot_id="once"))
    desk.boot()
    assert denial(desk.order("0.00003")).rule == "not-armed"
    assert desk.order("0.00003", bot_id="once").reply == Repeated(first)


def test_two_bots_may_use_the_same_id(desk: Desk) -> None:
    first = desk.order("0.00003", bot_id="once")
    request = desk.requested("0.00003", bot_id="once", bot="other-bot")
    second = desk.give(request)
    assert isinstance(first.reply, Admitted)
    assert isinstance(second.reply, Admitted)
    assert first.reply != second.reply


def test_nothing_is_admitted_before_the_venues_are_reconciled() -> None:
    desk = Desk()
    desk.boot()
    assert denial(desk.order("0.00003")).rule == "not-armed"


def test_a_denial_is_journalled_with_the_rule_and_what_it_measured(desk: Desk) -> None:
    reply = denial(desk.order("0.5", bot_id="greedy"))
    event = desk.events(e.OrderDenied)[-1]
    assert isinstance(event, e.OrderDenied)
    assert (event.rule, event.bot_client_id, event.quantity) == ("order-notional", "greedy", D("0.5"))
    assert (event.measured, event.threshold, event.message) == (reply.measured, reply.threshold, reply.message)
    assert reply.remedy


def test_a_denied_id_may_be_used_again(desk: Desk) -> None:
    denial(desk.order("0.5", bot_id="retry"))
    assert isinstance(desk.order("0.00003", bot_id="retry").reply, Admitted)


def test_the_cap_counts_holdings_open_unknown_and_admitted_orders_together(desk: Desk) -> None:
    held = desk.placed(desk.order("0.00004"))
    desk.fill(held, "0.00004")
    desk.placed(desk.order("0.00004"))
    desk.placed(desk.order("0.00004"), Unknown("time-out"))
    desk.order("0.00004")
    assert [order.status for order in desk.state.open_on(VenueName.MOCK)] == [
        OrderStatus.NEW,
        OrderStatus.NEW,
        OrderStatus.UNKNOWN,
        OrderStatus.ADMITTED,
    ]
    reply = denial(desk.order("0.00004"))
    assert reply.rule == "exposure"
    assert isinstance(desk.order("0.00002").reply, Admitted)


def test_orders_of_one_batch_share_one_cap(desk: Desk) -> None:
    replies = [desk.order("0.00009").reply for _ in range(4)]
    assert [type(reply) for reply in replies] == [Admitted, Admitted, Deny, Deny]


def test_a_sell_of_what_is_held_passes_at_the_cap(desk: Desk) -> None:
    for _ in range(2):
        desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    denial(desk.order("0.00009"))
    assert isinstance(desk.order("0.00009", side=Side.SELL).reply, Admitted)


def test_a_holding_cannot_be_sold_twice(desk: Desk) -> None:
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.placed(desk.order("0.00009", side=Side.SELL))
    assert denial(desk.order("0.00009", side=Side.SELL)).rule == "balance"


def test_a_mild_guard_denies_buys_and_admits_sells(desk: Desk) -> None:
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.tick(age_ms=3_000)
    assert desk.state.guard_level == "NO_ENTRY"
    assert denial(desk.order("0.00003")).rule == "guard"
    assert isinstance(desk.order("0.00003", side=Side.SELL).reply, Admitted)


def test_a_guard_that_cancels_denies_sells_too(desk: Desk) -> None:
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.tick(age_ms=6_000)
    assert denial(desk.order("0.00003", side=Side.SELL)).rule == "guard"


def test_a_flood_is_denied_by_the_order_rate(desk: Desk) -> None:
    for _ in range(20):
        desk.placed(desk.order("0.00002"), Rejected(30004, "no"))
        desk.pass_time(10)
    assert denial(desk.order("0.00002")).rule == "order-rate"
    desk.pass_time(1_000)
    assert isinstance(desk.order("0.00002").reply, Admitted)


def test_an_order_without_a_quote_is_denied(desk: Desk) -> None:
    blind = desk.requested("0.00003")
    decision = desk.give(i.OrderRequested(blind.bot, blind.intent, {}, blind.rules, blind.venue, blind.key))
    assert denial(decision).rule == "quote"


def test_an_order_with_a_stale_quote_is_denied(desk: Desk) -> None:
    late = desk.requested("0.00003")
    desk.pass_time(2_001)
    assert denial(desk.give(late)).rule == "quote"


def test_a_market_order_needs_no_price(desk: Desk) -> None:
    assert isinstance(desk.order("0.00003", type_=OrderType.MARKET).reply, Admitted)


# Cancels


def test_a_cancel_of_a_resting_order_is_sent_at_once(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"))
    assert cancels(ask_cancel(desk, client_id)) == [client_id]
    assert desk.state.orders[client_id].cancel_requested


@pytest.mark.parametrize("outcome", [Ack("C1", 1), Unknown("time-out")])
def test_a_cancel_of_an_in_flight_order_is_sent_once_it_is_reported(desk: Desk, outcome: Ack | Unknown) -> None:
    decision = desk.order("0.00003")
    assert isinstance(decision.reply, Admitted)
    client_id = decision.reply.client_id
    assert cancels(ask_cancel(desk, client_id)) == []
    placed = desk.give(i.PlacementAnswered(client_id, outcome))
    if isinstance(outcome, Ack):
        assert cancels(placed) == [client_id]
        return
    assert cancels(placed) == []
    found = desk.give(i.VenueReported(VenueName.MOCK, desk.report(client_id, OrderStatus.NEW)))
    assert cancels(found) == [client_id]


def test_a_second_cancel_is_sent_again_but_journalled_once(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"))
    ask_cancel(desk, client_id)
    again = ask_cancel(desk, client_id)
    assert (cancels(again), again.events) == ([client_id], ())


def test_a_bot_cannot_cancel_another_bots_order(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"))
    decision = ask_cancel(desk, client_id, bot="other-bot")
    assert (decision.events, decision.effects) == ((), ())


def test_a_cancel_of_a_finished_or_unknown_id_does_nothing(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"), Rejected(30004, "no"))
    for name in (client_id, "gh-nobody"):
        decision = ask_cancel(desk, name)
        assert (decision.events, decision.effects) == ((), ())


def test_a_lost_cancel_is_sent_again_by_the_next_sweep(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"))
    ask_cancel(desk, client_id)
    desk.pass_time(3_000)
    assert cancels(desk.sweep(VenueName.MOCK, orders=(desk.report(client_id, OrderStatus.NEW),))) == [client_id]


def test_a_sweep_does_not_cancel_valid_orders(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"))
    assert cancels(desk.sweep(VenueName.MOCK, orders=(desk.report(client_id, OrderStatus.NEW),))) == []


def test_an_order_with_market_data_of_the_left_venue_is_denied() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    waiting = desk.requested("0.00003")
    desk.run(3000)
    assert not desk.move(Verb.ADVANCE, Stage.LIVE_EUR10).code
    decision = desk.give(waiting)
    assert not any(isinstance(effect, Place) for effect in decision.effects)
    assert isinstance(decision.reply, Deny)
    assert decision.reply.rule == "moved"


def test_an_order_that_was_not_sent_is_not_counted_as_rejected() -> None:
    desk = Desk().arm()
    desk.placed(desk.order("0.00003"), Rejected(NOT_SENT, "the permit lapsed"))
    assert desk.state.tally is not None
    assert desk.state.tally.rejects == 0
    assert desk.state.outcomes == ()
