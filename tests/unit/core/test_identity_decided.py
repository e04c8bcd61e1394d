"""Whose order and which trade: known by either id, in any order of telling, booked once, and a halt where nobody can know."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Decision
from controller.core.effects import Place
from controller.core.fold.apply import apply
from exchange.model import Balance, Fill, ForeignOrder, Millis, OrderReport, OrderStatus, Side
from exchange.ports import Ack, PlaceOutcome, Unknown, VenueName
from policies.stage import Stage
from tests.support.desk import SYMBOL, D, Desk
from tests.support.tries import tries

MOCK = VenueName.MOCK


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def order(desk: Desk, outcome: PlaceOutcome | None = None, quantity: str = "0.00009") -> str:
    return desk.placed(desk.order(quantity), outcome)


def reported(desk: Desk, event: OrderReport | Fill | ForeignOrder, *, listed: bool = False) -> Decision:
    return desk.give(i.VenueReported(MOCK, event, listed=listed))


def trade(desk: Desk, client_id: str, trade_id: str, quantity: str = "0.00003", *, at: int = 0) -> Fill:
    """A trade as the stream tells it."""
    one = desk.state.orders[client_id]
    price, amount = one.price or desk.price, D(quantity)
    return Fill(
        trade_id,
        f"C02__{client_id}",
        client_id,
        SYMBOL,
        one.side,
        price,
        amount,
        amount * price,
        D(0),
        "USDT",
        True,
        Millis(desk.now + at),
    )


def as_listed(fill: Fill, trade_id: str) -> Fill:
    """The same trade as ``myTrades`` lists it: another id, no client id, whole seconds."""
    return replace(fill, trade_id=trade_id, client_id="", at=Millis(fill.at // 1000 * 1000))


def sweep(desk: Desk, fills: list[Fill], orders: tuple[OrderReport | ForeignOrder, ...] = ()) -> Decision:
    desk.trades[MOCK] = fills
    snapshot = i.AccountSnapshot(orders, tuple(fills), desk.balances(MOCK))
    return desk.give(i.AccountRead(MOCK, snapshot, desk.state.ledger(MOCK).fills_booked, desk.now))


def booked(desk: Desk, client_id: str) -> D:  # type: ignore[valid-type]
    return desk.state.orders[client_id].booked


# By either id


def test_a_trade_of_an_order_settled_long_ago_is_known_by_the_venues_id(desk: Desk) -> None:
    client_id = order(desk)
    reported(desk, desk.report(client_id, OrderStatus.CANCELED))
    late = trade(desk, client_id, "T1")
    for _ in range(150):
        reported(desk, desk.report(order(desk), OrderStatus.CANCELED))
        desk.run(1_000)
    reported(desk, as_listed(late, "T1"), listed=True)
    assert booked(desk, client_id) == D("0.00003")
    assert desk.state.position.stage is Stage.MOCK


def test_a_trade_tells_the_venues_id_of_an_order_whose_answer_was_lost(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    reported(desk, trade(desk, client_id, "T1"))
    reported(desk, replace(desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00003"), client_id=""))
    assert desk.state.orders[client_id].status is OrderStatus.PARTIALLY_FILLED


def test_a_look_up_answered_without_our_id_teaches_the_venues_id(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    answer = replace(desk.report(client_id, OrderStatus.NEW), client_id="", order_id="C77")
    desk.give(i.LookupAnswered(client_id, answer, absent_everywhere=False))
    sweep(desk, [as_listed(replace(trade(desk, client_id, "T1"), order_id="C77"), "T1")], (answer,))
    assert (booked(desk, client_id), desk.state.position.stage) == (D("0.00003"), Stage.MOCK)


def test_a_trade_in_the_same_reading_names_an_order_listed_without_our_id(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    listed = replace(desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00003"), client_id="")
    sweep(desk, [trade(desk, client_id, "T1")], (listed,))
    assert (booked(desk, client_id), desk.state.position.stage) == (D("0.00003"), Stage.MOCK)


@pytest.mark.parametrize(
    "change", [{"order_id": "C-other"}, {"client_id": "stranger"}], ids=["another order id", "another client id"]
)
def test_two_ids_that_cannot_both_be_of_one_order_halt(desk: Desk, change: dict[str, str]) -> None:
    client_id = order(desk)
    reported(desk, replace(desk.report(client_id, OrderStatus.NEW), **change))  # type: ignore[arg-type]
    assert (desk.state.position.stage, desk.state.halt_cause) == (Stage.HALTED, "integrity")


def test_an_acknowledgement_with_the_id_of_another_order_halts(desk: Desk) -> None:
    first = order(desk)
    order(desk, Ack(desk.state.orders[first].order_id, desk.now), "0.00003")
    assert desk.state.position.stage is Stage.HALTED
    assert desk.state.owner_of(MOCK, f"C02__{first}") == first


def test_an_order_acknowledged_under_another_id_than_the_stream_told_halts(desk: Desk) -> None:
    decision = desk.order("0.00009")
    assert isinstance(decision.reply, Admitted)
    client_id = decision.reply.client_id
    reported(desk, desk.report(client_id, OrderStatus.NEW))
    desk.give(i.PlacementAnswered(client_id, Ack("C-other", desk.now)))
    assert desk.state.position.stage is Stage.HALTED


@pytest.mark.parametrize("side", [Side.SELL])
def test_a_trade_on_the_wrong_side_of_its_order_is_booked_and_halts(desk: Desk, side: Side) -> None:
    client_id = order(desk)
    reported(desk, replace(trade(desk, client_id, "T1"), side=side))
    assert (desk.state.ledger(MOCK).fills_booked, desk.state.position.stage) == (1, Stage.HALTED)


# An order whose answer was lost


def test_a_nameless_trade_of_an_order_in_flight_waits_for_the_look_up(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    nameless = as_listed(replace(trade(desk, client_id, "T1"), order_id="C9"), "T1")
    reported(desk, nameless)
    for _ in range(3):
        reading = sweep(desk, [nameless])
        (found,) = [event for event in reading.events if isinstance(event, e.Reconciled)]
        assert (found.clean, found.breaks, found.suspected) == (False, (), ("trade T1 may be ours",))
    assert (desk.state.ledger(MOCK).fills_booked, desk.state.position.stage) == (0, Stage.MOCK)
    answer = replace(desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00003"), client_id="", order_id="C9")
    desk.give(i.LookupAnswered(client_id, answer, absent_everywhere=False))
    sweep(desk, [nameless], (answer,))
    assert (booked(desk, client_id), desk.state.position.stage) == (D("0.00003"), Stage.MOCK)


def test_a_nameless_order_that_the_look_up_does_not_name_is_foreign(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    nameless = replace(desk.report(client_id, OrderStatus.NEW), client_id="", order_id="C9")
    sweep(desk, [], (nameless,))
    assert desk.state.position.stage is Stage.MOCK
    answer = replace(nameless, order_id="C10")
    desk.give(i.LookupAnswered(client_id, answer, absent_everywhere=False))
    sweep(desk, [], (nameless, answer))
    assert (desk.state.position.stage, desk.state.halt_cause) == (Stage.HALTED, "integrity")


def test_an_order_in_flight_that_stays_unknown_halts_at_its_deadline(desk: Desk) -> None:
    client_id = order(desk, Unknown("time-out"))
    nameless = replace(desk.report(client_id, OrderStatus.NEW), client_id="", order_id="C9")
    deadline = desk.policy.guards.unknown_order.max_age_ms
    for _ in range(deadline // 1000 + 2):
        assert client_id in desk.state.open
        desk.pass_time(1_000)
        sweep(desk, [], (nameless,))
        desk.tick()
    assert desk.state.position.stage is Stage.HALTED


def test_of_two_nameless_orders_like_the_one_in_flight_one_is_foreign(desk: Desk) -> None:
    report = desk.report(order(desk, Unknown("time-out")), OrderStatus.NEW)
    sweep(desk, [], tuple(replace(report, client_id="", order_id=name) for name in ("C8", "C9")))
    assert desk.state.position.stage is Stage.HALTED


@pytest.mark.parametrize("change", [{"quantity": D("0.00005")}, {"price": D(1)}, {"side": Side.SELL}, {"client_id": "stranger"}])
def test_an_order_unlike_the_one_in_flight_is_foreign(desk: Desk, change: dict[str, object]) -> None:
    report = desk.report(order(desk, Unknown("time-out")), OrderStatus.NEW)
    reported(desk, replace(report, **{"client_id": "", "order_id": "C9", **change}))  # type: ignore[arg-type]
    assert desk.state.position.stage is Stage.HALTED


def test_a_stop_order_that_a_person_placed_halts_by_name(desk: Desk) -> None:
    reported(desk, ForeignOrder(SYMBOL, "C9", "", "100", open=True))
    assert desk.state.position.stage is Stage.HALTED
    assert "order C9 of type 100" in desk.state.halt_reason


def test_a_stop_order_in_the_list_of_open_orders_halts(desk: Desk) -> None:
    sweep(desk, [], (ForeignOrder(SYMBOL, "C9", "", "STOP_LIMIT", open=True),))
    assert desk.state.position.stage is Stage.HALTED


def test_a_stop_order_that_has_ended_changes_nothing(desk: Desk) -> None:
    assert reported(desk, ForeignOrder(SYMBOL, "C9", "", "100", open=False)).events == ()


# One trade under two ids


@pytest.mark.parametrize("stream_first", [True, False])
def test_a_trade_told_under_two_ids_is_booked_once(desk: Desk, stream_first: bool) -> None:
    client_id = order(desk)
    fill = trade(desk, client_id, "505X1", at=259)
    listed = as_listed(fill, "dd44")
    for _ in range(2):
        for is_listed in (not stream_first, stream_first):
            reported(desk, listed if is_listed else fill, listed=is_listed)
    assert (desk.state.ledger(MOCK).fills_booked, booked(desk, client_id)) == (1, D("0.00003"))
    assert len([event for event, _ in desk.journal if isinstance(event, e.FillRepeated)]) == 1


def test_two_equal_trades_in_one_second_are_two_when_each_place_tells_two(desk: Desk) -> None:
    client_id = order(desk)
    fills = [trade(desk, client_id, f"505X{number}", at=number) for number in (1, 2)]
    for fill in fills:
        reported(desk, fill)
    desk.trades[MOCK] = [as_listed(fill, f"dd{fill.trade_id}") for fill in fills]
    sweep(desk, desk.trades[MOCK], (desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00006"),))
    assert (desk.state.ledger(MOCK).fills_booked, booked(desk, client_id)) == (2, D("0.00006"))
    assert desk.state.ledger(MOCK).clean


def test_of_two_equal_trades_the_one_lost_by_the_stream_is_booked(desk: Desk) -> None:
    client_id = order(desk)
    reported(desk, trade(desk, client_id, "505X1"))
    listed = [as_listed(trade(desk, client_id, name), name) for name in ("dd2", "dd1")]
    reported(desk, listed[0], listed=True)
    assert booked(desk, client_id) == D("0.00003")
    sweep(desk, listed, (desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00006"),))
    assert booked(desk, client_id) == D("0.00006")


@pytest.mark.parametrize("taker_lost", [True, False])
def test_equal_trades_under_one_numbering_have_their_own_fees(desk: Desk, taker_lost: bool) -> None:
    client_id = order(desk)
    taker = replace(trade(desk, client_id, "505X1"), fee=D("0.001"), maker=False)
    maker = trade(desk, client_id, "505X2", at=300)
    one, other = (taker, maker) if taker_lost else (maker, taker)
    reported(desk, as_listed(one, one.trade_id), listed=True)
    reported(desk, other)
    assert desk.state.ledger(MOCK).fills_booked == 1
    for _ in range(2):
        for fill in (taker, maker):
            reported(desk, as_listed(fill, fill.trade_id), listed=True)
    found = [(event.trade_id, event.fee) for event, _ in desk.journal if isinstance(event, e.FillBooked)]
    assert sorted(found) == [("505X1", D("0.001")), ("505X2", D(0))]
    assert (desk.state.position.stage, desk.state.ledger(MOCK).one_numbering) == (Stage.MOCK, True)


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("names", [("dd1", "dd2"), ("dd2", "dd1")])
def test_equal_trades_under_two_numberings_have_their_own_fees(desk: Desk, lost: int, names: tuple[str, str]) -> None:
    client_id = order(desk)
    fills = [replace(trade(desk, client_id, "505X1"), fee=D("0.001"), maker=False), trade(desk, client_id, "505X2", at=300)]
    reported(desk, fills[1 - lost])
    sweep(desk, sorted((as_listed(fill, name) for fill, name in zip(fills, names, strict=True)), key=lambda one: one.trade_id))
    found = [event.fee for event, _ in desk.journal if isinstance(event, e.FillBooked)]
    assert sorted(found) == [D(0), D("0.001")]


def test_a_trade_more_than_the_order_executed_halts_and_is_not_booked(desk: Desk) -> None:
    client_id = order(desk, quantity="0.00003")
    reported(desk, trade(desk, client_id, "505X1"))
    reported(desk, desk.report(client_id, OrderStatus.FILLED, "0.00003"))
    reported(desk, trade(desk, client_id, "505X2"))
    assert (desk.state.ledger(MOCK).fills_booked, desk.state.position.stage) == (1, Stage.HALTED)
    assert "505X2" in desk.state.halt_reason


def test_more_booked_than_an_open_order_executed_is_a_break(desk: Desk) -> None:
    client_id = order(desk)
    for number in (1, 2):
        reported(desk, trade(desk, client_id, f"505X{number}"))
    report = desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00003")
    desk.trades[MOCK] = [trade(desk, client_id, f"505X{number}") for number in (1, 2)]
    for _ in range(2):
        desk.give(i.AccountRead(MOCK, i.AccountSnapshot((report,), (), desk.balances(MOCK)), 2, desk.now))
    assert (desk.state.position.stage, desk.state.halt_cause) == (Stage.HALTED, "integrity")


def test_a_trade_of_a_stranger_told_under_two_ids_is_booked_once(desk: Desk) -> None:
    fill = replace(trade(desk, order(desk), "505X1"), order_id="C9", client_id="")
    reported(desk, fill)
    reported(desk, as_listed(fill, "dd44"), listed=True)
    assert desk.state.ledger(MOCK).fills_booked == 1


def test_the_trades_of_two_orders_may_have_one_id(desk: Desk) -> None:
    ids = [order(desk, quantity="0.00003") for _ in range(2)]
    for client_id in ids:
        reported(desk, trade(desk, client_id, "505X1"))
    assert [booked(desk, client_id) for client_id in ids] == [D("0.00003")] * 2


def test_an_older_journal_folds_and_its_trades_are_not_booked_again(desk: Desk) -> None:
    client_id = order(desk)
    fill = trade(desk, client_id, "T1")
    reported(desk, fill)
    old = next(event.model_dump(mode="json") for event, _ in desk.journal if isinstance(event, e.FillBooked))
    del old["listed"]
    assert e.FillBooked.model_validate(old) == e.FillBooked.model_validate({**old, "listed": False})
    before = apply(
        desk.state, e.BalancesBaselined(venue=MOCK, totals={"USDT": D(100)}, known_trades=("bare",), cursor=desk.now), desk.now
    )
    desk.state = before
    assert reported(desk, replace(fill, trade_id="bare")).events == ()


# Any order of telling


@st.composite
def tellings(draw: st.DrawFn) -> tuple[list[int], list[tuple[str, int]], bool]:
    """Sizes of the trades of one order, and the order in which the ack, the stream, the order's reports and readings tell."""
    sizes = draw(st.lists(st.sampled_from([1, 1, 2]), min_size=1, max_size=4))
    numbers = range(len(sizes))
    stream = [("stream", number) for number in numbers]
    reports = [("report", number) for number in numbers]
    snapshots = [("reading", number) for number in numbers]
    mixed = draw(st.permutations([("ack", 0), *stream, *stream, *reports, *snapshots]))
    lost = draw(st.sets(st.sampled_from(list(numbers))))
    return sizes, [one for one in mixed if one[0] != "stream" or one[1] not in lost], draw(st.booleans())


