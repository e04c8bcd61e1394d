"""A bot always gets an answer: if the writer does not decide in time, it says whether the order may still be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.core.decisions.draft import Admitted
from controller.core.effects import Place
from controller.core.inputs import PlacementAnswered
from controller.gateway.port import Accepted, Busy, CancelRefused, Outstanding, PlaceReply, VenueRejected
from controller.runtime.api import bots as module
from controller.runtime.api.bots import Bots
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.venues.markets import Markets
from exchange.model import Millis, OrderType, Side, SymbolRules
from exchange.ports import Ack, PlaceOutcome, Rejected, Unknown, VenueName
from exchange.wire.orders import NewOrder
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import BOT_KEYS, Desk
from tests.support.shell import Shell

BOT = "demo-bot"
ORDER = NewOrder("BTCUSDT", Side.BUY, OrderType.LIMIT, "mine-1", Decimal("0.00003"), None, Decimal(60_000))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setattr(module, "DECIDED_WITHIN_S", 0.01)
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.tick()
    desk.placed(desk.order("0.00003"))
    made = Shell(desk, tmp_path / "journal.db")
    yield made
    made.journal.close()


def bots_of(shell: Shell) -> Bots:
    rules = {name: dict[str, SymbolRules]() for name in VenueName}
    no_feeds: Any = dict.fromkeys(VenueName)
    no_candles: Any = None
    inbox, clock = shell.inbox, shell.clock
    markets = Markets(feeds=no_feeds, rules=rules, accelerated={}, symbols=(), clock=clock, inbox=inbox, clocks={})
    return Bots(writer=shell.writer, inbox=inbox, markets=markets, candles=no_candles, history=RecentHistory(), clock=clock)


async def test_an_order_gets_busy_while_the_writer_does_not_run(shell: Shell) -> None:
    assert await bots_of(shell).place(BOT, ORDER, key=BOT_KEYS[BOT]) == Busy(1)


async def test_what_is_asked_first_denies_new_orders_and_no_repeated_one(shell: Shell, tmp_path: Path) -> None:
    denial = Deny("signer-budget", "8", "0", "nothing is left", "Wait.")
    bots = bots_of(shell)
    bots.ask_first(lambda venue, intent: denial if (venue, intent.side) == (VenueName.LIVE, Side.BUY) else None)
    assert await bots.place(BOT, ORDER, key=BOT_KEYS[BOT]) == denial
    shell.desk.placed(shell.desk.order("0.00003", bot_id="mine-1"))
    later = Shell(shell.desk, tmp_path / "later.db")
    try:
        bots = bots_of(later)
        bots.ask_first(lambda _venue, _intent: denial)
        assert await bots.place(BOT, ORDER, key=BOT_KEYS[BOT]) == Busy(1)
    finally:
        later.journal.close()


async def test_what_is_asked_first_denies_no_order_whose_first_copy_is_undecided(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DECIDED_WITHIN_S", 5)
    bots, denials = bots_of(shell), list[Deny]()
    bots.ask_first(lambda _venue, _intent: denials[0] if denials else None)
    first = asyncio.create_task(bots.place(BOT, ORDER, key=BOT_KEYS[BOT]))
    await asyncio.sleep(0)
    denials.append(Deny("signer-budget", "8", "0", "nothing is left", "Wait."))
    again = asyncio.create_task(bots.place(BOT, ORDER, key=BOT_KEYS[BOT]))
    await asyncio.sleep(0)
    for name in ("mine-2", None):
        assert await bots.place(BOT, replace(ORDER, client_id=name), key=BOT_KEYS[BOT]) == denials[0]
    await shell.step()
    answers = await asyncio.wait_for(asyncio.gather(first, again), 5)
    assert answers[0] == answers[1] != denials[0], "both were decided"


async def test_an_order_without_the_writers_answer_is_outstanding(shell: Shell) -> None:
    placing = asyncio.create_task(bots_of(shell).place(BOT, ORDER, key=BOT_KEYS[BOT]))
    await shell.inbox.take(1)
    reply = await placing
    assert isinstance(reply, Outstanding)
    assert (reply.order_id, reply.bot_client_id) == ("", "mine-1")


async def test_a_cancel_is_answered_while_the_writer_does_not_run(shell: Shell) -> None:
    (order,) = (order for order in shell.writer.state.open.values() if order.working)
    assert isinstance(await bots_of(shell).cancel(BOT, order.symbol, order.client_id), CancelRefused)


async def waiting_twice(shell: Shell) -> tuple[str, list[asyncio.Task[PlaceReply]], Bots]:
    """An order that is admitted and not answered, and two requests that sent it again and wait."""
    bots = bots_of(shell)
    asked = shell.ask(shell.desk.requested("0.00003", "60000", bot_id="mine-1"))
    await shell.step()
    reply = (await asked).reply
    assert isinstance(reply, Admitted)
    tasks = [asyncio.create_task(bots.place(BOT, ORDER, key=BOT_KEYS[BOT])) for _ in range(2)]
    await asyncio.sleep(0)
    # Both requests are decided in one turn of the writer.
    await asyncio.wait_for(shell.step(), 5)
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in tasks)
    assert sum(isinstance(effect, Place) for effect in shell.performed) == 1, "the order was sent twice"
    return reply.client_id, tasks, bots


@pytest.mark.parametrize("outcome", [Ack("C02__1", Millis(1)), Rejected(30005, "Oversold"), Unknown("time-out")])
async def test_one_id_sent_twice_before_the_ack_gets_one_answer(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, outcome: PlaceOutcome
) -> None:
    monkeypatch.setattr(module, "DECIDED_WITHIN_S", 5)
    client_id, tasks, _ = await waiting_twice(shell)
    shell.inbox.fact(PlacementAnswered(client_id, outcome), 0)
    await shell.step()
    first, second = await asyncio.wait_for(asyncio.gather(*tasks), 1)
    assert first == second
    assert isinstance(first, {Ack: Accepted, Rejected: VenueRejected, Unknown: Outstanding}[type(outcome)])


async def test_a_request_that_gives_up_leaves_the_others_their_answer(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DECIDED_WITHIN_S", 5)
    client_id, (first, second), bots = await waiting_twice(shell)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    shell.inbox.fact(PlacementAnswered(client_id, Ack("C02__1", Millis(1))), 0)
    await shell.step()
    assert isinstance(await asyncio.wait_for(second, 1), Accepted)
    assert bots._waiting == {}
