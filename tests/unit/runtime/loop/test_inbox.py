"""The inbox: halts first, orders bounded, no other input ever refused."""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from controller.core import inputs as i
from controller.core.decisions.draft import Decision
from controller.core.lifecycle import Position
from controller.runtime.loop.inbox import Inbox, InboxFull, Undecided
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import VenueName
from exchange.threads import WrongThread
from policies.authority import Verb
from policies.stage import Stage

ORDER = i.OrderRequested("demo-bot", OrderIntent("BTCUSDT", Side.BUY, OrderType.MARKET, ""), {}, {}, VenueName.MOCK, "demobotkey")


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(bound=8)


def ask(inbox: Inbox, input_: i.Input) -> asyncio.Future[Decision]:
    return inbox.request(input_, 0)


async def test_orders_are_refused_when_the_inbox_is_full(inbox: Inbox) -> None:
    for _ in range(8):
        ask(inbox, ORDER)
    with pytest.raises(InboxFull) as refusal:
        ask(inbox, ORDER)
    assert refusal.value.code == "inbox-full"


async def test_a_full_inbox_still_takes_every_input_that_is_not_an_order(inbox: Inbox) -> None:
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
    assert [queued.known_ns for queued in await inbox.take(3)] == [0, 1, 2]
    assert [queued.known_ns for queued in await inbox.take(3)] == [3, 4]


@pytest.fixture
def fast_thread_switches() -> Iterator[None]:
    """The interpreter switches threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


async def test_another_thread_puts_nothing_in_and_loses_no_wake_up(inbox: Inbox, fast_thread_switches: None) -> None:
    refused = asyncio.create_task(asyncio.to_thread(_put_from_here, inbox, 2_000))
    taken = 0
    for number in range(2_000):
        inbox.fact(i.HaltAsked("test", "stop"), number)
        taken += len(await inbox.take(64))
        await asyncio.sleep(0)
    assert (await refused, taken) == (2_000, 2_000)


def _put_from_here(inbox: Inbox, times: int) -> int:
    refused = 0
    for _ in range(times):
        try:
            inbox.fact(i.Tick({}), 0)
        except WrongThread:
            refused += 1
    return refused


async def test_another_thread_can_neither_ask_nor_take(inbox: Inbox) -> None:
    with pytest.raises(WrongThread):
        await asyncio.to_thread(inbox.request, ORDER, 0)
    with pytest.raises(WrongThread):
        await asyncio.to_thread(inbox.take_stops)


async def test_an_order_that_is_not_decided_in_time_is_withdrawn(inbox: Inbox) -> None:
    with pytest.raises(Undecided) as late:
        await inbox.ask(ORDER, 0, within_s=0.001)
    inbox.fact(i.Tick({}), 0)
    assert (late.value.withdrawn, [type(queued.input) for queued in await inbox.take(64)]) == (True, [i.Tick])


async def test_an_order_the_writer_has_taken_may_still_be_decided(inbox: Inbox) -> None:
    asking = asyncio.create_task(inbox.ask(ORDER, 0, within_s=0.01))
    await inbox.take(64)
    with pytest.raises(Undecided) as late:
        await asking
    assert not late.value.withdrawn


async def test_a_halt_is_never_withdrawn(inbox: Inbox) -> None:
    with pytest.raises(Undecided) as late:
        await inbox.ask(i.HaltAsked("test", "stop"), 0, within_s=0.001)
    assert (late.value.withdrawn, len(await inbox.take(64))) == (False, 1)