@settings(max_examples=tries(150))
@given(tellings())
def test_no_order_of_telling_books_a_trade_twice_or_loses_one(telling: tuple[list[int], list[tuple[str, int]], bool]) -> None:
    sizes, steps, same_ids = telling
    desk = Desk().arm()
    decision = desk.order("0.00009")
    assert isinstance(decision.reply, Admitted)
    client_id = decision.reply.client_id
    assert [effect for effect in decision.effects if isinstance(effect, Place)]
    fills = [trade(desk, client_id, f"505X{number}", f"0.0000{size}", at=200 * number) for number, size in enumerate(sizes)]
    done = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    listed = [as_listed(fill, fill.trade_id if same_ids else f"dd{number}") for number, fill in enumerate(fills)]
    most = D(sum(sizes)) / 100_000

    def report(number: int) -> OrderReport:
        full = done[number] == 9
        status = OrderStatus.FILLED if full else OrderStatus.PARTIALLY_FILLED
        return replace(desk.report(client_id, status, f"0.0000{done[number]}"), client_id="")

    def ack() -> None:
        desk.give(i.PlacementAnswered(client_id, Ack(f"C02__{client_id}", desk.now)))

    def reading(fills: list[Fill], shown: OrderReport) -> None:
        # A venue that lags shows old trades; the balances are not the subject here, and by this count they cannot be compared.
        totals = desk.state.ledger(MOCK).totals
        assert totals is not None
        balances = {asset: Balance(asset, amount, D(0)) for asset, amount in totals.items()}
        snapshot = i.AccountSnapshot((shown,), tuple(fills), balances)
        desk.give(i.AccountRead(MOCK, snapshot, 1_000, desk.now))

    for what, number in [*steps, ("reading", len(sizes) - 1), ("reading", len(sizes) - 1)]:
        if what == "ack":
            ack()
        elif what == "stream":
            reported(desk, fills[number])
        elif what == "report":
            reported(desk, report(number))
        else:
            reading(listed[: number + 1], report(number))
        assert desk.state.orders[client_id].booked <= most, "a trade was booked twice"
        assert desk.state.position.stage is Stage.MOCK, desk.state.halt_reason
    assert desk.state.orders[client_id].booked == most, "a trade was lost"
    assert desk.state.ledger(MOCK).fills_booked == len(sizes)
