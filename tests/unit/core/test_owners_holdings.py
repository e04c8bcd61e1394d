"""What the account's owner holds is never sold, never counted and never shown to the bot; real money waits until it is declared."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.account import baseline, holdings_of_bot
from controller.core.decisions.draft import Admitted, CommandReply
from controller.core.decisions.landing import TooMuchToRisk, facts
from controller.core.lifecycle import Position
from controller.runtime.api.bots import Bots
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import Unknown, VenueName
from policies.authority import Verb
from policies.guards import GuardName
from policies.limit_types import Deny
from policies.schema import Policy
from policies.stage import Mode, Stage
from tests.support.desk import RULES, SYMBOL, D, Desk, with_policy
from tests.support.flattening import flatten, hold, let_go, play

LIVE = VenueName.LIVE
TO_LIVE = (Verb.ADVANCE, Position(Stage.LIVE_EUR10))
REFUSING = with_policy(live={"baseline": "refuse"})
OWNED = "0.3"
HELD_BACK = D("0.52423551")
"""Of a budget of 10.9 USDT: 10.9 - 10.9 / (1.05 * 1.0005), rounded up, for what an order may count beyond its amount."""


@pytest.fixture(scope="module")
def kept() -> Desk:
    """LIVE_€10 in an account of 0.3 BTC and 100 USDT that the policy keeps."""
    desk = Desk(btc=OWNED).walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    return desk


@pytest.fixture
def desk(kept: Desk) -> Desk:
    return kept.fork()


def ready(policy: Policy, **account: str) -> Desk:
    """VALIDATED, with everything that its gate asks for."""
    desk = Desk(policy, **account).walk_to(Stage.VALIDATED)
    desk.trade(6)
    desk.run(40_000)
    return desk


def advanced(desk: Desk) -> CommandReply:
    verified = desk.verified(desk.command(*TO_LIVE), "alice", "bob")
    reply = desk.give(i.CommandSubmitted(verified, anchored=True, seen=desk.seen())).reply
    assert isinstance(reply, CommandReply)
    return reply


def bots_view(desk: Desk) -> dict[str, tuple[Decimal, Decimal]]:
    """What ``GET /api/v3/account`` shows: free and locked, by asset."""
    writer: Any = SimpleNamespace(state=desk.state, add_follower=lambda _: None, count_early=lambda _: None)
    markets: Any = SimpleNamespace(rules_of=lambda _: {SYMBOL: RULES}, quotes=lambda _: {SYMBOL: desk.quote()})
    clock: Any = SimpleNamespace(now=lambda: desk.now)
    nothing: Any = None
    bots = Bots(writer=writer, inbox=nothing, markets=markets, candles=nothing, history=nothing, clock=clock)
    return {one.asset: (one.free, one.locked) for one in bots.balances("demo-bot").values()}


def denied(desk: Desk, quantity: str, side: Side = Side.SELL, type_: OrderType = OrderType.LIMIT) -> Deny:
    reply = desk.order(quantity, side=side, type_=type_).reply
    assert isinstance(reply, Deny), reply
    return reply


# Before real money


def test_an_account_above_the_cap_does_not_go_live() -> None:
    desk = ready(REFUSING, btc=OWNED)
    line = "the account holds 16605.36697248 EUR of its own (0.3 BTC, 100 USDT), and 10 EUR is the most"
    (fact,) = [one for one in facts(desk.state, desk.policy, *TO_LIVE, desk.seen(), desk.now) if not one.ok]
    assert (fact.sight.value, fact.line) == ("holdings", line)
    with pytest.raises(TooMuchToRisk) as caught:
        desk.give(i.ProposalAsked(*TO_LIVE, seen=desk.seen()))
    assert caught.value.message == f"LIVE_€10 cannot be entered: {line}"
    assert '[live] baseline = "keep"' in caught.value.remedy


def test_a_signed_command_does_not_go_live_with_too_much_either() -> None:
    """The account was worth 10 USDT when the command was proposed, and its coins have become dearer since."""
    desk = ready(REFUSING, btc="0.0001", usdt="4")
    command = desk.verified(desk.command(*TO_LIVE), "alice", "bob")
    desk.price = D(70_000)
    reply = desk.give(i.CommandSubmitted(command, anchored=True, seen=desk.seen())).reply
    assert isinstance(reply, CommandReply)
    assert (reply.code, desk.state.position.stage) == ("too-much-to-risk", Stage.VALIDATED)


def test_a_waiting_command_is_refused_rather_than_waiting_on() -> None:
    desk = ready(with_policy(mode=Mode.SOLO, live={"baseline": "refuse"}), btc="0.0001", usdt="4")
    reply = desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",))
    assert reply.applies_at is not None
    desk.price = D(70_000)
    desk.run(reply.applies_at - desk.now + 1_000)
    assert (desk.state.position.stage, desk.state.pending) == (Stage.VALIDATED, None)
    refused = desk.events(e.CommandRefused)[-1]
    assert isinstance(refused, e.CommandRefused)
    assert refused.code == "too-much-to-risk"


def test_an_account_within_the_cap_goes_live() -> None:
    desk = ready(REFUSING, usdt="10.9")
    assert (advanced(desk).code, desk.state.position.stage) == ("", Stage.LIVE_EUR10)


def test_what_was_earned_does_not_close_the_way_back() -> None:
    desk = ready(REFUSING, usdt="10.9")
    advanced(desk)
    hold(desk, "0.00008")
    desk.price = D(70_000)
    let_go(desk, "0.00008")
    desk.give(i.HaltAsked("test", "enough"))
    desk.run(5_000)
    assert desk.balances(LIVE)["USDT"].total == D("11.7")
    assert baseline(desk.state.ledger(LIVE))["USDT"] == D("10.9")
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""


def test_a_declared_account_goes_live_at_nothing_of_its_cap(kept: Desk) -> None:
    assert (kept.state.position.stage, kept.state.ledger(LIVE).exposure_eur) == (Stage.LIVE_EUR10, D(0))


# What the bot sees


def test_a_bot_sees_its_budget_and_what_it_bought(desk: Desk) -> None:
    assert bots_view(desk) == {"USDT": (D("10.37559156"), D(0)), "BTC": (D(0), D(0))}
    desk.fill(desk.placed(desk.order("0.00005")), "0.00002")
    assert bots_view(desk)["BTC"] == (D("0.00002"), D(0))
    free, locked = bots_view(desk)["USDT"]
    assert free + locked == D("10.9") - HELD_BACK - D("1.2")


def test_other_assets_of_the_account_are_not_shown() -> None:
    desk = Desk()
    desk.boot()
    for venue in VenueName:
        desk.sweep(venue, balances={**desk.balances(venue), "SOL": next(iter(desk.balances(venue).values()))})
    assert set(bots_view(desk)) == {"USDT", "BTC"}


def test_a_small_account_gives_what_it_has() -> None:
    desk = Desk(usdt="4").arm()
    assert bots_view(desk)["USDT"] == (D("3.99800099"), D(0))


def test_a_halt_does_not_change_what_the_bot_sees(desk: Desk) -> None:
    hold(desk, "0.00005")
    before = bots_view(desk)
    desk.give(i.HaltAsked("test", "enough"))
    assert bots_view(desk) == before


# What the bot may use


def test_the_owners_coins_are_not_sold(desk: Desk) -> None:
    reply = denied(desk, "0.00005")
    assert reply.rule == "balance"
    assert (
        reply.message
        == "the order needs 0.00005 BTC; 0 are not reserved by other orders; 0.3 BTC in the account are its owner's (at LIVE_€10)"
    )


def test_only_what_was_bought_is_sold(desk: Desk) -> None:
    hold(desk, "0.00005")
    assert denied(desk, "0.000051").rule == "balance"
    assert isinstance(desk.order("0.00003", side=Side.SELL).reply, Admitted)
    assert denied(desk, "0.00003").rule == "balance", "the first sale reserves what it may still sell"
    assert isinstance(desk.order("0.00002", side=Side.SELL).reply, Admitted)


def test_a_sale_without_an_answer_reserves_all_that_it_may_sell(desk: Desk) -> None:
    hold(desk, "0.00008")
    desk.placed(desk.order("0.00005", side=Side.SELL), Unknown("no reply"))
    assert denied(desk, "0.00004").message.startswith("the order needs 0.00004 BTC; 0.00003 are not reserved")


def test_a_sale_by_amount_could_reach_the_owners_coins(desk: Desk) -> None:
    hold(desk, "0.00008")
    asked = desk.requested("1", side=Side.SELL, type_=OrderType.MARKET)
    intent = OrderIntent(SYMBOL, Side.SELL, OrderType.MARKET, "", quote_quantity=D(2))
    reply = desk.give(i.OrderRequested(asked.bot, intent, asked.quotes, asked.rules, asked.venue, key=asked.key)).reply
    assert isinstance(reply, Deny)
    assert (reply.rule, reply.message) == (
        "quantity",
        "a sale by amount could sell BTC that is the account's owner's (at LIVE_€10)",
    )


def test_the_owners_money_is_not_spent(desk: Desk) -> None:
    """The bot lost 2 of its 10.9 USDT. The account has 98 more, and the cap would allow them."""
    hold(desk, "0.00008")
    desk.price = D(35_000)
    let_go(desk, "0.00008")
    desk.price = D(60_000)
    assert bots_view(desk)["USDT"][0] == D("8.9") - HELD_BACK
    assert isinstance(desk.order("0.00008").reply, Admitted)
    reply = denied(desk, "0.00007", side=Side.BUY)
    assert (reply.rule, reply.message.endswith("; 89.1 USDT in the account are its owner's (at LIVE_€10)")) == ("balance", True)


def test_a_signed_move_gives_the_budget_anew(desk: Desk) -> None:
    hold(desk, "0.00008", "0.00008")
    desk.price = D(58_000)
    let_go(desk, "0.00008")
    assert holdings_of_bot(desk.state, desk.policy, LIVE) == {"USDT": D("5.94"), "BTC": D("0.00008")}
    desk.give(i.HaltAsked("test", "enough"))
    desk.run(5_000)
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""
    # The cap of 10.9 USDT, less the 4.8 that were paid for what is left.
    assert holdings_of_bot(desk.state, desk.policy, LIVE) == {"USDT": D("6.1"), "BTC": D("0.00008")}


def test_a_budget_is_an_amount_after_a_part_was_sold(desk: Desk) -> None:
    """Seven of nine parts of what was paid have no end of digits."""
    hold(desk, "0.00005")
    desk.price = D("60001")
    hold(desk, "0.00004")
    let_go(desk, "0.00002")
    desk.give(i.HaltAsked("test", "enough"))
    desk.run(5_000)
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""
    # Of the cap of 10.9 USDT, 7 of 9 parts of the 5.40004 that were paid are used: 4.20003111… of them.
    assert holdings_of_bot(desk.state, desk.policy, LIVE)["USDT"] == D("6.69996888")
    assert isinstance(desk.order("0.00003").reply, Admitted)


def test_a_ramp_step_gives_more() -> None:
    desk = Desk().walk_to(Stage.RAMPING, 1)
    assert bots_view(desk)["USDT"][0] == D("15.56338734")


# What is counted


def test_the_price_of_the_owners_coins_is_no_loss_of_ours(desk: Desk) -> None:
    desk.price = D(30_000)
    desk.run(3_000)
    assert (desk.state.position.stage, desk.state.guard_level) == (Stage.LIVE_EUR10, "")
    ledger = desk.state.ledger(LIVE)
    assert (ledger.equity_eur, ledger.exposure_eur) == (ledger.day_start_eur, D(0))


def test_a_loss_on_what_the_bot_bought_still_halts(desk: Desk) -> None:
    hold(desk, "0.00008")
    desk.price = D(50_000)
    desk.run(2_000)
    breach = desk.events(e.BreachDetected)[-1]
    assert isinstance(breach, e.BreachDetected)
    assert (desk.state.position.stage, breach.guard) == (Stage.HALTED, GuardName.DAILY_LOSS.value)


def test_a_flatten_leaves_the_owners_coins(desk: Desk) -> None:
    hold(desk, "0.00008")
    flatten(desk)
    play(desk)
    assert desk.balances(LIVE)["BTC"].total == D(OWNED)


def test_the_owners_coins_do_not_keep_a_demoted_bot_at_real_money(desk: Desk) -> None:
    # Old quotes are a soft breach; LIVE_€10 is left once everything that was bought is sold.
    desk.pass_time(6_000)
    desk.tick(age_ms=6_000)
    for _ in range(3):
        desk.pass_time(1_000)
        desk.sweep_all()
        desk.tick()
    assert desk.state.position.stage is Stage.VALIDATED
