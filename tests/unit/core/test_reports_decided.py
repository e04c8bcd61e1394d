"""What venues say: placement outcomes, UNKNOWN orders, reports and fills, early, late, twice and contradictory."""

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Decision
from controller.core.effects import Cancel, CancelAll, Latch, LookUp, Place
from exchange.model import Fill, OrderReport, OrderStatus, Side
from exchange.ports import Ack, PlaceOutcome, Rejected, Unknown, VenueName
from policies.authority import Verb
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import D, Desk

MOCK = VenueName.MOCK
GRACE_MS, LOOKUPS = 3_000, 3


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def order(desk: Desk, outcome: PlaceOutcome | None = None, quantity: str = "0.00009") -> str:
    return desk.placed(desk.order(quantity), outcome)


def look(desk: Desk, client_id: str, report: OrderReport | None = None, *, absent: bool = True) -> Decision:
    return desk.give(i.LookupAnswered(client_id, report, absent_everywhere=absent and report is None))


def reported(desk: Desk, event: OrderReport | Fill) -> Decision:
    return desk.give(i.VenueReported(MOCK, event))


def cap_is_free(desk: Desk) -> bool:
    """Whether a second and a third large order would still fit under the cap."""
    other = desk.fork()
    return all(isinstance(other.order("0.00009").reply, Admitted) for _ in range(2))


def status(desk: Desk, client_id: str) -> OrderStatus:
    return desk.state.orders[client_id].status


def assert_integrity_halt(desk: Desk, decision: Decision) -> None:
    assert desk.state.position.stage is Stage.HALTED
    assert desk.state.halt_cause == "integrity"
    assert isinstance(decision.effects[0], Latch)
    assert any(isinstance(effect, CancelAll) and effect.venue is MOCK for effect in decision.effects)


# Placement outcomes


def test_an_ack_makes_the_order_new_and_keeps_the_venues_id(desk: Desk) -> None:
    client_id = order(desk, Ack("C99", 1))
    assert (status(desk, client_id), desk.state.orders[client_id].order_id) == (OrderStatus.NEW, "C99")


def test_a_rejection_releases_what_the_order_reserved(desk: Desk) -> None:
    client_id = order(desk, Rejected(30004, "Insufficient balance"))
    assert status(desk, client_id) is OrderStatus.REJECTED
    rejected = desk.state.orders[client_id]
    assert (rejected.reject_code, rejected.reject_message) == (30004, "Insufficient balance")
    assert cap_is_free(desk)


def test_an_unknown_outcome_is_looked_up_and_reserved_in_full(desk: Desk) -> None:
    decision = desk.order("0.00009")
    assert isinstance(decision.reply, Admitted)
    placed = desk.give(i.PlacementAnswered(decision.reply.client_id, Unknown("time-out")))
    assert [effect for effect in placed.effects if isinstance(effect, LookUp)]
    assert status(desk, decision.reply.client_id) is OrderStatus.UNKNOWN
    assert not cap_is_free(desk)


