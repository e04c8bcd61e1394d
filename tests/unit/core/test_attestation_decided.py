"""Whether the testnet's evidence is attested, as the decisions judge it, and what follows from it (ADR 47)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import events as e
from controller.core.decisions.attestation import CLOCK_MS, DIFFERS_MS, FRESH_MS, judge, needs_attestation
from controller.core.decisions.landing import facts
from controller.core.effects import CancelAll, Latch
from controller.core.inputs import Asked, Tick
from controller.core.lifecycle import Position
from exchange.model import DataSource, Millis, OrderStatus
from exchange.ports import Unknown, VenueName
from exchange.statement import STREAM_GAP_MS, Books, Fault, Refused, Statement, StreamCoverage
from policies.authority import Verb
from policies.guards import GuardName
from policies.schema import Testnet
from policies.stage import Environment, Stage
from tests.support.desk import SYMBOL, Desk
from tests.support.statements import KEY, OTHER, Signing, keyed_policy

TESTNET = VenueName.TESTNET
VALIDATING = Stage.TESTNET_VALIDATING


def validating() -> Signing:
    """A deployment at TESTNET_VALIDATING that traded there, whose testnet was asked for a statement of all of it."""
    signing = Signing()
    signing.desk.walk_to(VALIDATING)
    signing.desk.trade(2)
    signing.run(6)
    return signing


READY = validating()


def again() -> Signing:
    return Signing(READY.desk.fork(), READY.asked)


def tick_of(signing: Signing, asked: Asked | None) -> Tick:
    return replace(signing.desk.seen(), testnet=asked)


def judged(signing: Signing, asked: Asked | None = None, *, ms: int = 0) -> Any:
    """What the last answer is worth ``ms`` later, without what earlier ones are worth."""
    state = signing.desk.state
    ledger = replace(state.ledger(TESTNET), statement_at=None)
    state = replace(state, ledgers=state.ledgers.set(TESTNET, ledger))
    assert state.policy is not None
    now = Millis(signing.desk.now + ms)
    return judge(state, state.policy, tick_of(signing, asked or signing.asked), now)


def said(asked: Asked, **changes: Any) -> Asked:
    assert isinstance(asked.found, Statement)
    return replace(asked, found=replace(asked.found, **changes))


BROKEN: dict[str, Callable[[Asked], Asked]] = {
    "no answer": lambda asked: replace(asked, found=None, why="it does not answer"),
    "checked against another key": lambda asked: replace(asked, key=OTHER),
    "asked in the future": lambda asked: replace(asked, asked_at=Millis(asked.asked_at + 60_000)),
    "asked long ago": lambda asked: replace(asked, asked_at=Millis(asked.asked_at - FRESH_MS - 60_000)),
    "a clock that is late": lambda asked: said(asked, at=Millis(asked.asked_at - CLOCK_MS - 1)),
    "a clock that is early": lambda asked: said(asked, at=Millis(asked.answered_at + CLOCK_MS + 1)),
    "another version": lambda asked: said(asked, software="gatehouse 0"),
    "other data": lambda asked: said(asked, source=DataSource.LIVE),
    "an accelerated market": lambda asked: said(asked, speed="2"),
    "no speed": lambda asked: said(asked, speed="fast"),
    "no data of the symbol": lambda asked: said(asked, streams={"ETHUSDT": StreamCoverage(1, 0, 0, asked.asked_at)}),
    "data that stands still": lambda asked: said(
        asked, streams={SYMBOL: StreamCoverage(1, 0, 0, Millis(asked.asked_at - STREAM_GAP_MS - 1))}
    ),
    "other books": lambda asked: said(asked, books=Books().digest),
    "malformed": lambda asked: replace(asked, found=Refused(Fault.MALFORMED, "it cannot be read")),
    **{
        fault.value: lambda asked, fault=fault: replace(asked, found=Refused(fault, "another key signed", OTHER))  # type: ignore[misc]
        for fault in (Fault.FORGED, Fault.REPLAYED, Fault.FOREIGN)
    },
}


@given(st.sets(st.sampled_from(sorted(BROKEN))))
def test_it_is_attested_exactly_when_nothing_is_wrong(wrong: set[str]) -> None:
    asked: Asked | None = READY.asked
    for how in sorted(wrong):
        assert asked is not None
        asked = BROKEN[how](asked) if not isinstance(asked.found, Refused) or how.startswith(("checked", "asked")) else asked
        if asked.found is None:
            break
    found = judged(READY, asked)
    assert found.attested is (not wrong)
    assert bool(found.why) is bool(wrong)


def test_without_a_key_nothing_is_attested_and_the_remedy_is_named() -> None:
    policy = keyed_policy(None)
    found = judge(READY.desk.state, policy, tick_of(READY, READY.asked), READY.desk.now)
    assert not found.attested
    assert "gatehouse keys show" in found.why
    assert "set-policy" in found.why


@pytest.mark.parametrize(("ms", "attested"), [(0, True), (FRESH_MS - 1_000, True), (FRESH_MS + 1_000, False)])
def test_a_statement_attests_for_half_a_minute(ms: int, attested: bool) -> None:
    assert judged(READY, ms=ms).attested is attested


def test_an_answer_that_is_older_than_a_trade_of_ours_attests_nothing() -> None:
    signing = again()
    old = signing.ask()
    signing.desk.pass_time(10)
    signing.desk.trade(1)
    signing.desk.pass_time(10)
    assert judged(signing, old).attested
    assert isinstance(old.found, Statement)
    late = replace(old, asked_at=signing.desk.now, answered_at=signing.desk.now, found=replace(old.found, at=signing.desk.now))
    found = judged(signing, late)
    assert not found.attested
    assert "were booked before we asked" in found.contradiction


def test_what_the_testnet_did_before_we_hear_of_it_is_waited_for() -> None:
    signing = again()
    bought = signing.desk.placed(signing.desk.order("0.00003"))
    order = signing.desk.state.orders[bought]
    fill = signing.desk.trade_of(order, order.quantity or 0)  # type: ignore[arg-type]
    ahead = signing.desk.state.ledger(TESTNET).books.value.with_fill(
        fill.client_id, fill.order_id, fill.side, fill.price, fill.quantity, fill.quote
    )
    asked = signing.ask(ahead)
    found = judged(signing, asked)
    assert (found.attested, found.contradiction) == (False, "")
    signing.desk.pass_time(500)
    signing.desk.sweep(TESTNET)
    assert judged(signing, asked).attested


def test_trades_of_which_the_testnet_knows_nothing_halt() -> None:
    signing = again()
    signing.desk.trade(1)
    signing.desk.pass_time(1000)
    signing.ask(Books())
    signing.tick()
    assert signing.desk.state.position.stage is Stage.HALTED
    (breach,) = signing.desk.events(e.BreachDetected)
    assert isinstance(breach, e.BreachDetected)
    assert breach.guard == GuardName.TESTNET_IDENTITY
    assert any(isinstance(effect, Latch) for decision in signing.desk.decisions for effect in decision.effects)


def _other(books: Books) -> Books:
    """As many orders and trades, but other ones: what a relay forwards after it changed a price."""
    return replace(books, sum="0" * len(books.sum))


@pytest.mark.parametrize("lasts_ms", [DIFFERS_MS - 20_000, DIFFERS_MS + 20_000])
def test_a_difference_that_lasts_halts(lasts_ms: int) -> None:
    signing = again()
    other = _other(signing.desk.state.ledger(TESTNET).books.value)
    for _ in range(lasts_ms // 5_000):
        signing.ask(other)
        for _ in range(5):
            signing.tick()
    assert (signing.desk.state.position.stage is Stage.HALTED) is (lasts_ms > DIFFERS_MS)


def test_a_difference_is_not_judged_while_an_outcome_is_unknown() -> None:
    signing = again()
    other = _other(signing.desk.state.ledger(TESTNET).books.value)
    lost = signing.desk.placed(signing.desk.order("0.00003"), Unknown("timeout"))
    assert signing.desk.state.orders[lost].status is OrderStatus.UNKNOWN
    asked = said(signing.ask(other), at=signing.desk.now)
    late = Millis(signing.desk.now + DIFFERS_MS * 3)
    assert judge(signing.desk.state, keyed_policy(), tick_of(signing, replace(asked, asked_at=late)), late).contradiction == ""


def test_another_key_at_the_port_cancels_and_pauses_until_it_is_gone() -> None:
    signing = again()
    asked = signing.ask()
    signing.asked = replace(asked, found=Refused(Fault.FORGED, "another key signed", OTHER))
    signing.tick()
    signing.tick()
    state = signing.desk.state
    assert (state.position.stage, state.guard_level, state.unseen) == (VALIDATING, "CANCEL_ALL", (GuardName.TESTNET_IDENTITY,))
    assert any(isinstance(effect, CancelAll) for one in signing.desk.decisions[-6:] for effect in one.effects)
    assert [one.kind for one in state.alerts if "another testnet" in one.title] == ["attestation"]
    assert [one.rule for one in (signing.desk.order("0.00003").events) if isinstance(one, e.OrderDenied)]
    signing.tick()
    assert "testnet-identity" in signing.desk.state.uncovered
    signing.run(3)
    assert (signing.desk.state.guard_level, signing.desk.state.uncovered) == ("", "")


def test_at_mock_nobody_who_answers_at_the_testnet_stops_anything() -> None:
    signing = Signing()
    signing.desk.arm()
    asked = signing.ask()
    signing.asked = replace(asked, found=Refused(Fault.FORGED, "another key signed", OTHER))
    signing.tick()
    assert (signing.desk.state.position.stage, signing.desk.state.guard_level) == (Stage.MOCK, "")


def _in_production(signing: Signing) -> Signing:
    state = signing.desk.state
    assert state.policy is not None
    policy = state.policy.model_copy(update={"environment": Environment.PRODUCTION})
    signing.desk.state = replace(state, policy=policy)
    return signing


def test_an_outage_of_statements_is_a_gap_in_production_and_no_halt() -> None:
    signing = _in_production(again())
    signing.run(5)
    tally = signing.desk.state.tally
    assert tally is not None
    covered, attested = tally.covered_ms, tally.attested_ms
    signing.asked = None
    signing.run(90, asking=False)
    tally = signing.desk.state.tally
    assert tally is not None
    assert FRESH_MS - 6_000 <= tally.covered_ms - covered <= FRESH_MS + 1_000
    assert tally.attested_ms - attested == tally.covered_ms - covered
    assert signing.desk.state.uncovered.startswith("the testnet is unattested: ")
    assert (signing.desk.state.position.stage, signing.desk.state.guard_level) == (VALIDATING, "")
    signing.run(10)
    tally = signing.desk.state.tally
    assert tally is not None
    assert (signing.desk.state.uncovered, tally.gap_ms) == ("", 0)
    assert 50_000 <= tally.longest_gap_ms <= 70_000


def test_a_rehearsal_goes_on_unattested_and_counts_it_apart() -> None:
    signing = again()
    signing.asked = None
    signing.run(FRESH_MS // 1000 + 5, asking=False)
    before = signing.desk.state.tally
    signing.run(10, asking=False)
    after = signing.desk.state.tally
    assert before is not None
    assert after is not None
    assert after.covered_ms - before.covered_ms == 10_000
    assert after.attested_ms == before.attested_ms
    assert signing.desk.events(e.Sampled)[-1].attested is False  # type: ignore[attr-defined]


def test_samples_say_whether_they_are_attested_only_at_the_testnet() -> None:
    mock = Signing()
    mock.desk.arm()
    mock.run(3)
    samples = [one.attested for one in mock.desk.events(e.Sampled)]  # type: ignore[attr-defined]
    assert set(samples) == {None}
    assert READY.desk.state.ledger(TESTNET).statement_at is not None


def test_another_key_in_the_policy_ends_what_the_former_one_attested() -> None:
    signing = again()
    signing.desk.policy = keyed_policy(OTHER)
    signing.desk.boot()
    changed = signing.desk.state
    assert changed.proposals["policy"].changes
    assert changed.policy is not None
    assert changed.policy.testnet == Testnet(key=KEY)
    from policies.document import canonical_bytes

    signing.desk.sweep_all()
    signing.desk.tick()
    signing.desk.ask(Verb.SET_POLICY, canonical_bytes(keyed_policy(OTHER)).decode())
    state = signing.desk.state
    assert (state.position.stage, state.ledger(TESTNET).statement_at) == (Stage.MOCK, None)


@pytest.mark.parametrize("environment", Environment)
def test_an_advance_in_production_sees_whether_the_testnet_is_attested(environment: Environment) -> None:
    desk = Desk(keyed_policy()).arm()
    policy = keyed_policy().model_copy(update={"environment": environment})
    found = facts(desk.state, policy, Verb.ADVANCE, Position(VALIDATING), desk.seen(), desk.now)
    statements = [one for one in found if one.sight == "statement"]
    assert [one.ok for one in statements] == ([False] if environment is Environment.PRODUCTION else [])
    signing = Signing(desk)
    seen = tick_of(signing, signing.ask())
    found = facts(desk.state, policy, Verb.ADVANCE, Position(VALIDATING), seen, desk.now)
    assert all(one.ok for one in found)


@pytest.mark.parametrize("venue", VenueName)
def test_only_the_testnet_needs_to_be_attested(venue: VenueName) -> None:
    policy = keyed_policy().model_copy(update={"environment": Environment.PRODUCTION})
    assert needs_attestation(policy, venue) is (venue is TESTNET)
