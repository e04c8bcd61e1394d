"""Reconciliation: what is suspected, what breaks, what halts, and what arms the controller."""

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Decision
from controller.core.effects import Alert, CancelAll, Latch, LookUp
from exchange.model import Balance, Fill, OrderReport, OrderStatus, Side
from exchange.ports import Unknown, VenueName
from policies.authority import Verb
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import SYMBOL, D, Desk

MOCK, TESTNET, LIVE = VenueName.MOCK, VenueName.TESTNET, VenueName.LIVE


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


@pytest.fixture(scope="module")
def validating() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


def wrong(desk: Desk, venue: VenueName, btc: str) -> Decision:
    return desk.sweep(venue, balances={**desk.balances(venue), "BTC": Balance("BTC", D(btc), D(0))})


def verdict(decision: Decision) -> e.Reconciled:
    (found,) = [event for event in decision.events if isinstance(event, e.Reconciled)]
    return found


def foreign_fill(desk: Desk, trade_id: str = "X1", at: int | None = None) -> Fill:
    when = desk.now if at is None else at
    return Fill(trade_id, "C9", "", SYMBOL, Side.BUY, desk.price, D("0.001"), D(60), D(0), "USDT", maker=False, at=when)  # type: ignore[arg-type]


def stranger(desk: Desk) -> OrderReport:
    own = desk.report(desk.placed(desk.order("0.00003")), OrderStatus.NEW)
    return replace(own, client_id="foreign", order_id="C9")


def test_the_first_sweep_is_the_baseline_and_later_ones_compare_with_it(desk: Desk) -> None:
    (baseline,) = [
        event for event in desk.events(e.BalancesBaselined) if isinstance(event, e.BalancesBaselined) and event.venue is MOCK
    ]
    assert baseline.totals == {"USDT": D(100)}
    assert verdict(desk.sweep(MOCK)).clean


def test_trades_before_the_baseline_are_not_booked() -> None:
    desk = Desk()
    desk.boot()
    desk.trades[LIVE].append(foreign_fill(desk))
    decision = desk.sweep(LIVE)
    assert not [event for event in decision.events if isinstance(event, e.FillBooked)]
    assert verdict(desk.sweep(LIVE)).clean


def test_later_sweeps_do_not_read_before_the_baseline() -> None:
    desk = Desk()
    desk.boot()
    desk.trades[LIVE].append(foreign_fill(desk, at=desk.now - 3_599_000))
    desk.sweep(LIVE)
    assert desk.state.ledger(LIVE).cursor == desk.now


def test_a_fill_before_the_baseline_is_not_booked() -> None:
    desk = Desk()
    desk.boot()
    assert desk.give(i.VenueReported(LIVE, foreign_fill(desk))).events == ()


