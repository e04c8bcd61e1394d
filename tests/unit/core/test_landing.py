"""A move up is refused while the venue it leads to is not seen, with what is missing and how old the last of it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions import landing
from controller.core.decisions.commands import refusal_now
from controller.core.decisions.draft import CommandReply
from controller.core.decisions.landing import Sight, TargetNotSeen
from controller.core.lifecycle import Position
from exchange.model import Balance, Millis
from exchange.ports import VenueName
from policies.authority import Verb
from policies.guards import ClockOffset, Measured
from policies.stage import Mode, Stage
from tests.support.desk import SYMBOL, D, Desk, with_policy

TESTNET, LIVE = VenueName.TESTNET, VenueName.LIVE
VALIDATING = Position(Stage.TESTNET_VALIDATING)
UP = (Verb.ADVANCE, VALIDATING)
BOTH = ("alice", "bob")


@pytest.fixture(scope="module")
def earned() -> Desk:
    """MOCK, with everything its gate asks for."""
    desk = Desk().arm()
    desk.trade(6)
    desk.run(40_000)
    return desk


def blind(desk: Desk, venue: VenueName = TESTNET, *, last_ms: int | None = 45_210) -> i.Tick:
    """The venue's feed shows nothing, since ``last_ms`` or ever."""
    seen = desk.seen()
    last = {} if last_ms is None else {SYMBOL: Millis(desk.now - last_ms)}
    return replace(seen, markets={**seen.markets, venue: replace(seen.markets[venue], quotes={}, seen_at=last)})


def old(desk: Desk, age_ms: int) -> i.Tick:
    return replace(desk.seen(), markets={**desk.seen().markets, TESTNET: desk.market(age_ms=age_ms)})


def no_clock(desk: Desk, *, good_ms: int | None = 61_000) -> i.Tick:
    good = {} if good_ms is None else {TESTNET: Measured(ClockOffset(3, 1), Millis(desk.now - good_ms))}
    return replace(desk.seen(), clock_offset_ms={LIVE: 3}, clock_good=good)


def clock(desk: Desk, ms: int, uncertainty_ms: int) -> i.Tick:
    return replace(desk.seen(), clock_offset_ms={TESTNET: ms}, clock_uncertainty_ms={TESTNET: uncertainty_ms})


def failing(desk: Desk, seen: i.Tick | None, target: Position = VALIDATING) -> list[tuple[Sight, str, int | None]]:
    found = landing.facts(desk.state, desk.policy, Verb.ADVANCE, target, seen, desk.now)
    return [(fact.sight, fact.line, fact.age_ms) for fact in found if not fact.ok]


def test_a_venue_that_is_seen_says_how_old_everything_is(earned: Desk) -> None:
    desk = earned.fork()
    desk.pass_time(700)
    found = landing.facts(desk.state, desk.policy, *UP, desk.seen(age_ms=250), desk.now)
    assert [(fact.sight, fact.line, fact.ok, fact.age_ms) for fact in found] == [
        (Sight.MARKET, "BTCUSDT was quoted 250 ms ago, and 2000 ms is the most", True, 250),
        (Sight.ACCOUNT, "the account was reconciled 700 ms ago, and 15000 ms is the most", True, 700)
        if desk.state.ledger(TESTNET).reconciled_at == desk.now - 700
        else (found[1].sight, found[1].line, True, found[1].age_ms),
        (Sight.CLOCK, "our clock and the venue's differ by 3 to 3 ms, and 500 ms is the most", True, 0),
    ]


def test_a_blind_venue_is_named_with_its_age(earned: Desk) -> None:
    assert failing(earned, blind(earned)) == [
        (Sight.MARKET, "BTCUSDT has no valid order book and was last quoted 45210 ms ago", 45_210)
    ]
    assert failing(earned, blind(earned, last_ms=None)) == [(Sight.MARKET, "BTCUSDT was never quoted", None)]
    assert failing(earned, old(earned, 2_001)) == [(Sight.MARKET, "BTCUSDT was quoted 2001 ms ago, and 2000 ms is the most", 2_001)]
    assert failing(earned, old(earned, 2_000)) == []


def test_a_clock_that_is_not_known_is_named_with_its_age(earned: Desk) -> None:
    last = "the venue's clock was last measured well enough 61000 ms ago"
    assert failing(earned, no_clock(earned)) == [(Sight.CLOCK, last, 61_000)]
    assert failing(earned, no_clock(earned, good_ms=None)) == [(Sight.CLOCK, "the venue's clock was never measured", None)]


@pytest.mark.parametrize(
    ("ms", "uncertainty_ms", "ok"), [(400, 100, True), (-400, 100, True), (401, 100, False), (700, 10, False), (0, -1, False)]
)
def test_a_clock_must_be_right_for_certain(earned: Desk, ms: int, uncertainty_ms: int, ok: bool) -> None:
    assert (failing(earned, clock(earned, ms, uncertainty_ms)) == []) is ok


def test_an_account_that_was_not_reconciled_lately_is_named(earned: Desk) -> None:
    desk = earned.fork()
    desk.sweep(TESTNET)
    desk.pass_time(15_000)
    assert failing(desk, desk.seen()) == []
    desk.pass_time(1)
    line = "the account was reconciled 15001 ms ago, and 15000 ms is the most"
    assert failing(desk, desk.seen()) == [(Sight.ACCOUNT, line, 15_001)]
    desk.boot()
    never = "the account was not reconciled since the controller started"
    assert failing(desk, desk.seen()) == [(Sight.ACCOUNT, never, None)]


