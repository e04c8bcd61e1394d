"""A bot's question about old orders and fills takes no more than its share of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.core import event_codec
from controller.core import events as e
from controller.gateway.port import Window
from controller.runtime.api import bots as module
from controller.runtime.api.bots import Bots
from controller.runtime.followers.kept import KeptFill
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.venues.markets import Markets
from exchange.model import Millis, OrderStatus, SymbolRules
from exchange.ports import VenueName
from tests.support.desk import SYMBOL, Desk
from tests.support.shell import Shell

BOT, EVER = "demo-bot", Window(Millis(0), Millis(2**53))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    desk = Desk().arm()
    desk.trade(6)
    made = Shell(desk, tmp_path / "journal.db")
    yield made
    made.journal.close()


def bots_of(shell: Shell, history: RecentHistory) -> Bots:
    rules = {name: dict[str, SymbolRules]() for name in VenueName}
    no_feeds: Any = dict.fromkeys(VenueName)
    no_candles: Any = None
    inbox, clock = shell.inbox, shell.clock
    markets = Markets(feeds=no_feeds, rules=rules, accelerated={}, symbols=(), clock=clock, inbox=inbox, clocks={})
    return Bots(writer=shell.writer, inbox=inbox, markets=markets, candles=no_candles, history=history, clock=clock)


async def test_old_orders_are_read_a_few_in_each_turn_of_the_loop(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    history, state = RecentHistory(), shell.desk.state
    for order in sorted(state.orders.values(), key=lambda order: order.number):
        history.orders.add(order, state)
    bots, turns = bots_of(shell, history), 0
    asked = asyncio.create_task(bots.all_orders(BOT, SYMBOL, EVER, 100, frozenset({OrderStatus.REJECTED})))
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    assert asked.result() == []
    assert turns > len(state.orders) / 2
    assert len(await bots.all_orders(BOT, SYMBOL, EVER, 100, None)) == len(state.orders)


def test_a_question_about_fills_reads_none_of_another_bot(shell: Shell) -> None:
    history, desk = RecentHistory(), shell.desk
    fills = [event for event, _ in desk.journal if isinstance(event, e.FillBooked)]
    history.fills.extend(KeptFill.of(fill, event_codec.encode(fill), BOT) for fill in fills)
    history.fills.append(KeptFill("other-bot", SYMBOL, desk.now, "reading this fails"))
    assert len(bots_of(shell, history).fills(BOT, SYMBOL, None, EVER, 100)) == len(fills)
