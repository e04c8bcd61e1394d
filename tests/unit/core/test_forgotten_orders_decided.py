"""A simulated venue began anew while orders were open in it: a signed baseline ends them. MEXC itself forgets nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions import forgotten
from controller.core.decisions.ways_out import ways_out
from exchange.errors import Refused
from exchange.model import OrderStatus
from exchange.ports import Unknown, VenueName
from policies import canonical
from policies.authority import Verb
from policies.stage import Environment, Stage
from policies.values import replace
from tests.support.baselines import accept, differ, shown
from tests.support.desk import D, Desk

TESTNET, LIVE = VenueName.TESTNET, VenueName.LIVE


@pytest.fixture
def desk() -> Desk:
    """At TESTNET_VALIDATING, where the bot trades on the testnet."""
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


def resting(desk: Desk) -> str:
    """An order that the testnet took and that rests there."""
    return desk.placed(desk.order("0.00003"))


def unanswered(desk: Desk) -> str:
    """An order whose answer got lost."""
    return desk.placed(desk.order("0.00003"), Unknown("no answer"))


def partly_filled(desk: Desk) -> str:
    """An order of which a part is traded and booked."""
    name = desk.placed(desk.order("0.00006"))
    desk.give(i.VenueReported(TESTNET, desk.report(name, OrderStatus.PARTIALLY_FILLED, "0.00003")))
    desk.fill(name, "0.00003")
    return name


def filled_unbooked(desk: Desk) -> str:
    """An order that is filled, and whose trade was never told."""
    name = desk.placed(desk.order("0.00003"))
    desk.give(i.VenueReported(TESTNET, desk.report(name, OrderStatus.FILLED, "0.00003")))
    return name


def begins_anew(desk: Desk, name: str, *, amount: str = "900", look_ups: int = 3) -> None:
    """The venue forgets its orders and trades, has another balance, and answers look-ups that it knows no such order."""
    desk.trades[TESTNET].clear()
    desk.pass_time(10_000)
    for _ in range(look_ups):
        desk.pass_time(1_000)
        if desk.state.orders[name].working:
            desk.give(i.LookupAnswered(name, None, absent_everywhere=True, asked_at=desk.now))
    differ(desk, TESTNET, amount=amount)


@pytest.mark.parametrize("before", [resting, unanswered, partly_filled, filled_unbooked])
def test_a_signed_baseline_ends_what_a_new_testnet_forgot(desk: Desk, before: Callable[[Desk], str]) -> None:
    name = before(desk)
    begins_anew(desk, name)
    assert canonical.decode(shown(desk, TESTNET).encode())["orders"] == [name]
    assert accept(desk, TESTNET).code == ""
    order = desk.state.orders[name]
    assert (order.settled, order.working, order.executed == order.booked) == (True, False, True)
    assert not desk.state.open_on(TESTNET)
    assert desk.state.ledger(TESTNET).clean


def test_a_lost_order_alone_is_a_way_out_of_a_halt(desk: Desk) -> None:
    name = resting(desk)
    begins_anew(desk, name, amount="0")
    desk.give(i.HaltAsked("test", "stop"))
    (way,) = [way for way in ways_out(desk.state, desk.seen(), desk.now) if way.verb is Verb.REBASELINE]
    assert (way.venue, way.refused) == (TESTNET, "")
    assert "does not know it any more" in forgotten.line(desk.state, desk.state.orders[name])
    assert accept(desk, TESTNET).code == ""
    assert desk.state.orders[name].settled


def test_a_baseline_of_the_venue_in_use_is_no_reason_to_halt(desk: Desk) -> None:
    name = resting(desk)
    desk.run(120_000)
    begins_anew(desk, name, amount="0")
    assert desk.ask(Verb.REBASELINE, shown(desk, TESTNET), "alice").code == ""
    desk.pass_time(250)
    desk.tick()
    assert (desk.state.position.stage, desk.state.guard_level) == (Stage.TESTNET_VALIDATING, "NO_ENTRY")
    desk.run(4_000)
    assert (desk.state.position.stage, desk.state.guard_level) == (Stage.TESTNET_VALIDATING, "")


def test_an_order_that_comes_back_after_it_was_ended_halts(desk: Desk) -> None:
    name = resting(desk)
    begins_anew(desk, name, amount="0")
    accept(desk, TESTNET)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING
    desk.give(i.VenueReported(TESTNET, desk.report(name, OrderStatus.NEW)))
    assert (desk.state.position.stage, name in desk.state.halt_reason) == (Stage.HALTED, True)


def test_too_few_look_ups_leave_the_order_open(desk: Desk) -> None:
    name = resting(desk)
    begins_anew(desk, name, look_ups=2)
    with pytest.raises(Refused, match=f"{name} .NEW.") as error:
        shown(desk, TESTNET)
    assert error.value.code == "orders-open"


def test_look_ups_before_it_can_be_late_leave_it_open(desk: Desk) -> None:
    name = resting(desk)
    for _ in range(3):
        desk.give(i.LookupAnswered(name, None, absent_everywhere=True, asked_at=desk.now))
    begins_anew(desk, name, look_ups=0)
    with pytest.raises(Refused) as error:
        shown(desk, TESTNET)
    assert error.value.code == "orders-open"


def test_an_order_that_the_reading_lists_is_not_forgotten(desk: Desk) -> None:
    name = resting(desk)
    begins_anew(desk, name)
    desk.sweep(TESTNET, orders=(desk.report(name, OrderStatus.NEW),))
    with pytest.raises(Refused) as error:
        shown(desk, TESTNET)
    assert error.value.code == "orders-open"


def test_an_order_of_which_the_venue_lists_a_trade_is_not_forgotten(desk: Desk) -> None:
    name = partly_filled(desk)
    listed = list(desk.trades[TESTNET])
    begins_anew(desk, name)
    desk.trades[TESTNET].extend(listed)
    desk.sweep(TESTNET)
    with pytest.raises(Refused) as error:
        shown(desk, TESTNET)
    assert error.value.code == "orders-open"


def test_production_never_forgets_an_order_of_the_live_venue(desk: Desk) -> None:
    name = resting(desk)
    live = replace(desk.state.orders[name], venue=LIVE)
    rehearsal = replace(desk.state, environment=Environment.REHEARSAL)
    production = replace(desk.state, environment=Environment.PRODUCTION)
    assert (forgotten.counts(rehearsal, live), forgotten.counts(production, live)) == (True, False)


def test_the_journal_gets_no_more_misses_than_the_proof_needs(desk: Desk) -> None:
    name = resting(desk)
    begins_anew(desk, name, look_ups=20)
    assert len([one for one in desk.events(e.LookupMissed) if one.client_id == name]) == 3  # type: ignore[attr-defined]


def test_another_order_than_the_signed_one_is_refused(desk: Desk) -> None:
    name = resting(desk)
    begins_anew(desk, name)
    document = canonical.decode(shown(desk, TESTNET).encode())
    for orders in ([], [name, "gh-other"], "gh"):
        forged = canonical.encode({**document, "orders": orders}).decode()
        with pytest.raises(Refused, match="now 1 orders are gone") as error:
            desk.ask(Verb.REBASELINE, forged, "alice")
        assert error.value.code == "other-reading"


def test_the_event_names_the_orders_that_it_ended(desk: Desk) -> None:
    name = resting(desk)
    begins_anew(desk, name)
    accept(desk, TESTNET)
    (event,) = desk.events(e.Rebaselined)
    assert isinstance(event, e.Rebaselined)
    assert event.lost_orders == (name,)
    assert D(event.reading["USDT"]) == 1000