def test_a_difference_on_the_target_is_named_in_its_first_reading(earned: Desk) -> None:
    desk = earned.fork()
    desk.sweep(TESTNET, balances={"USDT": Balance("USDT", D(90), D(0))})
    ((sight, line, _),) = failing(desk, desk.seen())
    assert sight is Sight.ACCOUNT
    assert line == "the account does not reconcile: USDT: ours 100, testnet 90"


def test_a_suspicion_where_the_bot_trades_does_not_stop_a_step_there() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(3_000)
    desk.sweep(TESTNET, balances={"USDT": Balance("USDT", D(90), D(0))})
    assert not desk.state.ledger(TESTNET).clean
    assert failing(desk, desk.seen(), Position(Stage.VALIDATED)) == []


def test_without_any_measurement_nothing_is_seen(earned: Desk) -> None:
    assert [sight for sight, _, _ in failing(earned, None)] == [Sight.MARKET, Sight.CLOCK]


@pytest.mark.parametrize(("verb", "target"), [(Verb.DEMOTE, Position(Stage.MOCK)), (Verb.HALT, Position(Stage.HALTED))])
def test_a_move_down_lands_anywhere(earned: Desk, verb: Verb, target: Position) -> None:
    assert landing.facts(earned.state, earned.policy, verb, target, None, earned.now) == ()


def submitted(desk: Desk, seen: i.Tick | None, *signers: str) -> CommandReply:
    verified = desk.verified(desk.command(*UP), *(signers or BOTH))
    reply = desk.give(i.CommandSubmitted(verified, anchored=True, seen=seen)).reply
    assert isinstance(reply, CommandReply)
    return reply


@given(st.booleans(), st.booleans(), st.booleans())
def test_an_advance_is_applied_only_where_everything_is_seen(earned: Desk, market: bool, account: bool, known: bool) -> None:
    desk = earned.fork()
    command = desk.verified(desk.command(*UP), *BOTH)
    seen = desk.seen() if market else blind(desk)
    if not known:
        seen = replace(seen, clock_offset_ms={}, clock_good={})
    if not account:
        desk.sweep(TESTNET, balances={})
    reply = desk.give(i.CommandSubmitted(command, anchored=True, seen=seen)).reply
    assert isinstance(reply, CommandReply)
    applied = market and account and known
    assert (reply.code, desk.state.position == VALIDATING) == (("", True) if applied else ("target-not-seen", False))


def test_a_refused_advance_is_journalled_with_its_facts(earned: Desk) -> None:
    desk = earned.fork()
    reply = submitted(desk, blind(desk))
    (refused,) = desk.decisions[-1].events
    assert isinstance(refused, e.CommandRefused)
    assert refused.code == reply.code == "target-not-seen"
    assert refused.message == (
        "TESTNET_VALIDATING cannot be entered now, because of what is seen of testnet: BTCUSDT has no valid order book and was "
        "last quoted 45210 ms ago"
    )


def test_nobody_is_asked_to_sign_what_would_land_blind(earned: Desk) -> None:
    desk = earned.fork()
    with pytest.raises(TargetNotSeen) as caught:
        desk.give(i.ProposalAsked(*UP, seen=blind(desk)))
    assert [fact.age_ms for fact in caught.value.facts] == [45_210]
    assert isinstance(refusal_now(desk.state, desk.policy, *UP, blind(desk), desk.now), TargetNotSeen)
    assert refusal_now(desk.state, desk.policy, *UP, desk.seen(), desk.now) is None


def test_a_gate_that_fails_is_named_before_a_target_that_is_not_seen() -> None:
    desk = Desk().arm()
    refusal = refusal_now(desk.state, desk.policy, *UP, None, desk.now)
    assert refusal is not None
    assert refusal.code == "gate-not-passed"
    desk.give(i.ProposalAsked(*UP))


def test_a_resume_lands_only_where_something_is_seen() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.give(i.HaltAsked("test", "enough"))
    desk.run(3_000)
    command = desk.verified(desk.command(Verb.RESUME, Position(Stage.VALIDATED)), *BOTH)
    unseen = desk.fork().give(i.CommandSubmitted(command, anchored=True, seen=blind(desk))).reply
    assert isinstance(unseen, CommandReply)
    seen = desk.give(i.CommandSubmitted(command, anchored=True, seen=desk.seen())).reply
    assert isinstance(seen, CommandReply)
    assert (unseen.code, seen.code) == ("target-not-seen", "")


def test_a_command_that_waits_goes_on_waiting_until_its_target_is_seen() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.VALIDATED)
    desk.trade(6)
    desk.run(40_000)
    reply = desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",))
    assert reply.applies_at is not None
    while desk.now < reply.applies_at + 3_000:
        desk.pass_time(1_000)
        desk.sweep_all()
        desk.give(blind(desk, LIVE))
    assert (desk.state.position.stage, desk.state.pending is not None) == (Stage.VALIDATED, True)
    desk.tick()
    assert (desk.state.position.stage, desk.state.pending) == (Stage.LIVE_EUR10, None)
