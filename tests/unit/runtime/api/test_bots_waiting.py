"""A bot always gets an answer: if the writer does not decide in time, it says whether the order may still be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.gateway.port import Busy, CancelRefused, Outstanding
from controller.runtime.api import bots as module
from controller.runtime.api.bots import Bots
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.venues.markets import Markets
from exchange.model import OrderType, Side, SymbolRules
from exchange.ports import VenueName
from exchange.wire.orders import NewOrder
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
    inbox, clock = shell.inbox, shell.clock
    markets = Markets(feeds=no_feeds, rules=rules, accelerated={}, symbols=(), clock=clock, inbox=inbox, offsets={})
    return Bots(writer=shell.writer, inbox=inbox, markets=markets, history=RecentHistory(), clock=clock)


async def test_an_order_gets_busy_while_the_writer_does_not_run(shell: Shell) -> None:
    assert await bots_of(shell).place(BOT, ORDER, key=BOT_KEYS[BOT]) == Busy(1)


async def test_an_order_without_the_writers_answer_is_outstanding(shell: Shell) -> None:
    placing = asyncio.create_task(bots_of(shell).place(BOT, ORDER, key=BOT_KEYS[BOT]))
    await shell.inbox.take(1)
    reply = await placing
    assert isinstance(reply, Outstanding)
    assert (reply.order_id, reply.bot_client_id) == ("", "mine-1")


async def test_a_cancel_is_answered_while_the_writer_does_not_run(shell: Shell) -> None:
    (order,) = (order for order in shell.writer.state.open.values() if order.working)
    assert isinstance(await bots_of(shell).cancel(BOT, order.symbol, order.client_id), CancelRefused)