def test_an_unknown_order_keeps_its_reason_until_its_outcome_is_known(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    assert desk.state.orders[client_id].unknown_reason == "time-out"
    reported(desk, desk.report(client_id, OrderStatus.NEW))
    assert desk.state.orders[client_id].unknown_reason == ""


def test_every_tick_looks_an_unknown_order_up_again(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    assert [effect.client_id for effect in desk.tick().effects if isinstance(effect, LookUp)] == [client_id]


def test_a_report_that_overtakes_the_ack_counts_as_acceptance_once(desk: Desk) -> None:
    decision = desk.order("0.00009")
    assert isinstance(decision.reply, Admitted)
    client_id = decision.reply.client_id
    reported(desk, desk.report(client_id, OrderStatus.NEW))
    late = desk.give(i.PlacementAnswered(client_id, Ack(f"C02__{client_id}", 1)))
    assert late.events == ()
    assert [accepted for _, accepted in desk.state.outcomes] == [True]


def test_a_time_out_after_the_stream_showed_the_order_changes_nothing(desk: Desk) -> None:
    decision = desk.order("0.00009")
    assert isinstance(decision.reply, Admitted)
    reported(desk, desk.report(decision.reply.client_id, OrderStatus.NEW))
    desk.give(i.PlacementAnswered(decision.reply.client_id, Unknown("time-out")))
    assert status(desk, decision.reply.client_id) is OrderStatus.NEW


@pytest.mark.parametrize("traded", [False, True])
def test_a_rejection_of_an_order_the_venue_showed_halts(desk: Desk, traded: bool) -> None:
    decision = desk.order("0.00009")
    assert isinstance(decision.reply, Admitted)
    client_id = decision.reply.client_id
    if traded:
        desk.fill(client_id, "0.00003")
    else:
        reported(desk, desk.report(client_id, OrderStatus.NEW))
    assert_integrity_halt(desk, desk.give(i.PlacementAnswered(client_id, Rejected(30004, "no"))))


# UNKNOWN


def test_an_order_listed_elsewhere_does_not_count_as_missing(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    desk.pass_time(10 * GRACE_MS)
    for _ in range(5 * LOOKUPS):
        assert look(desk, client_id, absent=False).events == ()


def test_a_look_up_that_finds_the_order_decides_its_outcome(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    desk.pass_time(700)
    look(desk, client_id, desk.report(client_id, OrderStatus.NEW))
    assert status(desk, client_id) is OrderStatus.NEW
    assert desk.state.orders[client_id].unknown_since is None
    assert desk.state.tally is not None
    assert desk.state.tally.longest_unknown_ms == 700


def test_a_look_up_of_an_order_that_is_known_changes_nothing(desk: Desk) -> None:
    client_id = order(desk)
    assert look(desk, client_id).events == ()


def test_a_fill_of_a_rejected_order_is_booked_and_halts(desk: Desk) -> None:
    client_id = order(desk, Rejected(30004, "no"))
    desk.fill(client_id, "0.00003")
    assert desk.state.ledger(MOCK).fills_booked == 1
    assert_integrity_halt(desk, desk.decisions[-1])


# Reports and fills


def test_a_late_fill_after_a_cancel_is_booked(desk: Desk) -> None:
    client_id = order(desk)
    reported(desk, desk.report(client_id, OrderStatus.CANCELED))
    desk.fill(client_id, "0.00003")
    assert desk.state.orders[client_id].booked == D("0.00003")
    assert (desk.state.ledger(MOCK).totals or {})["BTC"] == D("0.00003")
    assert desk.state.position.stage is Stage.MOCK


def test_a_finished_order_reserves_fills_that_have_not_arrived(desk: Desk) -> None:
    client_id = order(desk)
    reported(desk, desk.report(client_id, OrderStatus.FILLED, "0.00009"))
    assert not cap_is_free(desk)
    assert client_id in desk.state.open
    desk.fill(client_id, "0.00009")
    assert client_id not in desk.state.open


def test_a_partly_filled_cancel_is_not_placed_again(desk: Desk) -> None:
    client_id = order(desk)
    reported(desk, desk.report(client_id, OrderStatus.PARTIALLY_CANCELED, "0.00001"))
    before = len(desk.decisions)
    desk.fill(client_id, "0.00001")
    desk.run(5_000)
    later = desk.decisions[before:]
    assert (len(later) > 5, [effect for one in later for effect in one.effects if isinstance(effect, Place)]) == (True, [])
    assert desk.state.orders[client_id].status is OrderStatus.PARTIALLY_CANCELED


def test_a_partly_filled_cancel_reserves_only_what_traded(desk: Desk) -> None:
    client_id = order(desk)
    reported(desk, desk.report(client_id, OrderStatus.PARTIALLY_CANCELED, "0.00001"))
    assert isinstance(desk.fork().order("0.00009").reply, Admitted)
    assert desk.state.open[client_id].executed == D("0.00001")


def test_a_fill_is_booked_once_however_often_it_is_reported(desk: Desk) -> None:
    client_id = order(desk)
    fill = desk.fill(client_id, "0.00003")
    for _ in range(3):
        assert reported(desk, fill).events == ()
    assert desk.sweep(MOCK).events[-1] == e.Reconciled(venue=MOCK, clean=True, breaks=(), suspected=(), open_orders=0)
    assert desk.state.ledger(MOCK).fills_booked == 1


def test_balances_follow_from_fills_and_fees_exactly(desk: Desk) -> None:
    client_id = order(desk)
    fill = replace(desk.fill(client_id, "0.00003"), trade_id="with-fee", quantity=D("0.00001"), quote=D("0.6"), fee=D("0.0003"))
    reported(desk, fill)
    totals = desk.state.ledger(MOCK).totals
    assert totals is not None
    assert (totals["BTC"], totals["USDT"]) == (D("0.00004"), D(100) - D("1.8") - D("0.6003"))


def test_partial_fills_add_up(desk: Desk) -> None:
    client_id = order(desk)
    for _ in range(3):
        desk.fill(client_id, "0.00003")
    filled = desk.state.orders[client_id]
    assert (filled.booked, filled.booked_quote, filled.executed) == (D("0.00009"), D("5.4"), D("0.00009"))


def test_a_sell_adds_quote_and_takes_base(desk: Desk) -> None:
    desk.fill(order(desk), "0.00009")
    sold = desk.placed(desk.order("0.00009", "60100", side=Side.SELL))
    desk.fill(sold, "0.00009")
    totals = desk.state.ledger(MOCK).totals
    assert totals is not None
    assert (totals["BTC"], totals["USDT"]) == (D(0), D(100) + D("0.009"))


def test_an_overfill_is_booked_and_halts(desk: Desk) -> None:
    client_id = order(desk)
    desk.fill(client_id, "0.00010")
    assert desk.state.orders[client_id].booked == D("0.00010")
    assert_integrity_halt(desk, desk.decisions[-1])


def test_a_foreign_fill_is_booked_and_halts(desk: Desk) -> None:
    mine = desk.fill(order(desk), "0.00003")
    decision = reported(desk, replace(mine, trade_id="foreign", order_id="C9", client_id=""))
    assert (desk.state.ledger(MOCK).totals or {})["BTC"] == D("0.00006")
    assert_integrity_halt(desk, decision)


@pytest.mark.parametrize("change", [{"side": Side.SELL}, {"symbol": "ETHUSDT"}, {"quantity": D(1)}, {"executed": D(1)}])
def test_a_report_that_contradicts_the_order_halts(desk: Desk, change: dict[str, object]) -> None:
    client_id = order(desk)
    report = replace(desk.report(client_id, OrderStatus.NEW), **change)  # type: ignore[arg-type]
    assert_integrity_halt(desk, reported(desk, report))


def test_an_outdated_report_changes_nothing(desk: Desk) -> None:
    client_id = order(desk)
    reported(desk, desk.report(client_id, OrderStatus.FILLED, "0.00009"))
    assert reported(desk, desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00003")).events == ()
    assert reported(desk, desk.report(client_id, OrderStatus.NEW)).events == ()


def foreign(desk: Desk, client_id: str = "stranger") -> OrderReport:
    return replace(desk.report(order(desk, quantity="0.00003"), OrderStatus.NEW), client_id=client_id, order_id="C9")


@pytest.mark.parametrize("client_id", ["stranger", ""])
def test_the_report_of_an_open_foreign_order_halts_at_once(desk: Desk, client_id: str) -> None:
    assert_integrity_halt(desk, reported(desk, foreign(desk, client_id)))
    assert isinstance(desk.order("0.00003").reply, Deny)


def test_a_foreign_order_that_has_ended_changes_nothing(desk: Desk) -> None:
    assert reported(desk, replace(foreign(desk), status=OrderStatus.CANCELED)).events == ()


def test_a_foreign_order_on_another_venue_is_left_to_the_sweeps(desk: Desk) -> None:
    assert desk.give(i.VenueReported(VenueName.LIVE, foreign(desk))).events == ()


def test_a_report_without_our_id_is_known_by_the_venues_id(desk: Desk) -> None:
    client_id = order(desk)
    reported(desk, replace(desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00003"), client_id=""))
    assert status(desk, client_id) is OrderStatus.PARTIALLY_FILLED


def test_a_late_report_without_our_id_of_a_settled_order_is_not_foreign(desk: Desk) -> None:
    client_id = order(desk)
    late = replace(desk.report(client_id, OrderStatus.NEW), client_id="")
    reported(desk, desk.report(client_id, OrderStatus.CANCELED))
    assert client_id not in desk.state.open
    assert reported(desk, late).events == ()


def test_a_nameless_report_of_what_may_be_in_flight_halts_nothing(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    nameless = replace(desk.report(client_id, OrderStatus.NEW), client_id="", order_id="C9")
    assert reported(desk, nameless).events == ()


def test_an_answer_without_our_id_is_about_the_order_that_was_asked_for(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    look(desk, client_id, replace(desk.report(client_id, OrderStatus.NEW), client_id=""))
    assert status(desk, client_id) is OrderStatus.NEW


def test_a_fill_without_our_id_is_booked_to_its_order(desk: Desk) -> None:
    client_id = order(desk)
    fill = desk.fill(client_id, "0.00003")
    reported(desk, replace(fill, trade_id="nameless", client_id=""))
    assert desk.state.orders[client_id].booked == D("0.00006")
    assert desk.state.position.stage is Stage.MOCK


def test_an_order_of_the_left_stage_is_cancelled_once_reported() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    client_id = order(desk, Unknown("time-out"))
    desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",))
    found = desk.give(i.VenueReported(VenueName.TESTNET, desk.report(client_id, OrderStatus.NEW)))
    assert Cancel(VenueName.TESTNET, "BTCUSDT", client_id) in found.effects


def test_rejections_of_an_earlier_stage_are_not_evidence_about_this_one() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    decision = desk.order("0.00009")
    assert isinstance(decision.reply, Admitted)
    desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",))
    desk.give(i.PlacementAnswered(decision.reply.client_id, Rejected(30004, "no")))
    assert desk.state.tally is not None
    assert desk.state.tally.rejects == 0


def test_too_many_rejections_halt(desk: Desk) -> None:
    for _ in range(20):
        desk.pass_time(100)
        order(desk, Rejected(30004, "no"), "0.00002")
    desk.tick()
    assert desk.state.position.stage is Stage.HALTED
    assert isinstance(desk.order("0.00002").reply, Deny)


@pytest.mark.parametrize("name", ["executed", "executed_quote"])
def test_a_stale_report_takes_nothing_executed_back(desk: Desk, name: str) -> None:
    client_id = order(desk, Ack("C99", 1))
    reported(desk, desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00005"))
    newest = getattr(desk.state.orders[client_id], name)
    reported(desk, desk.report(client_id, OrderStatus.PARTIALLY_CANCELED, "0.00003"))
    assert status(desk, client_id) is OrderStatus.PARTIALLY_CANCELED
    assert getattr(desk.state.orders[client_id], name) == newest > 0


@pytest.mark.parametrize("name", ["executed", "executed_quote"])
def test_a_late_fill_takes_nothing_executed_back(desk: Desk, name: str) -> None:
    client_id = order(desk, Ack("C99", 1))
    reported(desk, desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00005"))
    newest = getattr(desk.state.orders[client_id], name)
    desk.fill(client_id, "0.00003")
    assert getattr(desk.state.orders[client_id], name) == newest
