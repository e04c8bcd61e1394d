"""An UNKNOWN order counts as never placed only when the look-ups, the account and a reading that is new enough all say so."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.absence import missing_proof
from controller.core.decisions.draft import Admitted, Decision
from controller.core.effects import ReadAccount
from controller.core.state import Drill
from exchange.mexc.rest import RECV_WINDOW
from exchange.model import Balance, Millis, OrderStatus, Side
from exchange.ports import Unknown, VenueName
from exchange.wire.signing import DEFAULT_RECV_WINDOW
from policies.drills import DrillKind
from policies.stage import Stage
from policies.values import replace as evolve
from tests.support.desk import RULES, SYMBOL, D, Desk

MOCK = VenueName.MOCK
GRACE_MS, LOOKUPS = 3_000, 3
HORIZON_MS = RECV_WINDOW + GRACE_MS


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def lost(desk: Desk, quantity: str = "0.00009") -> str:
    return desk.placed(desk.order(quantity), Unknown("time-out"))


def look(desk: Desk, client_id: str, times: int = LOOKUPS, *, asked_before_ms: int = 0) -> None:
    asked = replace(i.LookupAnswered(client_id, None, absent_everywhere=True), asked_at=desk.now - asked_before_ms)  # type: ignore[arg-type]
    for _ in range(times):
        desk.give(asked)


def reading(
    desk: Desk, *, hidden: str = "", with_fee: bool = True, started_before_ms: int = 0, leaves_out: tuple[str, ...] = ()
) -> i.AccountRead:
    """What the venue shows: every order it has acknowledged, and locked balances that also hold the order ``hidden``."""
    orders = [order for order in desk.state.open_on(MOCK) if order.status in {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}]
    locked = {"USDT": D(0), "BTC": D(0)}
    for order in (*orders, *([desk.state.orders[hidden]] if hidden else [])):
        assert order.quantity is not None
        assert order.price is not None
        left = order.quantity - order.executed
        if order.side is Side.BUY:
            locked["USDT"] += left * order.price * (1 + RULES.taker_fee if with_fee else 1)
        else:
            locked["BTC"] += left
    balances = {asset: Balance(asset, one.total - locked[asset], locked[asset]) for asset, one in desk.balances(MOCK).items()}
    reports = tuple(desk.report(one.client_id, one.status, str(one.executed)) for one in orders if one.client_id not in leaves_out)
    return i.AccountRead(
        MOCK,
        i.AccountSnapshot(reports, tuple(desk.trades[MOCK]), balances),
        fills_before=desk.state.ledger(MOCK).fills_booked,
        started_at=desk.now - started_before_ms,  # type: ignore[arg-type]
        fees={SYMBOL: RULES.taker_fee},
    )


def status(desk: Desk, client_id: str) -> OrderStatus:
    return desk.state.orders[client_id].status


def proven(desk: Desk) -> tuple[str, str]:
    """An order for which every proof but the reading is there, and a later order that the reading can show."""
    client_id = lost(desk)
    desk.pass_time(HORIZON_MS)
    look(desk, client_id)
    return client_id, desk.placed(desk.order("0.00003"))


# With every proof


@pytest.mark.parametrize("with_fee", [True, False])
def test_an_order_is_released_when_every_proof_is_there(desk: Desk, with_fee: bool) -> None:
    client_id, _ = proven(desk)
    decision = desk.give(reading(desk, with_fee=with_fee))
    assert status(desk, client_id) is OrderStatus.REJECTED
    (event,) = [event for event in decision.events if isinstance(event, e.OrderRejected)]
    assert (event.code, event.client_id) == (-2013, client_id)
    assert isinstance(desk.order("0.00009").reply, Admitted)


def test_a_trade_of_a_later_order_proves_a_reading_new_as_well(desk: Desk) -> None:
    client_id, later = proven(desk)
    desk.fill(later, "0.00003")
    desk.give(i.VenueReported(MOCK, desk.report(later, OrderStatus.FILLED, "0.00003")))
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.REJECTED


def an_older_order_trades(
    desk: Desk, after_ms: int, *, clock_is_judged: bool = True, then: Callable[[Desk], None] | None = None
) -> str:
    """A lost order, and a trade of an older one that the venue dates so long after the horizon of the lost one."""
    older = desk.placed(desk.order("0.00003"))
    desk.pass_time(1_000)
    client_id = lost(desk, "0.00005")
    horizon = desk.now + HORIZON_MS
    desk.pass_time(HORIZON_MS + 2_000)
    if clock_is_judged:
        desk.tick()
    look(desk, client_id)
    if then is not None:
        then(desk)
    desk.fill(older, "0.00001")
    desk.give(i.VenueReported(MOCK, desk.report(older, OrderStatus.PARTIALLY_FILLED, "0.00001")))
    desk.trades[MOCK] = [replace(one, at=Millis(horizon + after_ms)) for one in desk.trades[MOCK]]
    desk.give(reading(desk))
    return client_id


def test_a_trade_dated_after_the_horizon_proves_a_reading_new(desk: Desk) -> None:
    limit = desk.policy.guards.clock_offset.halt_ms
    assert status(desk, an_older_order_trades(desk, limit + 1)) is OrderStatus.REJECTED


def test_a_trade_within_the_difference_of_the_clocks_proves_nothing(desk: Desk) -> None:
    limit = desk.policy.guards.clock_offset.halt_ms
    assert status(desk, an_older_order_trades(desk, limit)) is OrderStatus.UNKNOWN


def test_a_dated_trade_proves_nothing_while_the_clock_is_not_judged(desk: Desk) -> None:
    limit = desk.policy.guards.clock_offset.halt_ms
    client_id = an_older_order_trades(desk, limit + 1, clock_is_judged=False)
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def in_a_drill_of_the_clock(desk: Desk) -> None:
    drill = Drill("C", MOCK, Stage.MOCK, desk.now, Millis(desk.now + 60_000), kind=DrillKind.CLOCK, latched=False)
    desk.state = evolve(desk.state, drill=drill)


def halted(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))


@pytest.mark.parametrize("then", [in_a_drill_of_the_clock, halted])
def test_a_dated_trade_proves_nothing_where_no_clock_halts(desk: Desk, then: Callable[[Desk], None]) -> None:
    client_id = an_older_order_trades(desk, desk.policy.guards.clock_offset.halt_ms + 1, then=then)
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_a_partly_filled_order_locks_only_the_rest(desk: Desk) -> None:
    client_id, later = proven(desk)
    desk.fill(later, "0.00001")
    desk.give(i.VenueReported(MOCK, desk.report(later, OrderStatus.PARTIALLY_FILLED, "0.00001")))
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.REJECTED


def test_a_sell_that_never_existed_is_released(desk: Desk) -> None:
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    client_id = desk.placed(desk.order("0.00005", side=Side.SELL), Unknown("time-out"))
    desk.pass_time(HORIZON_MS)
    desk.sweep(MOCK)
    look(desk, client_id)
    desk.placed(desk.order("0.00004", side=Side.SELL))
    held = desk.fork()
    held.give(reading(held, hidden=client_id))
    assert status(held, client_id) is OrderStatus.UNKNOWN
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.REJECTED


def test_several_lost_orders_are_released_by_one_reading(desk: Desk) -> None:
    both = [lost(desk, "0.00004"), lost(desk, "0.00004")]
    desk.pass_time(HORIZON_MS)
    for client_id in both:
        look(desk, client_id)
    desk.placed(desk.order("0.00003"))
    desk.give(reading(desk))
    assert [status(desk, client_id) for client_id in both] == [OrderStatus.REJECTED] * 2


# A reading while there is something to see


def reads(decision: Decision) -> list[ReadAccount]:
    return [effect for effect in decision.effects if isinstance(effect, ReadAccount)]


def test_an_order_that_is_young_enough_is_read_at_once(desk: Desk) -> None:
    proven(desk)
    assert reads(desk.decisions[-1]) == [ReadAccount(MOCK)]


def test_a_short_order_between_two_sweeps_is_a_proof(desk: Desk) -> None:
    """A bot that cancels every order after half a second shows nothing to most of the sweeps, which come every three seconds."""
    client_id, later = proven(desk)
    assert reads(desk.decisions[-1])
    desk.pass_time(40)
    desk.give(reading(desk))
    desk.give(i.CancelAsked("demo-bot", later))
    assert status(desk, client_id) is OrderStatus.REJECTED


def test_the_last_look_up_has_a_young_order_read(desk: Desk) -> None:
    client_id = lost(desk, "0.00005")
    desk.pass_time(HORIZON_MS)
    look(desk, client_id, LOOKUPS - 1)
    desk.placed(desk.order("0.00003"))
    assert not reads(desk.decisions[-1])
    look(desk, client_id, 1)
    assert reads(desk.decisions[-1]) == [ReadAccount(MOCK)]


def test_nothing_is_read_for_an_order_from_before_the_horizon(desk: Desk) -> None:
    client_id = lost(desk, "0.00005")
    desk.pass_time(HORIZON_MS - 1)
    desk.placed(desk.order("0.00003"))
    desk.pass_time(1)
    look(desk, client_id)
    assert not any(map(reads, desk.decisions))


def test_nothing_is_read_for_an_order_that_is_being_cancelled(desk: Desk) -> None:
    client_id, later = proven(desk)
    desk.give(i.CancelAsked("demo-bot", later))
    look(desk, client_id, 1)
    assert not reads(desk.decisions[-1])


def test_nothing_is_read_for_an_order_that_is_not_at_the_venue(desk: Desk) -> None:
    client_id = lost(desk, "0.00005")
    desk.pass_time(HORIZON_MS)
    desk.order("0.00003")
    look(desk, client_id)
    assert not any(map(reads, desk.decisions))


def test_nothing_is_read_when_no_outcome_is_unknown(desk: Desk) -> None:
    client_id, _ = proven(desk)
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.REJECTED
    desk.placed(desk.order("0.00002"))
    assert not reads(desk.decisions[-1])


# Without one of them


def test_look_ups_alone_release_nothing(desk: Desk) -> None:
    client_id, _ = proven(desk)
    look(desk, client_id, 50)
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_too_few_look_ups_release_nothing(desk: Desk) -> None:
    client_id = lost(desk)
    desk.pass_time(HORIZON_MS)
    look(desk, client_id, LOOKUPS - 1)
    desk.placed(desk.order("0.00003"))
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_look_ups_while_the_order_could_still_arrive_release_nothing(desk: Desk) -> None:
    client_id = lost(desk)
    desk.pass_time(HORIZON_MS)
    look(desk, client_id, asked_before_ms=1)
    desk.placed(desk.order("0.00003"))
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_a_reading_that_began_before_the_horizon_releases_nothing(desk: Desk) -> None:
    client_id, _ = proven(desk)
    desk.give(reading(desk, started_before_ms=1))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_an_account_that_locks_more_than_our_known_orders_releases_nothing(desk: Desk) -> None:
    client_id, _ = proven(desk)
    desk.give(reading(desk, hidden=client_id))
    assert status(desk, client_id) is OrderStatus.UNKNOWN
    assert not isinstance(desk.order("0.00009").reply, Admitted)


def test_an_account_that_locks_less_than_our_known_orders_releases_nothing(desk: Desk) -> None:
    client_id, later = proven(desk)
    shown = reading(desk)
    free = replace(shown.snapshot, balances=desk.balances(MOCK))
    desk.give(replace(shown, snapshot=free))
    assert status(desk, client_id) is OrderStatus.UNKNOWN
    assert status(desk, later) is OrderStatus.NEW


def test_an_order_does_not_hide_in_the_fees_of_the_others(desk: Desk) -> None:
    client_id = lost(desk, "0.00002")
    desk.pass_time(HORIZON_MS)
    look(desk, client_id)
    desk.placed(desk.order("0.00009"))
    dear = replace(reading(desk, hidden=client_id), fees={SYMBOL: D("0.5")})
    desk.give(dear)
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_a_lock_in_an_asset_of_which_we_know_nothing_releases_nothing(desk: Desk) -> None:
    client_id, _ = proven(desk)
    shown = reading(desk)
    usdt = shown.snapshot.balances["USDT"]
    for asset, balance in (("BTC", Balance("BTC", D("-0.1"), D("0.1"))), ("USDT", replace(usdt, locked=D(9), free=usdt.total - 9))):
        strange = replace(shown.snapshot, balances={**shown.snapshot.balances, asset: balance})
        desk.give(replace(shown, snapshot=strange))
        assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_unknown_fees_release_nothing(desk: Desk) -> None:
    client_id, _ = proven(desk)
    desk.give(replace(reading(desk), fees={}))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_a_reading_that_could_be_older_than_the_order_releases_nothing(desk: Desk) -> None:
    client_id = lost(desk)
    desk.pass_time(HORIZON_MS)
    look(desk, client_id)
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_an_order_from_before_the_horizon_does_not_prove_a_reading_new(desk: Desk) -> None:
    client_id = lost(desk, "0.00005")
    desk.pass_time(HORIZON_MS - 1)
    desk.placed(desk.order("0.00003"))
    desk.pass_time(1)
    look(desk, client_id)
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_a_reading_that_leaves_out_a_known_order_releases_nothing(desk: Desk) -> None:
    older = desk.placed(desk.order("0.00002"))
    client_id, _ = proven(desk)
    desk.give(reading(desk, leaves_out=(older,)))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_an_order_that_is_being_cancelled_makes_its_lock_uncertain(desk: Desk) -> None:
    client_id, later = proven(desk)
    desk.give(i.CancelAsked("demo-bot", later))
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_an_order_that_changed_during_the_reading_makes_its_lock_uncertain(desk: Desk) -> None:
    client_id, later = proven(desk)
    desk.pass_time(1_000)
    desk.give(i.VenueReported(MOCK, desk.report(later, OrderStatus.PARTIALLY_FILLED, "0.00001")))
    desk.give(reading(desk, started_before_ms=1))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_an_order_on_its_way_releases_nothing(desk: Desk) -> None:
    client_id, _ = proven(desk)
    desk.order("0.00002")
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_an_account_that_did_not_stand_still_releases_nothing(desk: Desk) -> None:
    client_id, _ = proven(desk)
    desk.give(replace(reading(desk), still=False))
    assert desk.state.ledger(MOCK).clean
    assert status(desk, client_id) is OrderStatus.UNKNOWN
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.REJECTED


def test_a_reading_with_a_trade_in_flight_releases_nothing(desk: Desk) -> None:
    client_id, younger = proven(desk)
    shown = reading(desk)
    desk.fill(younger, "0.00001")
    desk.give(shown)
    assert desk.state.ledger(MOCK).clean
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_books_that_do_not_agree_release_nothing(desk: Desk) -> None:
    client_id, _ = proven(desk)
    shown = reading(desk)
    less = {**shown.snapshot.balances, "USDT": replace(shown.snapshot.balances["USDT"], free=D(1))}
    desk.give(replace(shown, snapshot=replace(shown.snapshot, balances=less)))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


def test_an_order_that_traded_is_never_released(desk: Desk) -> None:
    client_id, _ = proven(desk)
    desk.fill(client_id, "0.00003")
    look(desk, client_id)
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.UNKNOWN


# What is missing, in words


def why(desk: Desk, client_id: str) -> str:
    return missing_proof(desk.state, desk.state.orders[client_id], desk.now).removeprefix(f"order {client_id}: not proven absent ")


def test_what_is_missing_is_said_proof_by_proof(desk: Desk) -> None:
    client_id = lost(desk, "0.00005")
    desk.pass_time(HORIZON_MS - 1)
    assert why(desk, client_id) == "because it can still arrive for 1 ms"
    desk.pass_time(1)
    look(desk, client_id, LOOKUPS - 1)
    assert why(desk, client_id) == "because 2 look-ups found nothing, of 3, and one has to begin in the last 0 ms"
    look(desk, client_id, 1)
    desk.pass_time(100)
    none = "because no reading that agrees shows an order of ours, or a trade, from the last 100 ms"
    assert why(desk, client_id) == none
    shown = reading(desk)
    less = {**shown.snapshot.balances, "USDT": replace(shown.snapshot.balances["USDT"], free=D(1))}
    desk.give(replace(shown, snapshot=replace(shown.snapshot, balances=less)))
    assert why(desk, client_id).startswith("because the account does not agree: USDT: ours ")
    desk.give(reading(desk))
    assert why(desk, client_id) == none
    desk.placed(desk.order("0.00003"))
    desk.give(reading(desk))
    assert missing_proof(desk.state, desk.state.orders[client_id], desk.now) == ""


def test_what_is_missing_after_a_halt_is_time(desk: Desk) -> None:
    client_id = lost(desk)
    desk.give(i.HaltAsked("test", "stop"))
    wait = desk.policy.guards.unknown_order.max_age_ms
    desk.pass_time(HORIZON_MS + wait - 1)
    look(desk, client_id)
    desk.give(reading(desk))
    time = "because nothing is admitted there that could show a reading to be new, so 1 ms more have to pass"
    assert why(desk, client_id) == time
    desk.pass_time(1)
    assert why(desk, client_id) == "because no reading that began late enough agrees yet"
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.REJECTED


def test_an_order_that_traded_is_said_to_have_traded(desk: Desk) -> None:
    client_id = lost(desk)
    desk.fill(client_id, "0.00003")
    assert why(desk, client_id) == "because 0.00003 of it traded"


# Halted, and afterwards


def test_a_halted_deployment_releases_an_order_only_much_later(desk: Desk) -> None:
    client_id = lost(desk)
    desk.give(i.HaltAsked("test", "stop"))
    longest = HORIZON_MS + desk.policy.guards.unknown_order.max_age_ms
    desk.pass_time(longest - 1)
    look(desk, client_id)
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.UNKNOWN
    desk.pass_time(1)
    desk.give(reading(desk))
    assert status(desk, client_id) is OrderStatus.REJECTED


def test_an_order_that_cannot_be_proven_absent_halts_and_stays_reserved(desk: Desk) -> None:
    client_id = lost(desk)
    for _ in range(31):
        desk.pass_time(1_000)
        look(desk, client_id, 1)
        desk.give(reading(desk))
        desk.tick()
    assert desk.state.position.stage is Stage.HALTED
    assert status(desk, client_id) is OrderStatus.UNKNOWN


@pytest.mark.parametrize("traded", [False, True])
def test_an_order_that_shows_up_after_its_release_is_booked_and_halts(desk: Desk, traded: bool) -> None:
    client_id, _ = proven(desk)
    desk.give(reading(desk))
    if traded:
        desk.fill(client_id, "0.00003")
        assert desk.state.orders[client_id].booked == D("0.00003")
    else:
        desk.give(i.VenueReported(MOCK, desk.report(client_id, OrderStatus.NEW)))
        assert status(desk, client_id) is OrderStatus.NEW
    assert (desk.state.position.stage, desk.state.halt_cause) == (Stage.HALTED, "integrity")


def test_the_horizon_covers_the_window_that_our_requests_name() -> None:
    assert DEFAULT_RECV_WINDOW >= RECV_WINDOW


def test_a_look_up_of_an_older_journal_counts_as_made_before_the_horizon() -> None:
    event = event_codec.decode("lookup-missed", b'{"client_id":"gh-1"}')
    assert event == e.LookupMissed(client_id="gh-1", asked_at=0)
