"""Balances that were read while a bot traded: which moments they may be of, and which difference no moment explains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from immutables import Map

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions import cuts
from controller.core.decisions.draft import Admitted, Decision
from controller.core.effects import LookUp, Place
from controller.core.movements import KEPT, Movement
from controller.core.state import State
from exchange.model import Balance, Fill, Millis, OrderReport, OrderStatus, Side
from exchange.ports import Ack, Unknown, VenueName
from policies.stage import Stage
from policies.values import replace as evolve
from tests.support.desk import START, SYMBOL, D, Desk

MOCK = VenueName.MOCK
LONG_MS = 10_000


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def totals(**amounts: str) -> dict[str, Balance]:
    return {asset: Balance(asset, D(amount), D(0)) for asset, amount in amounts.items()}


@dataclass
class Busy:
    """A reading that began when this was made, of an account that did not stand still."""

    desk: Desk

    def __post_init__(self) -> None:
        self.before = self.desk.state.ledger(MOCK).fills_booked
        self.started = self.desk.now
        self.listed: tuple[Fill, ...] = ()
        self.answered: Millis | None = None
        self.balances = self.desk.balances(MOCK)

    def lists(self) -> None:
        """The lists before the balances are read now."""
        self.listed = tuple(self.desk.trades[MOCK])

    def asks(self) -> None:
        """The balances are read now."""
        self.balances = self.desk.balances(MOCK)
        self.answered = self.desk.now

    def ends(self, *orders: OrderReport, later: tuple[Fill, ...] | None = None, still: bool = False) -> Decision:
        shown = tuple(self.desk.trades[MOCK]) if later is None else later
        snapshot = i.AccountSnapshot(orders, self.listed, self.balances)
        return self.desk.give(
            i.AccountRead(MOCK, snapshot, self.before, self.started, still=still, later=shown, answered_at=self.answered)
        )


def verdict(decision: Decision) -> e.Reconciled | None:
    found = [event for event in decision.events if isinstance(event, e.Reconciled)]
    return found[0] if found else None


def agreed(decision: Decision) -> bool:
    found = verdict(decision)
    return found is not None and found.clean


def order(desk: Desk, quantity: str = "0.00009", side: Side = Side.BUY) -> str:
    return desk.placed(desk.order(quantity, side=side))


def unheard(desk: Desk, client_id: str, quantity: str, *, at: int | None = None) -> Fill:
    """A trade that only the lists tell. They cut its time to the second."""
    heard = len(desk.decisions)
    fill = replace(desk.fork().fill(client_id, quantity), at=Millis((desk.now if at is None else at) // 1_000 * 1_000))
    assert len(desk.decisions) == heard
    fill = replace(fill, trade_id=f"L{len(desk.trades[MOCK])}")
    desk.trades[MOCK].append(fill)
    return fill


# Which moments the balances may be of


def test_orders_that_come_and_go_do_not_hold_the_comparison_up(desk: Desk) -> None:
    reading = Busy(desk)
    old = order(desk, "0.00003")
    reading.asks()
    reading.balances["USDT"] = Balance("USDT", D("98.2"), D("1.8"))
    desk.give(i.CancelAsked("demo-bot", old))
    order(desk, "0.00003")
    assert agreed(reading.ends())


@pytest.mark.parametrize("had", [0, 1, 2, 3])
def test_the_first_of_the_trades_in_flight_may_be_in_the_balances(desk: Desk, had: int) -> None:
    client_id = order(desk)
    desk.pass_time(LONG_MS)
    reading = Busy(desk)
    for number in range(3):
        if number == had:
            reading.asks()
        desk.pass_time(50)
        desk.fill(client_id, "0.00002")
    if had == 3:
        reading.asks()
    assert agreed(reading.ends())


def test_a_later_trade_is_not_in_the_balances_without_an_earlier_one(desk: Desk) -> None:
    client_id = order(desk)
    desk.pass_time(LONG_MS)
    reading = Busy(desk)
    desk.fill(client_id, "0.00002")
    desk.pass_time(50)
    desk.fill(client_id, "0.00003")
    # These have the second trade only.
    reading.balances = totals(USDT="98.2", BTC="0.00003")
    found = verdict(reading.ends())
    assert found is not None
    assert not found.clean
    assert {tuple(sorted(gap)) for gap in found.gaps} == {("BTC", "USDT")}


@pytest.mark.parametrize("first", [0, 1])
def test_trades_that_only_lists_tell_have_no_order_within_a_second(desk: Desk, first: int) -> None:
    client_id = order(desk)
    desk.pass_time(LONG_MS)
    reading = Busy(desk)
    fills = [unheard(desk, client_id, quantity) for quantity in ("0.00002", "0.00003")]
    reading.balances = totals(USDT=str(100 - fills[first].quote), BTC=str(fills[first].quantity))
    assert agreed(reading.ends())


def test_trades_that_only_lists_tell_are_in_the_order_of_their_seconds(desk: Desk) -> None:
    client_id = order(desk)
    desk.pass_time(LONG_MS)
    reading = Busy(desk)
    unheard(desk, client_id, "0.00002")
    desk.pass_time(1_000)
    later = unheard(desk, client_id, "0.00003")
    reading.balances = totals(USDT=str(100 - later.quote), BTC=str(later.quantity))
    assert not agreed(reading.ends())


def test_more_trades_of_a_second_than_can_be_tried_conclude_nothing(desk: Desk) -> None:
    client_id = order(desk)
    desk.pass_time(LONG_MS)
    reading = Busy(desk)
    for _ in range(cuts.MOST_UNORDERED + 1):
        unheard(desk, client_id, "0.000001")
    reading.balances = totals(USDT="99")
    assert verdict(reading.ends()) is None


def test_a_trade_of_a_younger_order_is_not_in_the_balances(desk: Desk) -> None:
    reading = Busy(desk)
    reading.asks()
    desk.pass_time(1)
    desk.fill(order(desk), "0.00009")
    reading.balances = desk.balances(MOCK)
    assert not agreed(reading.ends())


def test_a_trade_listed_before_the_balances_is_in_them(desk: Desk) -> None:
    client_id = order(desk)
    desk.pass_time(LONG_MS)
    reading = Busy(desk)
    old = desk.balances(MOCK)
    desk.fill(client_id, "0.00009")
    reading.lists()
    reading.balances = old
    assert not agreed(reading.ends())


def test_balances_older_than_the_trades_conclude_nothing(desk: Desk) -> None:
    client_id = order(desk)
    desk.fill(client_id, "0.00004")
    old = desk.balances(MOCK)
    desk.fill(client_id, "0.00005")
    reading = Busy(desk)
    reading.lists()
    reading.asks()
    reading.balances = old
    assert verdict(reading.ends()) is None
    desk.pass_time(cuts.LATE_MS + 1)
    reading = Busy(desk)
    reading.balances = old
    found = verdict(reading.ends())
    assert found is not None
    assert found.suspected == ("BTC: ours 0.00009, mock 0.00004", "USDT: ours 94.6, mock 97.6")


def test_an_account_that_stood_still_is_not_older_than_its_trades(desk: Desk) -> None:
    old = desk.balances(MOCK)
    client_id = order(desk)
    desk.fill(client_id, "0.00004")
    reading = Busy(desk)
    desk.fill(client_id, "0.00005")
    reading.balances = old
    found = verdict(reading.ends(later=(), still=True))
    assert found is not None
    assert found.suspected


def test_a_reading_that_took_longer_than_trades_are_kept_concludes_nothing(desk: Desk) -> None:
    reading = Busy(desk)
    desk.fill(order(desk), "0.00009")
    ledger = desk.state.ledger(MOCK)
    desk.state = evolve(desk.state, ledgers=desk.state.ledgers.set(MOCK, evolve(ledger, recent=())))
    assert verdict(reading.ends(later=())) is None


def test_the_latest_trades_are_kept(desk: Desk) -> None:
    client_id = order(desk)
    for _ in range(KEPT + 3):
        desk.fill(client_id, "0.0000001")
    kept = desk.state.ledger(MOCK).recent
    booked = desk.state.ledger(MOCK).fills_booked
    assert [one.number for one in kept] == list(range(booked - KEPT + 1, booked + 1))


# What no moment explains


def test_money_that_goes_with_a_trade_in_flight_is_seen_at_once(desk: Desk) -> None:
    client_id = order(desk)
    desk.pass_time(LONG_MS)
    reading = Busy(desk)
    fill = desk.fill(client_id, "0.00009")
    # As much money went as the trade cost. What was bought is there, or it is not.
    for btc in ("0.00009", "0"):
        reading.balances = totals(USDT=str(100 - fill.quote - (fill.quote if btc != "0" else 0)), BTC=btc)
        assert not agreed(reading.ends())


def test_what_equals_a_trade_in_flight_is_a_break_two_readings_later(desk: Desk) -> None:
    client_id = order(desk)
    desk.pass_time(LONG_MS)
    unchanged = desk.balances(MOCK)
    stages = []
    for number in range(3):
        reading = Busy(desk)
        if not number:
            desk.fill(client_id, "0.00009")
        # The trade never gets into the account.
        reading.balances = unchanged
        found = verdict(reading.ends())
        assert found is not None
        stages.append((found.clean, bool(found.breaks), desk.state.position.stage))
        desk.pass_time(LONG_MS)
    assert stages == [(True, False, Stage.MOCK), (False, False, Stage.MOCK), (False, True, Stage.HALTED)]


def test_a_difference_stays_the_same_while_both_sides_trade(desk: Desk) -> None:
    client_id = order(desk)
    shown = []
    for _ in range(2):
        reading = Busy(desk)
        desk.fill(client_id, "0.00002")
        desk.pass_time(50)
        desk.fill(client_id, "0.00001")
        reading.asks()
        reading.balances["USDT"] = Balance("USDT", reading.balances["USDT"].free - 1, D(0))
        found = verdict(reading.ends())
        assert found is not None
        shown.append((found.suspected, found.breaks))
        desk.pass_time(LONG_MS)
    first, second = ("USDT: ours 98.2, mock 97.2",), ("USDT: ours 96.4, mock 95.4",)
    assert shown == [(first, ()), (second, second)]


def test_a_part_of_a_difference_that_lasts_is_a_break() -> None:
    def gaps(*found: dict[str, int]) -> list[Map[str, Decimal]]:
        return [Map({asset: D(amount) for asset, amount in gap.items()}) for gap in found]

    before = gaps({"BTC": 1, "USDT": 5}, {"BTC": 2, "USDT": 6})
    assert cuts.lasting(gaps({"BTC": 1, "USDT": 5}), before) == Map({"BTC": D(1), "USDT": D(5)})
    assert cuts.lasting(gaps({"BTC": 2, "USDT": 7}), before) == Map({"BTC": D(2)})
    assert cuts.lasting(gaps({"BTC": 2}, {"USDT": 7}), before) == Map()
    assert cuts.lasting(gaps({"BTC": 3}), ()) == Map()


def test_a_trade_booked_twice_is_found_in_the_orders_of_a_busy_account(desk: Desk) -> None:
    client_id = order(desk)
    desk.fill(client_id, "0.00003")
    desk.pass_time(LONG_MS)
    reading = Busy(desk)
    desk.fill(client_id, "0.00002")
    reading.asks()
    # The list of orders may be older than the trade of this reading, and not older than the one before.
    assert agreed(reading.ends(desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00003")))
    desk.pass_time(LONG_MS)
    found = verdict(Busy(desk).ends(desk.report(client_id, OrderStatus.PARTIALLY_FILLED, "0.00003")))
    assert found is not None
    assert found.suspected == (f"{client_id}: booked 0.00005, executed 0.00003 on mock",)


# Several symbols


def moved(number: int, symbol: str, **changed: int) -> Movement:
    changes = Map({asset: D(amount) for asset, amount in changed.items()})
    at = Millis(START + number * 10)
    return Movement(number, f"C{number} T{number}", "", symbol, D(1), changes, at, at, whole_second=False)


def read_of(desk: Desk, recent: tuple[Movement, ...], start: dict[str, int], **found: int) -> cuts.Verdict:
    """The verdict on balances, of which ``recent`` were booked during the reading on top of ``start``."""
    ours: Map[str, Decimal] = Map({asset: D(amount) for asset, amount in start.items()})
    for one in recent:
        for asset, amount in one.changes.items():
            ours = ours.set(asset, ours.get(asset, D(0)) + amount)
    ledger = evolve(desk.state.ledger(MOCK), totals=ours, recent=recent, fills_booked=len(recent))
    state: State = evolve(desk.state, ledgers=desk.state.ledgers.set(MOCK, ledger))
    snapshot = i.AccountSnapshot((), (), totals(**{asset: str(amount) for asset, amount in found.items()}))
    reading = i.AccountRead(MOCK, snapshot, 0, Millis(START + LONG_MS), still=False)
    return cuts.compare(state, reading, [], quiet=False)


TWO = (moved(1, "BTCUSDT", BTC=1, USDT=-7), moved(2, "ETHUSDT", ETH=1, USDT=-5), moved(3, "BTCUSDT", BTC=1, USDT=-8))


@pytest.mark.parametrize(("btc", "eth", "usdt"), [(0, 0, 100), (1, 0, 93), (0, 1, 95), (1, 1, 88), (2, 0, 85), (2, 1, 80)])
def test_each_symbol_is_at_a_moment_of_its_own(desk: Desk, btc: int, eth: int, usdt: int) -> None:
    assert read_of(desk, TWO, {"USDT": 100}, BTC=btc, ETH=eth, USDT=usdt) == cuts.Verdict(agrees=True)


def test_no_two_moments_of_symbols_explain_money_that_is_missing(desk: Desk) -> None:
    found = read_of(desk, TWO, {"USDT": 100}, BTC=1, ETH=0, USDT=92)
    assert found.concluded
    assert Map({"USDT": D(-1)}) in found.gaps
    assert len(found.gaps) == 6


def test_an_asset_that_no_trade_changed_is_compared_too(desk: Desk) -> None:
    found = read_of(desk, TWO, {"USDT": 100, "MX": 4}, MX=3, USDT=100)
    assert all(gap["MX"] == -1 for gap in found.gaps)
    assert found.gaps[0] == Map({"MX": D(-1)})


def test_many_trades_of_many_symbols_are_compared(desk: Desk) -> None:
    names = ("BTC", "ETH", "SOL", "XRP")
    recent = tuple(moved(4 * n + k, f"{one}USDT", **{one: 1, "USDT": -k - 2}) for n in range(50) for k, one in enumerate(names, 1))
    had = {"BTC": 5, "ETH": 50, "SOL": 7, "XRP": 0}
    spent = sum((names.index(one) + 3) * count for one, count in had.items())
    assert read_of(desk, recent, {"USDT": 9_000}, USDT=9_000 - spent, **had) == cuts.Verdict(agrees=True)
    assert read_of(desk, recent, {"USDT": 9_000}, USDT=8_999 - spent, **had).gaps == (Map({"USDT": D(-1)}),)


def test_more_cuts_than_can_be_tried_never_count_as_agreement(desk: Desk) -> None:
    names = ("BTC", "ETH", "SOL", "XRP")
    recent = tuple(moved(4 * n + k, f"{one}USDT", **{one: 1, "USDT": -k - 2}) for n in range(50) for k, one in enumerate(names, 1))
    missing_coins = dict.fromkeys(names, -1)
    found = read_of(desk, recent, {"USDT": 9_000}, USDT=8_999, **missing_coins)
    assert (found.agrees, found.concluded) == (False, False)


# What has no id of ours yet


def nameless(desk: Desk) -> tuple[str, OrderReport]:
    """An order that is being answered, as a list without our ids shows it."""
    decision = desk.order("0.00003")
    (place,) = [effect for effect in decision.effects if isinstance(effect, Place)]
    report = desk.report(place.intent.client_id, OrderStatus.NEW)
    return place.intent.client_id, replace(report, client_id="", order_id="C9")


def test_an_order_that_is_being_answered_is_pending_for_one_reading(desk: Desk) -> None:
    client_id, report = nameless(desk)
    found = verdict(Busy(desk).ends(report))
    assert found is not None
    assert (found.clean, found.suspected, found.pending) == (True, (), ("order C9 may be ours",))
    answered = desk.fork()
    answered.give(i.PlacementAnswered(client_id, Ack("C9", desk.now)))
    found = verdict(Busy(answered).ends(report))
    assert found is not None
    assert (found.clean, found.pending) == (True, ())
    found = verdict(Busy(desk).ends(report))
    assert found is not None
    assert (found.clean, found.suspected, found.pending) == (False, ("order C9 may be ours",), ())


def test_a_lost_order_is_no_order_that_is_being_answered(desk: Desk) -> None:
    desk.placed(desk.order("0.00003"), Unknown("time-out"))
    _, report = nameless(desk)
    found = verdict(Busy(desk).ends(report))
    assert found is not None
    assert (found.clean, found.pending) == (False, ())


@pytest.mark.parametrize("is_in", [False, True])
def test_a_trade_of_an_order_that_is_being_answered_is_in_flight(desk: Desk, is_in: bool) -> None:
    client_id, _ = nameless(desk)
    fill = replace(desk.fork().fill(client_id, "0.00003"), client_id="", order_id="C9", trade_id="L1")
    reading = Busy(desk)
    desk.trades[MOCK].append(fill)
    if is_in:
        reading.asks()
    found = verdict(reading.ends())
    assert found is not None
    assert (found.clean, found.pending) == (True, ("trade L1 may be ours",))
    assert desk.state.ledger(MOCK).fills_booked == 0
    reading.balances["USDT"] = Balance("USDT", D(50), D(0))
    assert not agreed(reading.ends())


# Orders without an outcome


def test_a_lost_order_that_may_have_traded_is_an_open_question(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00009"), Unknown("time-out"))
    traded = totals(USDT="97.6", BTC="0.00004")
    for _ in range(3):
        reading = Busy(desk)
        reading.balances = traded
        found = verdict(reading.ends())
        assert found is not None
        assert (found.clean, found.breaks) == (False, ())
        assert found.suspected == (f"{client_id} may have traded: its outcome is not known",)
        desk.pass_time(3_000)
    # It was refused, so it did not trade, and the difference was there in the reading before.
    desk.give(
        i.LookupAnswered(client_id, replace(desk.report(client_id, OrderStatus.REJECTED), executed=D(0)), absent_everywhere=False)
    )
    reading = Busy(desk)
    reading.balances = traded
    reading.ends()
    assert desk.state.position.stage is Stage.HALTED


@pytest.mark.parametrize(
    ("usdt", "btc"), [("94.6", "0"), ("100", "0.00009"), ("94.0", "0.0001"), ("94", "0.00009"), ("103", "-0.00005")]
)
def test_a_lost_order_explains_only_what_it_could_have_traded(desk: Desk, usdt: str, btc: str) -> None:
    desk.placed(desk.order("0.00009"), Unknown("time-out"))
    for _ in range(2):
        reading = Busy(desk)
        reading.balances = totals(USDT=usdt, BTC=btc)
        reading.ends()
    assert desk.state.position.stage is Stage.HALTED


# What needs an account that stands still


def test_only_an_account_that_stood_still_is_a_baseline() -> None:
    desk = Desk()
    desk.boot()
    assert Busy(desk).ends().events == ()
    assert desk.state.ledger(MOCK).totals is None
    assert agreed(Busy(desk).ends(still=True))


def test_a_vanished_order_is_looked_up_after_a_busy_reading_too(desk: Desk) -> None:
    client_id = order(desk, "0.00003")
    desk.pass_time(3_000)
    assert LookUp(MOCK, SYMBOL, client_id) in Busy(desk).ends().effects


def test_a_busy_reading_admits_orders_like_any_other(desk: Desk) -> None:
    desk.pass_time(14_000)
    reading = Busy(desk)
    desk.fill(order(desk, "0.00003"), "0.00003")
    assert agreed(reading.ends())
    desk.pass_time(14_000)
    assert isinstance(desk.order("0.00003").reply, Admitted)
