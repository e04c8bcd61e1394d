"""A new baseline: what a person signs, when it is refused, what it changes, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions import account, rebaseline
from controller.core.decisions.draft import Draft
from controller.core.decisions.governance import target_of
from controller.core.decisions.ways_out import ways_out
from controller.core.lifecycle import Position
from exchange.errors import Refused
from exchange.model import Balance, OrderStatus
from exchange.ports import Ack, Unknown, VenueName
from policies import canonical
from policies.authority import Verb
from policies.guards import GuardName
from policies.stage import Environment, Mode, Stage
from tests.support.baselines import accept, differ, shown
from tests.support.desk import SYMBOL, D, Desk, with_policy
from tests.support.flattening import hold

TESTNET, LIVE = VenueName.TESTNET, VenueName.LIVE


@pytest.fixture(scope="module")
def trading() -> Desk:
    """At LIVE_€10 with a holding that gatehouse bought."""
    desk = hold(Desk().walk_to(Stage.LIVE_EUR10), "0.00008")
    desk.run(4_000)
    return desk


@pytest.fixture
def halted(trading: Desk) -> Desk:
    """HALTED because the owner took 20 USDT out of the live account."""
    return differ(trading.fork(), LIVE)


def differences(subject: str) -> dict[str, dict[str, str]]:
    document: dict[str, dict[str, dict[str, str]]] = canonical.decode(subject.encode())
    return document["differences"]


def results(desk: Desk, venue: VenueName) -> tuple[object, ...]:
    """Everything that compares two equities of the account."""
    ledger, policy = desk.state.ledger(venue), desk.state.policy
    assert policy is not None
    now = account.equity_eur(ledger, policy, {SYMBOL: desk.quote()}, desk.state.rates)
    assert now is not None
    compared = (ledger.day_start_eur, ledger.valued_eur, ledger.equity_eur, ledger.peak_eur)
    return tuple(None if one is None else now - one for one in compared)


# What it leads to


def refusal(desk: Desk, verb: Verb) -> str:
    return next(way.refused for way in ways_out(desk.state, desk.seen(), desk.now) if way.verb is verb and way.target.step == 0)


def test_an_accepted_withdrawal_leads_from_the_halt_back_to_armed(halted: Desk) -> None:
    assert halted.state.position.stage is Stage.HALTED
    assert halted.state.halt_reason.endswith("accept them with `gatehouse rebaseline --venue live`")
    assert accept(halted, LIVE).code == ""
    assert halted.state.ledger(LIVE).clean
    assert halted.move(Verb.RESET, Stage.MOCK, signers=("alice",)).code == ""
    halted.walk_to(Stage.LIVE_EUR10)
    assert halted.state.armed


def test_without_it_a_reset_leads_nowhere(halted: Desk) -> None:
    halted.move(Verb.RESET, Stage.MOCK, signers=("alice",))
    halted.walk_to(Stage.VALIDATED)
    halted.trade(6)
    halted.run(40_000)
    with pytest.raises(Refused, match="does not reconcile"):
        halted.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10))


def test_the_gate_of_a_resume_passes_again_afterwards(halted: Desk) -> None:
    halted.run(5_000)
    assert "resume" in refusal(halted, Verb.RESUME)
    accept(halted, LIVE)
    halted.run(5_000)
    assert halted.move(Verb.RESUME, Stage.VALIDATED).code == ""


def test_a_way_out_names_it_while_the_account_differs(halted: Desk) -> None:
    (way,) = [way for way in ways_out(halted.state, halted.seen(), halted.now) if way.verb is Verb.REBASELINE]
    assert (way.venue, way.refused, way.needed.persons) == (LIVE, "", 1)
    accept(halted, LIVE)
    assert not [way for way in ways_out(halted.state, halted.seen(), halted.now) if way.verb is Verb.REBASELINE]


def test_a_testnet_that_differs_is_accepted_while_live_trades(trading: Desk) -> None:
    desk = differ(trading.fork(), TESTNET, amount="900")
    assert desk.state.position.stage is Stage.LIVE_EUR10
    assert accept(desk, TESTNET).code == ""
    assert (desk.state.ledger(TESTNET).clean, desk.state.position.stage, desk.state.armed) == (True, Stage.LIVE_EUR10, True)


def test_one_person_accepts_at_once_in_solo_mode() -> None:
    desk = differ(Desk(with_policy(mode=Mode.SOLO)).arm(), TESTNET)
    assert (accept(desk, TESTNET).applies_at, desk.state.ledger(TESTNET).clean) == (None, True)


def test_the_journal_holds_both_readings(halted: Desk) -> None:
    before = dict(halted.state.ledger(LIVE).totals or {})
    accept(halted, LIVE)
    (event,) = halted.events(e.Rebaselined)
    assert isinstance(event, e.Rebaselined)
    assert event.books == before
    assert event.reading == {asset: balance.total for asset, balance in halted.balances(LIVE).items()}


# What is signed


def test_each_asset_that_differs_is_in_what_is_signed(halted: Desk) -> None:
    ours = (halted.state.ledger(LIVE).totals or {})["USDT"]
    assert differences(shown(halted, LIVE)) == {
        "USDT": {"books": f"{ours.normalize():f}", "venue": f"{(ours - 20).normalize():f}", "by": "-20"}
    }


def test_another_reading_than_the_signed_one_is_refused_with_what_changed(halted: Desk) -> None:
    subject = shown(halted, LIVE)
    differ(halted, LIVE, amount="-5")
    halted.sweep(LIVE)
    with pytest.raises(Refused, match=r"USDT: signed 7.*, now 7.*, our books 9") as error:
        halted.ask(Verb.REBASELINE, subject, "alice")
    assert error.value.code == "other-reading"


def test_a_change_between_signature_and_submission_is_refused(halted: Desk) -> None:
    command = halted.command(Verb.REBASELINE, target_of(halted.state, Verb.REBASELINE), subject=shown(halted, LIVE))
    differ(halted, LIVE, asset="ETH", amount="1")
    halted.sweep(LIVE)
    before = halted.state.ledgers
    assert halted.submit(command, "alice").code == "other-reading"
    assert halted.state.ledgers == before


def test_a_balance_without_a_difference_is_covered_too(halted: Desk) -> None:
    document = canonical.decode(shown(halted, LIVE).encode())
    forged = canonical.encode({**document, "reading": "sha256:" + "0" * 64}).decode()
    with pytest.raises(Refused) as error:
        halted.ask(Verb.REBASELINE, forged, "alice")
    assert error.value.code == "other-reading"


@pytest.mark.parametrize("subject", ["live", "{}", '{"venue":"live"}', '{"differences":{},"reading":"","venue":["live"]}', "mock"])
def test_a_subject_that_is_no_reading_is_refused(halted: Desk, subject: str) -> None:
    with pytest.raises(Refused) as error:
        halted.ask(Verb.REBASELINE, subject, "alice")
    assert error.value.code in {"rebaseline-malformed", "no-such-venue"}


# When it is refused


def _open_order(desk: Desk) -> None:
    desk.placed(desk.order("0.00003"), Unknown("no answer"))
    differ(desk, LIVE)


def _once(desk: Desk) -> None:
    desk.owner_moves(LIVE, "USDT", "-20")
    desk.sweep(LIVE)


def _old(desk: Desk) -> None:
    differ(desk, LIVE)
    desk.pass_time(60_000)


def _nothing(_: Desk) -> None:
    return


def _unread(desk: Desk) -> None:
    differ(desk, LIVE)
    desk.read.clear()


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (_open_order, "orders-open"),
        (_once, "seen-once"),
        (_old, "reading-old"),
        (_nothing, "nothing-changes"),
        (_unread, "no-reading"),
    ],
)
def test_it_is_refused_with_the_reason(trading: Desk, prepare: Callable[[Desk], None], code: str) -> None:
    desk = trading.fork()
    desk.sweep(LIVE)
    prepare(desk)
    with pytest.raises(Refused) as error:
        shown(desk, LIVE)
    assert (error.value.code, bool(error.value.remedy)) == (code, True)


def test_a_foreign_order_in_the_reading_refuses_it(halted: Desk) -> None:
    read = halted.read[LIVE]
    bought = next(iter(halted.state.orders))
    foreign = replace(halted.report(bought, OrderStatus.NEW), client_id="", order_id="C9")
    halted.read[LIVE] = replace(read, snapshot=replace(read.snapshot, open_orders=(foreign,)))
    with pytest.raises(Refused, match="not ours are open") as error:
        shown(halted, LIVE)
    assert error.value.code == "orders-open"


def test_a_reading_that_is_older_than_the_last_booked_fill_is_refused(halted: Desk) -> None:
    read = halted.read[LIVE]
    halted.read[LIVE] = replace(read, fills_before=read.fills_before - 1)
    with pytest.raises(Refused, match="a trade was booked since"):
        shown(halted, LIVE)


def test_a_difference_that_has_no_quote_is_refused(trading: Desk) -> None:
    desk = differ(trading.fork(), LIVE, "BTC", "-0.00002")
    subject = shown(desk, LIVE)
    assert desk.state.policy is not None
    for seen in (desk.seen(quoted=False), desk.seen(age_ms=60_000)):
        with pytest.raises(Refused) as error:
            desk.give(i.ProposalAsked(Verb.REBASELINE, desk.state.position, subject, seen=seen))
        assert error.value.code == "no-quote"


def test_a_difference_outside_the_policy_needs_no_quote(trading: Desk) -> None:
    desk = differ(trading.fork(), LIVE, "ETH", "3")
    subject = shown(desk, LIVE)
    desk.give(i.ProposalAsked(Verb.REBASELINE, desk.state.position, subject, seen=desk.seen(quoted=False)))
    before = results(desk, LIVE)
    accept(desk, LIVE)
    assert results(desk, LIVE) == before


# What is neutral


@given(usdt=st.integers(-90, 400), btc=st.integers(-8, 40), price=st.integers(30_000, 90_000))
def test_no_result_changes_with_any_step(trading: Desk, usdt: int, btc: int, price: int) -> None:
    desk = trading.fork()
    desk.owner_moves(LIVE, "USDT", str(usdt))
    desk.owner_moves(LIVE, "BTC", str(btc * D("0.00001")))
    differ(desk, LIVE, amount="0")
    if not desk.state.ledger(LIVE).breaks:
        assert (usdt, btc) == (0, 0)
        return
    desk.price = D(price)
    ours = desk.state.ledger(LIVE).bought["BTC"]
    before, net = results(desk, LIVE), day_result(desk)
    reply = desk.ask(Verb.REBASELINE, shown(desk, LIVE), "alice")
    assert (reply.code, results(desk, LIVE), day_result(desk)) == ("", before, net)
    ledger = desk.state.ledger(LIVE)
    held = (ledger.totals or {}).get("BTC", D(0))
    assert ledger.bought["BTC"] == min(ours, max(held, D(0)))
    desk.sweep(LIVE)
    assert desk.state.ledger(LIVE).clean


def day_result(desk: Desk) -> object:
    ledger = desk.state.ledger(LIVE)
    assert ledger.valued_eur is not None
    assert ledger.day_start_eur is not None
    return ledger.valued_eur - ledger.day_start_eur


def test_a_loss_of_before_the_step_is_still_a_loss(trading: Desk) -> None:
    desk = trading.fork()
    desk.price = D("30000")
    differ(desk, LIVE, amount="-40")
    desk.tick()
    accept(desk, LIVE)
    desk.run(5_000)
    assert desk.state.guard is GuardName.DAILY_LOSS


# What is left of ours


def test_what_the_withdrawal_took_is_no_longer_ours(trading: Desk) -> None:
    desk = differ(trading.fork(), LIVE, "BTC", "-0.00005")
    before = desk.state.ledger(LIVE)
    accept(desk, LIVE)
    policy, after = desk.state.policy, desk.state.ledger(LIVE)
    assert policy is not None
    assert account.bought(desk.state, policy, LIVE, SYMBOL) == D("0.00003")
    assert (after.cost["BTC"], after.bought["USDT"]) == (before.cost["BTC"] * 3 / 8, before.bought["USDT"])
    differ(desk, LIVE, "BTC", "1")
    accept(desk, LIVE)
    assert account.bought(desk.state, policy, LIVE, SYMBOL) == D("0.00003")


def test_an_alert_names_what_is_gone_of_ours(trading: Desk) -> None:
    desk = differ(trading.fork(), LIVE, "BTC", "-0.00005")
    desk.ask(Verb.REBASELINE, shown(desk, LIVE), "alice")
    assert "of what gatehouse bought, 0.00005 BTC is gone" in str(desk.decisions[-1].effects)


# A venue that began anew


def test_ids_that_a_restarted_testnet_gives_again_mean_new_orders() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.trade(1)
    old = next(order for order in desk.state.orders.values() if order.venue is TESTNET)
    desk.trades[TESTNET] = []
    differ(desk, TESTNET, amount="500")
    accept(desk, TESTNET)
    desk.move(Verb.RESET, Stage.MOCK, signers=("alice",))
    desk.walk_to(Stage.TESTNET_VALIDATING)
    new = desk.placed(desk.order("0.00003"), Ack(old.order_id, desk.now))
    fill = replace(desk.fill(new, "0.00001"), client_id="", trade_id="T-listed")
    desk.give(i.VenueReported(TESTNET, fill, listed=True))
    assert (desk.state.orders[new].booked, desk.state.orders[old.client_id].booked) == (D("0.00001"), old.booked)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING


def test_a_live_account_keeps_its_ids_in_production(trading: Desk) -> None:
    desk = differ(trading.fork(), LIVE)
    desk.state = replace(desk.state, environment=Environment.PRODUCTION)
    ids = desk.state.ledger(LIVE).ids
    verified = desk.verified(desk.command(Verb.REBASELINE, desk.state.position, subject=shown(desk, LIVE)), "alice")
    assert desk.state.policy is not None
    draft = Draft(desk.state, desk.now)
    rebaseline.apply(
        draft, verified.command, rebaseline.check(desk.state, desk.state.policy, shown(desk, LIVE), desk.seen(), desk.now)
    )
    assert draft.after.ledger(LIVE).ids == ids
    assert len(ids) > 0


def test_balances_that_are_zero_are_no_difference(trading: Desk) -> None:
    desk = trading.fork()
    desk.sweep(LIVE, balances={**desk.balances(LIVE), "ETH": Balance("ETH", D(0), D(0))})
    with pytest.raises(Refused, match="as our books say"):
        shown(desk, LIVE)