def test_a_sweep_books_fills_that_the_stream_missed(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00009"))
    fill = replace(foreign_fill(desk), client_id=client_id, quantity=D("0.00009"), quote=D("5.4"))
    desk.trades[MOCK].append(fill)
    decision = desk.sweep(MOCK)
    assert [event.trade_id for event in decision.events if isinstance(event, e.FillBooked)] == ["X1"]
    assert verdict(decision).clean


def test_a_difference_found_once_is_only_suspected(desk: Desk) -> None:
    found = verdict(wrong(desk, MOCK, "1"))
    assert (found.clean, found.breaks, found.suspected) == (False, (), ("BTC: ours 0, mock 1",))
    assert desk.state.position.stage is Stage.MOCK


def test_a_suspected_difference_that_disappears_has_no_effect(desk: Desk) -> None:
    wrong(desk, MOCK, "1")
    assert verdict(desk.sweep(MOCK)).clean
    assert verdict(wrong(desk, MOCK, "1")).breaks == ()


def test_a_difference_found_twice_is_a_break_and_halts(desk: Desk) -> None:
    wrong(desk, MOCK, "1")
    decision = wrong(desk, MOCK, "1")
    assert verdict(decision).breaks == ("BTC: ours 0, mock 1",)
    assert (desk.state.position.stage, desk.state.halt_cause) == (Stage.HALTED, "integrity")


def test_a_break_on_an_unused_venue_alerts_but_does_not_halt(desk: Desk) -> None:
    wrong(desk, LIVE, "1")
    decision = wrong(desk, LIVE, "1")
    assert [effect for effect in decision.effects if isinstance(effect, Alert)]
    assert desk.state.position.stage is Stage.MOCK


def test_differences_that_change_with_every_sweep_stop_buys_and_then_halt(desk: Desk) -> None:
    guards = desk.policy.guards
    levels = []
    for second in range((guards.reconciliation.max_age_ms + guards.blind_deadline_ms) // 1000 + 2):
        desk.pass_time(1_000)
        wrong(desk, MOCK, str(second + 1))
        desk.tick()
        stage = desk.state.position.stage
        levels.append(stage.value if stage is Stage.HALTED else desk.state.guard_level or stage.value)
    assert levels[0] == "MOCK"
    assert "NO_ENTRY" in levels
    assert levels[-1] == "HALTED"


def test_an_account_that_never_agreed_admits_nothing() -> None:
    desk = Desk()
    desk.boot()
    desk.sweep(LIVE)
    desk.sweep(TESTNET)
    foreign = stranger(Desk().arm())
    desk.sweep(MOCK, orders=(foreign,))
    desk.tick()
    assert not desk.state.armed


def test_the_first_reading_that_shows_a_foreign_order_halts(desk: Desk) -> None:
    report = stranger(desk)
    decision = desk.sweep(MOCK, orders=(report,))
    assert verdict(decision).breaks == ("order foreign is not ours: BUY 0.00003 BTCUSDT @ 60000, placed outside gatehouse",)
    assert desk.state.position.stage is Stage.HALTED
    assert isinstance(decision.effects[0], Alert | Latch)
    assert [effect.venue for effect in decision.effects if isinstance(effect, CancelAll)] == [MOCK]


def test_a_foreign_order_before_arming_prevents_it_and_then_halts() -> None:
    desk = Desk()
    desk.boot()
    foreign = stranger(Desk().arm())
    desk.sweep(MOCK, orders=(foreign,))
    assert (desk.state.armed, desk.state.position.stage) == (False, Stage.MOCK)
    desk.sweep(MOCK, orders=(foreign,))
    assert desk.state.position.stage is Stage.HALTED


def test_a_reading_without_our_id_shows_our_order_by_the_venues_id(desk: Desk) -> None:
    own = desk.report(desk.placed(desk.order("0.00003")), OrderStatus.NEW)
    assert verdict(desk.sweep(MOCK, orders=(replace(own, client_id=""),))).clean


def test_an_order_without_an_id_that_may_be_in_flight_is_only_suspected(desk: Desk) -> None:
    lost = desk.report(desk.placed(desk.order("0.00003"), Unknown("time-out")), OrderStatus.NEW)
    nameless = replace(lost, client_id="", order_id="C9")
    for _ in range(3):
        found = verdict(desk.sweep(MOCK, orders=(nameless,)))
        assert (found.clean, found.breaks, found.suspected) == (False, (), ("order C9 may be ours",))
    assert desk.state.position.stage is Stage.MOCK


def test_an_order_of_another_venue_is_foreign(validating: Desk) -> None:
    desk = validating.fork()
    own = desk.report(desk.placed(desk.order("0.00003")), OrderStatus.NEW)
    assert verdict(desk.sweep(LIVE, orders=(own,))).suspected


def test_balances_read_while_a_fill_arrived_may_be_older(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00009"))
    old = desk.balances(MOCK)
    before = desk.state.ledger(MOCK).fills_booked
    desk.fill(client_id, "0.00009")
    decision = desk.give(i.AccountRead(MOCK, i.AccountSnapshot((), (), old), fills_before=before, started_at=desk.now))
    assert verdict(decision).clean


def test_an_order_missing_from_the_open_orders_is_looked_up(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"))
    desk.pass_time(3_000)
    assert LookUp(MOCK, SYMBOL, client_id) in desk.sweep(MOCK).effects


def test_an_order_missing_from_the_open_orders_is_not_called_over(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"))
    for _ in range(3):
        desk.pass_time(3_000)
        desk.sweep(MOCK)
    assert desk.state.open[client_id].status is OrderStatus.NEW


def test_an_order_reported_during_the_sweep_is_not_missing(desk: Desk) -> None:
    started = desk.now
    desk.pass_time(50)
    desk.placed(desk.order("0.00003"))
    reading = i.AccountRead(MOCK, i.AccountSnapshot((), (), desk.balances(MOCK)), fills_before=0, started_at=started)
    assert not [effect for effect in desk.give(reading).effects if isinstance(effect, LookUp)]


# Arming


def test_the_controller_arms_once_the_venue_in_use_agrees() -> None:
    desk = Desk()
    desk.boot()
    desk.sweep(LIVE)
    desk.tick()
    assert not desk.state.armed
    desk.sweep(MOCK)
    assert desk.state.armed


def test_a_venue_with_unsettled_orders_must_agree_too(validating: Desk) -> None:
    desk = validating.fork()
    desk.placed(desk.order("0.00003"))
    assert desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",)).code == ""
    desk.boot()
    desk.sweep(MOCK)
    assert not desk.state.armed
    (order,) = desk.state.open_on(TESTNET)
    desk.sweep(TESTNET, orders=(desk.report(order.client_id, OrderStatus.NEW),))
    assert desk.state.armed


def test_a_halted_deployment_does_not_arm_before_its_account_was_compared(validating: Desk) -> None:
    desk = validating.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.boot()
    desk.tick()
    assert not desk.state.armed
    desk.sweep(TESTNET)
    assert desk.state.armed


def test_moving_to_a_venue_that_does_not_reconcile_disarms(desk: Desk) -> None:
    desk.trade(6)
    desk.run(40_000)
    desk.move(Verb.ADVANCE, Stage.TESTNET_VALIDATING)
    wrong(desk, MOCK, "1")
    assert desk.move(Verb.DEMOTE, Stage.MOCK).code == ""
    assert not desk.state.armed
    denied = desk.order("0.00003").reply
    assert isinstance(denied, Deny)
    assert denied.rule == "not-armed"
    desk.sweep(MOCK)
    assert desk.state.armed
    assert isinstance(desk.order("0.00003").reply, Admitted)
