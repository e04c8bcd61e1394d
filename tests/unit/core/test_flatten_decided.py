"""A flatten sells what gatehouse bought and nothing else, one order at a time, also while HALTED, and says what is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted
from controller.core.decisions.drills import HALT_DRILL
from controller.core.effects import AlertKind, Cancel, CancelAll, Latch, Place
from controller.core.fold.flatten import SELLER
from controller.core.lifecycle import Position
from exchange.errors import Refused
from exchange.model import Balance, OrderStatus, OrderType, Side
from exchange.ports import NOT_SENT, Ack, Rejected, Unknown, VenueName
from policies.authority import Verb
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import RULES, SYMBOL, D, Desk, with_policy
from tests.support.flattening import EVERY_MS, all_of, answer, flatten, held, hold, let_go, none_of, play, sales

SMALL_SLICES = with_policy(flatten={"slice_eur_max": D(2), "widen_bps": (D(10),), "every_ms": 500, "give_up_after_ms": 60_000})


@pytest.fixture(scope="module")
def trading() -> Desk:
    """LIVE_€10 with 0.00013 BTC bought, worth 7.8 USDT."""
    return hold(Desk().walk_to(Stage.LIVE_EUR10), "0.00008", "0.00005")


@pytest.fixture
def live(trading: Desk) -> Desk:
    return trading.fork()


@pytest.fixture
def halted(live: Desk) -> Desk:
    live.give(i.HaltAsked("operator", "enough"))
    return live


def step(desk: Desk) -> None:
    desk.pass_time(EVERY_MS)
    desk.tick()


def begun(desk: Desk) -> Desk:
    """A signed flatten whose venue has shown that it is empty."""
    assert flatten(desk).code == ""
    desk.sweep_all()
    return desk


def refused(desk: Desk, verb: Verb, subject: str) -> str:
    with pytest.raises(Refused) as error:
        desk.command(verb, desk.state.position, subject=subject)
    return error.value.code


# What it does


def test_one_signature_sells_everything_bought_while_halted(halted: Desk) -> None:
    assert flatten(halted, "all", "alice").code == ""
    play(halted)
    assert (held(halted), halted.state.flatten, halted.state.position.stage) == (D(0), None, Stage.HALTED)


def test_a_flatten_runs_at_a_trading_stage_too_and_the_stage_stays(live: Desk) -> None:
    assert flatten(live).code == ""
    play(live)
    assert (held(live), live.state.position) == (D(0), Position(Stage.LIVE_EUR10))


def test_a_flatten_of_one_symbol_names_it(halted: Desk) -> None:
    assert flatten(halted, SYMBOL).code == ""
    play(halted)
    assert held(halted) == 0


def test_the_person_who_may_only_halt_cannot_sell(halted: Desk) -> None:
    assert flatten(halted, "all", "carol").code == "under-quorum"


def test_the_orders_are_ioc_sales_under_a_name_that_no_bot_can_have(halted: Desk) -> None:
    begun(halted)
    step(halted)
    (sale,) = sales(halted)
    assert (sale.side, sale.type, sale.symbol) == (Side.SELL, OrderType.IMMEDIATE_OR_CANCEL, SYMBOL)
    assert halted.state.orders[sale.client_id].bot == SELLER
    assert ":" in SELLER


def test_it_cancels_first_and_sends_nothing_while_an_order_is_open(live: Desk) -> None:
    resting = live.placed(live.order("0.000022", "59500"))
    flatten(live)
    assert [type(effect) for effect in live.decisions[-1].effects[:1]] == [CancelAll]
    for _ in range(5):
        step(live)
    assert sales(live) == []
    live.sweep(VenueName.LIVE, orders=(live.report(resting, OrderStatus.NEW),))
    step(live)
    assert sales(live) == []
    live.give(i.VenueReported(VenueName.LIVE, live.report(resting, OrderStatus.CANCELED)))
    live.sweep(VenueName.LIVE)
    step(live)
    assert len(sales(live)) == 1


def test_a_venue_without_orders_must_also_be_seen_empty_first(halted: Desk) -> None:
    flatten(halted)
    for _ in range(3):
        step(halted)
    assert halted.state.flatten is not None
    assert (sales(halted), halted.state.flatten.waits_rule) == ([], "cancels")
    halted.sweep(VenueName.LIVE)
    step(halted)
    assert len(sales(halted)) == 1


def test_one_order_at_a_time(halted: Desk) -> None:
    halted.state = replace(halted.state, policy=SMALL_SLICES)
    begun(halted)
    for _ in range(5):
        step(halted)
    (sale,) = sales(halted)
    answer(halted, sale, all_of(sale))
    step(halted)
    assert len(sales(halted)) == 2


def test_the_next_order_waits_for_its_time(halted: Desk) -> None:
    begun(halted)
    step(halted)
    answer(halted, sales(halted)[0], D(0))
    halted.pass_time(EVERY_MS - 1)
    halted.tick()
    assert len(sales(halted)) == 1
    halted.pass_time(1)
    halted.tick()
    assert len(sales(halted)) == 2


def test_each_order_is_worth_at_most_the_slice_of_the_policy(live: Desk) -> None:
    live.state = replace(live.state, policy=SMALL_SLICES)
    flatten(live)
    play(live)
    notionals = [sale.quantity * sale.price for sale in sales(live)]  # type: ignore[operator]
    assert len(notionals) >= 4
    assert all(notional <= 2 * SMALL_SLICES.eur_rate.quote_per_eur for notional in notionals)
    assert held(live) == 0


def test_an_order_that_the_market_did_not_take_is_followed_by_a_wider_one(halted: Desk) -> None:
    begun(halted)
    play(halted, none_of, ticks=6)
    bid = halted.price - D("0.5")
    assert [round((1 - sale.price / bid) * 10_000) for sale in sales(halted)[:6]] == [5, 10, 20, 35, 35, 35]  # type: ignore[operator]


def test_an_order_taken_whole_leads_back_to_the_first_distance(live: Desk) -> None:
    begun(live)
    step(live)
    answer(live, sales(live)[0], D(0))
    step(live)
    answer(live, sales(live)[1], all_of(sales(live)[1]))
    step(live)
    assert sales(live)[2].price == sales(live)[0].price


def test_an_order_that_was_never_sent_is_not_followed_by_a_wider_one(halted: Desk) -> None:
    begun(halted)
    step(halted)
    halted.give(i.PlacementAnswered(sales(halted)[0].client_id, Rejected(NOT_SENT, "not sent")))
    step(halted)
    first, second = sales(halted)
    assert (first.price, first.client_id != second.client_id) == (second.price, True)


def test_an_unknown_outcome_holds_the_next_order_up_until_it_is_proven(halted: Desk) -> None:
    begun(halted)
    step(halted)
    (sale,) = sales(halted)
    halted.give(i.PlacementAnswered(sale.client_id, Unknown("no reply")))
    for _ in range(6):
        step(halted)
    assert halted.state.flatten is not None
    assert (len(sales(halted)), halted.state.flatten.waits_rule) == (1, "unknown-order")
    halted.give(i.LookupAnswered(sale.client_id, halted.report(sale.client_id, OrderStatus.CANCELED), absent_everywhere=False))
    step(halted)
    assert len(sales(halted)) == 2


def test_the_rest_is_never_split_into_something_too_small_to_sell() -> None:
    """7.2 USDT are held and a slice may be worth 6.54 USDT: the rest of 0.66 could not be sold."""
    desk = hold(Desk().walk_to(Stage.LIVE_EUR10), "0.00006", "0.00006")
    flatten(desk)
    play(desk)
    assert ([sale.quantity for sale in sales(desk)], held(desk)) == ([D("0.00006"), D("0.00006")], D(0))


# What it never sells


def test_what_the_account_held_before_stays() -> None:
    desk = Desk(btc="0.00003").walk_to(Stage.LIVE_EUR10)
    assert refused(desk, Verb.FLATTEN, "all") == "nothing-to-sell"
    hold(desk, "0.00005")
    flatten(desk)
    play(desk)
    assert held(desk) == D("0.00003")


def test_what_was_sold_of_the_old_holding_counts_against_what_is_bought() -> None:
    """A journal of an earlier version: there a bot could sell what the account had before."""
    desk = Desk(btc="0.00003").walk_to(Stage.LIVE_EUR10)
    ledger = desk.state.ledger(VenueName.LIVE)
    sold = replace(ledger, bought=ledger.bought.set("BTC", D("-0.00003")))
    desk.state = replace(desk.state, ledgers=desk.state.ledgers.set(VenueName.LIVE, sold))
    hold(desk, "0.00005")
    flatten(desk)
    play(desk)
    assert held(desk) == D("0.00006")


def test_what_the_bot_sold_again_is_not_sold_a_second_time(trading: Desk) -> None:
    desk = trading.fork()
    ledger = desk.state.ledger(VenueName.LIVE)
    assert ledger.bought["BTC"] == held(desk) == D("0.00013")
    let_go(desk, "0.00008", "0.00005")
    assert desk.state.ledger(VenueName.LIVE).bought["BTC"] == 0
    assert refused(desk, Verb.FLATTEN, "all") == "nothing-to-sell"


@pytest.mark.parametrize(
    ("market", "rule"),
    [
        ("old", "BTCUSDT quote"),
        ("missing", "BTCUSDT quote"),
        ("crossed", "BTCUSDT quote"),
        ("no rules", "BTCUSDT symbol-rules"),
        ("no sales", "BTCUSDT symbol-rules"),
    ],
)
def test_a_market_that_cannot_be_trusted_stops_the_orders_and_is_named(halted: Desk, market: str, rule: str) -> None:
    begun(halted)
    halted.pass_time(EVERY_MS)
    shown = halted.market(age_ms=2_001 if market == "old" else 0, quoted=market != "missing")
    if market == "crossed":
        quote = shown.quotes[SYMBOL]
        shown = replace(shown, quotes={SYMBOL: replace(quote, bid=quote.ask + 1)})
    if market.startswith("no "):
        shown = replace(shown, rules={} if market == "no rules" else {SYMBOL: replace(RULES, sell_allowed=False)})
    for _ in range(3):
        halted.give(i.Tick(markets={VenueName.LIVE: shown}))
    waiting = halted.state.flatten
    assert waiting is not None
    assert (sales(halted), waiting.waits_rule, waiting.waits_since) == ([], rule, halted.now)
    assert len(halted.events(e.FlattenWaits)) == 1
    step(halted)
    assert len(sales(halted)) == 1


def test_a_feed_that_shows_nothing_at_all_stops_the_orders(halted: Desk) -> None:
    begun(halted)
    halted.pass_time(EVERY_MS)
    halted.give(i.Tick(markets={}))
    assert sales(halted) == []
    assert halted.state.flatten is not None
    assert halted.state.flatten.waits_rule == "BTCUSDT symbol-rules"


def test_books_in_doubt_stop_the_orders(halted: Desk) -> None:
    begun(halted)
    halted.sweep(VenueName.LIVE, balances={"USDT": Balance("USDT", D(1), D(0))})
    step(halted)
    assert sales(halted) == []


# Its end


def test_it_ends_saying_what_was_sold_and_what_is_left_and_calls_a_person(halted: Desk) -> None:
    begun(halted)
    halted.price = D("6000")  # what is held is worth 0.78 USDT now, below the venue's minimum of 1
    step(halted)
    record = halted.state.last_flatten
    assert record is not None
    assert (record.complete, dict(record.left)) == (True, {SYMBOL: D("0.00013")})
    assert "worth less than the venue's minimum" in record.why
    assert [alert.kind for alert in halted.state.alerts][-1] is AlertKind.FLATTEN
    assert any(getattr(effect, "kind", None) is AlertKind.FLATTEN for effect in halted.decisions[-1].effects)


def test_it_gives_up_in_time_and_says_what_it_waited_for(halted: Desk) -> None:
    begun(halted)
    halted.pass_time(EVERY_MS)
    halted.tick(quoted=False)
    halted.pass_time(120_000)
    halted.tick(quoted=False)
    record = halted.state.last_flatten
    assert record is not None
    assert (record.complete, record.left[SYMBOL]) == (False, D("0.00013"))
    assert "gave up after 120 s: there is no quote for BTCUSDT" in record.why


def test_it_gives_up_and_says_why_its_orders_never_left(halted: Desk) -> None:
    begun(halted)
    step(halted)
    halted.give(i.PlacementAnswered(sales(halted)[-1].client_id, Rejected(NOT_SENT, "not sent: the signer is away")))
    halted.pass_time(120_000)
    halted.tick()
    record = halted.state.last_flatten
    assert record is not None
    assert "gave up after 120 s: not sent: the signer is away" in record.why


@pytest.mark.parametrize("stage", ["live", "halted"])
def test_a_halt_ends_it_with_the_latch_first(stage: str, request: pytest.FixtureRequest) -> None:
    desk: Desk = request.getfixturevalue(stage)
    begun(desk)
    step(desk)
    decision = desk.give(i.HaltAsked("operator", "stop selling"))
    assert isinstance(decision.effects[0], Latch)
    assert (desk.state.flatten, desk.state.position.stage) == (None, Stage.HALTED)
    for _ in range(4):
        step(desk)
    assert len(sales(desk)) == 1


def test_a_demotion_to_another_venue_ends_it(live: Desk) -> None:
    begun(live)
    assert live.move(Verb.DEMOTE, Stage.VALIDATED, signers=("alice",)).code == ""
    assert live.state.flatten is None


def test_a_reset_ends_it(halted: Desk) -> None:
    begun(halted)
    assert halted.move(Verb.RESET, Stage.MOCK, signers=("alice",)).code == ""
    assert halted.state.flatten is None


# What it shuts out


def test_a_bots_order_is_denied_while_it_runs_and_never_leads_to_an_exit(live: Desk) -> None:
    flatten(live)
    for side in Side:
        reply = live.order("0.00003", side=side).reply
        assert isinstance(reply, Deny)
        assert reply.rule == "flatten"
    play(live)
    reply = live.order("0.00003").reply
    assert isinstance(reply, Admitted)
    assert [type(effect) for effect in live.decisions[-1].effects] == [Place]


def test_halted_a_bots_sale_is_denied_and_leads_to_no_effect(halted: Desk) -> None:
    decision = halted.order("0.00003", side=Side.SELL)
    assert isinstance(decision.reply, Deny)
    assert decision.effects == ()


def test_a_bot_may_not_cancel_a_sale(halted: Desk) -> None:
    begun(halted)
    step(halted)
    assert halted.give(i.CancelAsked("demo-bot", sales(halted)[0].client_id)).effects == ()


def test_a_second_flatten_a_drill_and_a_move_up_wait_for_its_end(live: Desk) -> None:
    begun(live)
    assert refused(live, Verb.FLATTEN, "all") == "flatten-running"
    assert refused(live, Verb.DRILL, HALT_DRILL) == "flatten-running"


def test_a_drill_comes_first() -> None:
    desk = hold(Desk().walk_to(Stage.TESTNET_VALIDATING), "0.00005")
    assert desk.ask(Verb.DRILL, HALT_DRILL, "alice").code == ""
    assert refused(desk, Verb.FLATTEN, "all") == "drill-running"


def test_a_resume_waits_for_its_end(halted: Desk) -> None:
    halted.run(6000)
    command = halted.command(Verb.RESUME, Position(Stage.VALIDATED))
    assert flatten(halted).code == ""
    assert halted.submit(command, "alice", "bob").code == "flatten-running"


def test_a_signed_move_stays_valid_after_it(halted: Desk) -> None:
    halted.run(6000)
    flatten(halted)
    play(halted)
    halted.run(6000)
    assert halted.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""


@pytest.mark.parametrize("subject", ["ETHUSDT", "*", "ALL", "btcusdt"])
def test_it_is_about_a_symbol_of_the_policy_or_all(halted: Desk, subject: str) -> None:
    assert refused(halted, Verb.FLATTEN, subject) == "no-such-symbol"


def test_a_policy_that_does_not_say_how_to_sell_sells_nothing(halted: Desk) -> None:
    policy = halted.state.policy
    assert policy is not None
    halted.state = replace(halted.state, policy=policy.model_copy(update={"flatten": None}))
    assert refused(halted, Verb.FLATTEN, "all") == "no-flatten-schedule"


# Its orders are no evidence, and need no cancel


def test_its_orders_and_fills_are_no_evidence_about_the_bot(live: Desk) -> None:
    before = live.state.tally
    flatten(live)
    play(live)
    after = live.state.tally
    assert before is not None
    assert after is not None
    assert (after.orders, after.fills) == (before.orders, before.fills)


def test_a_sale_that_the_venue_still_lists_is_cancelled(halted: Desk) -> None:
    begun(halted)
    step(halted)
    (sale,) = sales(halted)
    assert halted.give(i.PlacementAnswered(sale.client_id, Ack("C02__1", halted.now))).effects == ()
    halted.sweep(VenueName.LIVE, orders=(halted.report(sale.client_id, OrderStatus.NEW),))
    assert any(isinstance(effect, Cancel) for effect in halted.decisions[-1].effects)


# A crash


def test_after_a_crash_it_cancels_again_and_goes_on(halted: Desk) -> None:
    begun(halted)
    step(halted)
    (sale,) = sales(halted)  # sent, and its answer is lost with the process
    decision = halted.boot()
    assert any(isinstance(effect, CancelAll) and effect.venue is VenueName.LIVE for effect in decision.effects)
    halted.sweep_all()
    for _ in range(3):
        step(halted)
    assert len(sales(halted)) == 1
    halted.give(i.LookupAnswered(sale.client_id, halted.report(sale.client_id, OrderStatus.FILLED, str(sale.quantity)), False))
    halted.fill(sale.client_id, str(sale.quantity))
    play(halted)
    assert (held(halted), len(sales(halted))) == (D(0), 2)


def test_a_flatten_that_ends_names_its_command_and_its_subject(halted: Desk) -> None:
    flatten(halted, SYMBOL)
    play(halted)
    (started,), (ended,) = halted.events(e.FlattenStarted), halted.events(e.FlattenEnded)
    assert isinstance(started, e.FlattenStarted)
    assert isinstance(ended, e.FlattenEnded)
    assert (started.command_id, started.subject) == (ended.command_id, ended.subject) != ("", "")
    assert halted.state.commands[started.command_id] == "accepted"
