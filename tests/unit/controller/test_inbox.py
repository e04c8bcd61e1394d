"""The inbox: halts first, orders bounded, nothing else ever turned away."""

import asyncio

import pytest

from controller import inputs as i
from controller.deciding.draft import Decision
from controller.lifecycle import Position
from controller.runtime.inbox import Inbox, InboxFull
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import VenueName
from policies.authority import Verb
from policies.stage import Stage

ORDER = i.OrderRequested("demo-bot", OrderIntent("BTCUSDT", Side.BUY, OrderType.MARKET, ""), {}, {}, VenueName.MOCK, "demobotkey")


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(bound=8)


def ask(inbox: Inbox, given: i.Input) -> asyncio.Future[Decision]:
    return inbox.request(given, 0)


async def test_orders_are_turned_away_when_the_inbox_is_full(inbox: Inbox) -> None:
    for _ in range(8):
        ask(inbox, ORDER)
    with pytest.raises(InboxFull) as refusal:
        ask(inbox, ORDER)
    assert refusal.value.code == "inbox-full"


async def test_a_full_inbox_still_has_room_for_everything_that_is_not_an_order(inbox: Inbox) -> None:
    for _ in range(8):
        ask(inbox, ORDER)
    ask(inbox, i.CancelAsked("demo-bot", "x"))
    ask(inbox, i.ProposalAsked(Verb.HALT, Position(Stage.HALTED)))
    halt = ask(inbox, i.HaltAsked("test", "stop"))
    inbox.fact(i.Tick({}), 0)
    (first, *_) = await inbox.take(64)
    assert first.answer is halt


async def test_a_batch_is_bounded_and_nothing_is_lost(inbox: Inbox) -> None:
    for number in range(5):
        inbox.fact(i.HaltAsked("test", str(number)), number)
    assert [letter.known_ns for letter in await inbox.take(3)] == [0, 1, 2]
    assert [letter.known_ns for letter in await inbox.take(3)] == [3, 4]
