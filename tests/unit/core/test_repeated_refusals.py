"""Refusals that repeat are decided each time, journalled once, and counted."""

from __future__ import annotations

from decimal import Decimal

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted
from controller.core.decisions.refusals import COUNT_MS, KINDS_MOST, Refusals
from exchange.model import Millis, OrderType, Side
from gates.measure import metrics
from policies.limit_types import Deny
from policies.rules import MetricName, Op, Unit
from policies.schema import GateRule
from policies.stage import Environment, Stage
from policies.values import replace
from tests.support.desk import BOT_KEYS, Desk, demo_policy
from tests.support.holding import HoldingDesk

VALIDATING = Desk().walk_to(Stage.TESTNET_VALIDATING)


@pytest.fixture
def desk() -> HoldingDesk:
    return HoldingDesk.of(VALIDATING)


@pytest.fixture
def halted(desk: HoldingDesk) -> HoldingDesk:
    desk.give(i.HaltAsked("operator", "the bot misbehaves"))
    desk.journal.clear()
    return desk


def ask(desk: HoldingDesk, times: int = 1, *, every_ms: int = 50, bot: str = "demo-bot", quantity: str = "0.00003") -> list[Deny]:
    answers = []
    for _ in range(times):
        desk.pass_time(every_ms)
        reply = desk.give(desk.requested(quantity, bot=bot)).reply
        assert isinstance(reply, Deny)
        answers.append(reply)
    return answers


def first(desk: HoldingDesk) -> list[e.OrderDenied]:
    return [one for one in desk.events(e.OrderDenied) if isinstance(one, e.OrderDenied)]


def again(desk: HoldingDesk) -> list[e.OrdersDeniedAgain]:
    return [one for one in desk.events(e.OrdersDeniedAgain) if isinstance(one, e.OrdersDeniedAgain)]


def denied(desk: HoldingDesk) -> int:
    tally = desk.now_seen.tally
    assert tally is not None
    (found,) = [one for one in metrics(tally, Environment.REHEARSAL) if one.name is MetricName.DENIED_ORDERS]
    return tally.denials if found.value is None else int(found.value)


def test_each_answer_after_a_halt_names_the_halt_and_its_reason(halted: HoldingDesk) -> None:
    answers = ask(halted, 3)
    assert {one.rule for one in answers} == {"stage"}
    assert {one.message for one in answers} == {"no new orders are accepted in HALTED (at HALTED: operator: the bot misbehaves)"}


def test_a_halt_is_the_reason_also_while_the_books_are_not_reconciled(halted: HoldingDesk) -> None:
    halted.boot()
    assert not halted.state.armed
    assert [one.rule for one in ask(halted)] == ["stage"]


def test_a_storm_of_refusals_is_one_entry_at_once_and_one_a_minute(halted: HoldingDesk) -> None:
    ask(halted, 1200)
    assert (len(first(halted)), len(again(halted))) == (1, 0)
    ask(halted, 1)
    (entry,) = again(halted)
    assert (entry.count, entry.bot, entry.rule, entry.since) == (1200, "demo-bot", "stage", halted.now - 59_950)
    ask(halted, 1200)
    assert [one.count for one in again(halted)] == [1200, 1200]


def test_no_refusal_is_lost_from_what_gates_count(halted: HoldingDesk) -> None:
    before = denied(halted)
    for number in range(1, 1500):
        ask(halted)
        assert denied(halted) == before + number
    halted.give(i.Stopping())
    assert sum(one.count for one in again(halted)) + len(first(halted)) == 1499
    assert halted.state.tally == halted.now_seen.tally


def test_a_count_is_written_before_another_event(halted: HoldingDesk) -> None:
    ask(halted, 5)
    halted.journal.clear()
    halted.give(i.HaltCompleted("operator", 1, 1, 0, verified_empty=True))
    assert [event.kind for event, _ in halted.journal] == ["orders-denied-again", "halt-measured"]


def test_what_is_known_outlives_another_event(halted: HoldingDesk) -> None:
    ask(halted, 2)
    halted.give(i.HaltCompleted("operator", 1, 1, 0, verified_empty=True))
    ask(halted, 3)
    assert len(first(halted)) == 1


def test_every_bot_has_a_first_refusal_of_its_own(halted: HoldingDesk) -> None:
    ask(halted, 2)
    ask(halted, 2, bot="other-bot")
    assert [one.bot for one in first(halted)] == ["demo-bot", "other-bot"]
    ask(halted, 2)
    assert len(first(halted)) == 2


def test_a_new_halt_is_a_new_reason(halted: HoldingDesk) -> None:
    ask(halted, 2)
    halted.state = VALIDATING.state
    halted.give(i.HaltAsked("operator", "again"))
    halted.journal.clear()
    (answer,) = ask(halted)
    assert "again" in answer.message
    assert len(first(halted)) == 1


def test_a_refusal_after_a_quiet_minute_is_a_first_one(halted: HoldingDesk) -> None:
    ask(halted)
    ask(halted, every_ms=COUNT_MS - 1)
    ask(halted, every_ms=1)
    assert (len(first(halted)), [one.count for one in again(halted)]) == (1, [2])
    ask(halted, every_ms=COUNT_MS)
    assert len(first(halted)) == 2


def test_denials_about_the_order_itself_are_journalled_one_by_one(desk: HoldingDesk) -> None:
    ask(desk, 3, quantity="0.5")
    assert {one.rule for one in first(desk)}.isdisjoint({"stage", "guard"})
    assert (len(first(desk)), again(desk)) == (3, [])


def test_an_order_is_admitted_as_soon_as_the_reason_is_gone(desk: HoldingDesk) -> None:
    key = BOT_KEYS["demo-bot"]
    issued = desk.state.bot_keys[key]
    desk.state = replace(desk.state, bot_keys=desk.state.bot_keys.delete(key))
    assert {one.rule for one in ask(desk, 5)} == {"bot-key"}
    desk.state = replace(desk.state, bot_keys=desk.state.bot_keys.set(key, issued))
    assert isinstance(desk.order("0.00003").reply, Admitted)
    assert [one.count for one in again(desk)] == [4]


def test_only_so_many_kinds_are_known() -> None:
    known, fact = Refusals(), ("fact",)

    def event(number: int) -> e.OrderDenied:
        return e.OrderDenied(
            bot=f"bot-{number}",
            bot_client_id="",
            symbol="BTCUSDT",
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=None,
            quote_quantity=None,
            price=None,
            rule="stage",
            measured="HALTED",
            threshold="a stage",
            message="no",
        )

    for number in range(KINDS_MOST + 10):
        known = known.first(event(number), fact, Millis(1))
    assert len(known.known) == KINDS_MOST
    assert known.counted(event(KINDS_MOST), fact, Millis(2)) is None
    assert known.counted(event(0), ("other",), Millis(2)) is None
    assert known.counted(event(0), fact, Millis(2)) is not None


def test_a_policy_that_judges_denials_gets_an_entry_for_each() -> None:
    rule = GateRule(
        id="denials", metric=MetricName.DENIED_ORDERS, op=Op.AT_MOST, threshold=Decimal(5), unit=Unit.COUNT, min_samples=1
    )
    policy = demo_policy()
    gates = policy.gates.model_copy(update={"validation": (*policy.gates.validation, rule)})
    desk = HoldingDesk.of(Desk(policy.model_copy(update={"gates": gates})).arm())
    desk.give(i.HaltAsked("operator", "the bot misbehaves"))
    ask(desk, 5)
    assert (len(first(desk)), again(desk)) == (5, [])
