"""The fold collects the series of a run: its orders, its round trips, its equity, and nothing of another run."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from controller.core import inputs as i
from controller.core import state_codec
from controller.core.state import State
from exchange.model import OrderStatus, Side
from exchange.ports import Rejected, VenueName
from exchange.wire.errors import ErrorCode
from gates.measure import Tally
from gates.series import GRID_MS, Execution
from policies.stage import Stage
from tests.support.desk import D, Desk
from tests.support.holding import HoldingDesk, Pair, judged

TESTNET = VenueName.TESTNET


@pytest.fixture(scope="module")
def validating() -> Desk:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(2_000)
    return desk


@pytest.fixture
def desk(validating: Desk) -> Desk:
    return validating.fork()


def tally(desk: Desk) -> Tally:
    assert desk.state.tally is not None
    return desk.state.tally


def executions(desk: Desk) -> list[Execution]:
    return list(tally(desk).series.executions)


def bought(desk: Desk, quantity: str, price: str | None = None) -> str:
    """A purchase that fills completely."""
    client_id = desk.placed(desk.order(quantity))
    desk.fill(client_id, quantity, price)
    desk.give(i.VenueReported(TESTNET, desk.report(client_id, OrderStatus.FILLED, quantity)))
    return client_id


def test_a_run_starts_without_orders_of_the_one_before(desk: Desk) -> None:
    series = tally(desk).series
    assert (len(series.executions), len(series.round_trips), series.cap_eur) == (0, 0, tally(desk).cap_eur)


def test_an_order_is_recorded_when_it_has_ended(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00004", "60010"))
    admitted_at = desk.state.orders[client_id].admitted_at
    desk.pass_time(700)
    desk.fill(client_id, "0.00003", "60001")
    assert executions(desk) == []
    desk.give(i.VenueReported(TESTNET, desk.report(client_id, OrderStatus.PARTIALLY_CANCELED, "0.00003")))
    (one,) = executions(desk)
    assert (one.mid, one.ordered, one.filled, one.filled_quote) == (D(60_000), D("0.00004"), D("0.00003"), D("1.80003"))
    assert (one.admitted_at, one.ended_at, one.acked_after_ms) == (admitted_at, desk.now, 0)
    assert one.mid_at_end == D(60_000)


def test_a_report_before_the_answer_is_the_venues_answer(desk: Desk) -> None:
    decision = desk.order("0.00003")
    client_id = next(iter(desk.state.open))
    desk.pass_time(41)
    desk.give(i.VenueReported(TESTNET, desk.report(client_id, OrderStatus.NEW)))
    desk.pass_time(9)
    desk.placed(decision)
    desk.fill(client_id, "0.00003")
    desk.give(i.VenueReported(TESTNET, desk.report(client_id, OrderStatus.FILLED, "0.00003")))
    assert [one.acked_after_ms for one in executions(desk)] == [41]


def test_a_rejected_order_is_no_execution(desk: Desk) -> None:
    desk.placed(desk.order("0.00003"), Rejected(ErrorCode.INSUFFICIENT_BALANCE, "no"))
    assert (executions(desk), tally(desk).rejects, tally(desk).form_rejects) == ([], 1, 0)


@pytest.mark.parametrize("code", [ErrorCode.AMOUNT_SCALE, ErrorCode.BELOW_MINIMUM, ErrorCode.BAD_SIGNATURE])
def test_a_reject_for_the_form_of_an_order_is_counted_apart(desk: Desk, code: ErrorCode) -> None:
    desk.placed(desk.order("0.00003"), Rejected(code, "no"))
    assert (tally(desk).rejects, tally(desk).form_rejects) == (1, 1)


def test_a_sale_of_what_was_bought_is_a_round_trip(desk: Desk) -> None:
    bought(desk, "0.00003")
    opened_at = desk.now
    desk.pass_time(90_000)
    desk.price += 100
    desk.sweep_all()
    desk.tick()
    sold = desk.placed(desk.order("0.00003", side=Side.SELL))
    desk.fill(sold, "0.00003")
    desk.give(i.VenueReported(TESTNET, desk.report(sold, OrderStatus.FILLED, "0.00003")))
    (trip,) = tally(desk).series.round_trips
    assert (trip.opened_at, trip.closed_at, trip.cost_quote, trip.pnl_quote) == (opened_at, desk.now, D("1.8"), D("0.003"))


def test_what_is_kept_of_an_order_ends_with_it(desk: Desk) -> None:
    client_id = bought(desk, "0.00003")
    assert desk.state.orders[client_id].watched is None


def test_a_late_trade_of_an_ended_order_still_costs(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"))
    desk.give(i.VenueReported(TESTNET, desk.report(client_id, OrderStatus.CANCELED)))
    fill = desk.trade_of(desk.state.orders[client_id], D("0.00003"))
    desk.give(i.VenueReported(TESTNET, fill))
    assert tally(desk).collected.held("BTCUSDT").lots[0].quantity == D("0.00003")


def test_the_equity_has_a_point_for_each_five_minutes(desk: Desk) -> None:
    desk.run(11 * 60_000)
    points = list(tally(desk).series.equity)
    assert all(point.at % GRID_MS == 0 for point in points)
    assert [after.at - before.at for before, after in pairwise(points)] == [GRID_MS] * (len(points) - 1)
    assert len(points) == 3
    assert {point.mid for point in points} == {D(60_000)}


@pytest.mark.parametrize("moves", [False, True])
def test_no_point_is_lost_in_samples_that_are_held_back(validating: Desk, moves: bool) -> None:
    pair = Pair(validating)

    def second(desk: Desk) -> None:
        desk.pass_time(1_000)
        if moves:
            desk.price += D(2) * (1 if desk.now // 1_000 % 2 else -1)
        if desk.now // 1_000 % 3 == 0:
            desk.sweep_all()
        desk.tick()

    bought(pair.plain, "0.00003")
    bought(pair.holding, "0.00003")
    for _ in range(620):
        pair.both(second)
    assert judged(pair.holding.now_seen) == judged(pair.plain.state)
    assert len(tally(pair.plain).series.equity) == 3
    assert len(pair.holding.journal) < len(pair.plain.journal)


def test_a_point_is_journalled_at_once(validating: Desk) -> None:
    desk = HoldingDesk.of(validating)
    before = len(tally(desk).series.equity)
    while desk.now % GRID_MS > 1_000 or len(tally(desk).series.equity) == before:
        desk.run(1_000)
        assert desk.now - validating.now < 2 * GRID_MS
    assert len(tally(desk).series.equity) == before + 1


def test_a_state_with_series_survives_a_snapshot(desk: Desk) -> None:
    for _ in range(3):
        bought(desk, "0.00003")
    desk.placed(desk.order("0.00003"))
    desk.run(6 * 60_000)
    packed = b"".join(state_codec.pack(desk.state))
    (again,) = state_codec.unpack([State], memoryview(packed))
    assert again == desk.state
    assert again.fingerprint() == desk.state.fingerprint()


def test_the_fingerprint_depends_on_the_series(desk: Desk) -> None:
    other = desk.fork()
    bought(desk, "0.00003", "60000")
    bought(other, "0.00003", "60001")
    series, others = tally(desk).series, tally(other).series
    assert series.digest() != others.digest()


def test_the_size_of_a_fills_work_does_not_grow_with_the_run(desk: Desk) -> None:
    """Appending to a series shares all full chunks with the one before."""
    for _ in range(26):
        desk.trade(5)
        desk.run(10_000)
    before = tally(desk).series.executions
    bought(desk, "0.00003")
    after = tally(desk).series.executions
    assert len(before.chunks) >= 1
    assert all(one is other for one, other in zip(before.chunks, after.chunks, strict=False))
    assert Decimal(len(after)) == len(before) + 1
