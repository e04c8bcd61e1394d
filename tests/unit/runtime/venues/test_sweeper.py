"""Each try to read an account is a reading of its own, and one that the core asks for begins when it can be over at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any, cast

import pytest
from immutables import Map

from controller.core.effects import ReadAccount
from controller.core.inputs import AccountRead
from controller.core.state import Ledger, State
from controller.runtime.venues.perform import Performer
from controller.runtime.venues.reconcile import QUIET_NS, TRIES, Sweeper
from controller.runtime.venues.strangers import Strangers
from exchange.errors import VenueError
from exchange.mexc.ratelimit import ACCOUNTS_PER_WINDOW, WINDOW
from exchange.model import Balance, Fill, Millis, Side
from exchange.ports import VenueName
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

LIVE = VenueName.LIVE
QUERY_S = 0.1
QUIET_S = QUIET_NS / 1e9
EVERY_S = 60


@dataclass
class Account:
    """Answers each query after ``QUERY_S``. It holds one of these amounts at each question for balances; the last one stays."""

    amounts: list[int] = field(default_factory=lambda: [1])
    asked: int = 0
    silent: bool = False
    asked_for: list[str] = field(default_factory=list)
    name: VenueName = LIVE

    async def balances(self) -> dict[str, Balance]:
        self.asked += 1
        self.asked_for.append("balances")
        await asyncio.sleep(QUERY_S)
        if self.silent:
            raise VenueError("no reply", code="venue-silent", remedy="wait")
        amount = self.amounts.pop(0) if len(self.amounts) > 1 else self.amounts[0]
        return {"USDT": Balance("USDT", Decimal(amount), Decimal(0))}

    async def open_orders(self, _symbol: str) -> tuple[()]:
        self.asked_for.append("orders")
        await asyncio.sleep(QUERY_S)
        return ()

    async def fills(self, symbol: str, since: Millis) -> tuple[Fill]:
        self.asked_for.append("fills")
        await asyncio.sleep(QUERY_S)
        one = Decimal(1)
        number = len(self.asked_for)
        return (Fill(f"T{number}", "C1", "", symbol, Side.BUY, one, one, one, one, "USDT", maker=False, at=since),)


@dataclass
class Reads:
    """Takes the place of the inbox."""

    taken: list[AccountRead] = field(default_factory=list)

    def fact(self, reading: AccountRead, _known_ns: int) -> None:
        self.taken.append(reading)


def sweeper_of(
    account: Account, loop: VirtualTimeLoop, *, baseline: bool = False, lost: bool = False
) -> tuple[Sweeper, list[AccountRead]]:
    """One more fill is booked each time that the sweeper looks at our books. ``lost``: an order has no outcome."""
    totals: Map[str, Decimal] | None = Map() if baseline else None
    found, booked = Reads(), count(1)
    sweeper = Sweeper(
        cast("Any", account),
        symbols=("BTCUSDT",),
        ledger=lambda: Ledger(totals=totals, fills_booked=next(booked)),
        inbox=cast("Any", found),
        clock=VirtualClock(loop),
        every_s=EVERY_S,
        rules=dict,
        strangers=Strangers(State),
        lost=lambda: lost,
    )
    return sweeper, found.taken


@pytest.fixture
def loop() -> VirtualTimeLoop:
    return VirtualTimeLoop()


def test_a_reading_began_with_the_try_that_gave_it(loop: VirtualTimeLoop) -> None:
    account = Account([1, 2, 2])
    sweeper, found = sweeper_of(account, loop)
    start = VirtualClock(loop).now()
    run_in_virtual_time(sweeper.sweep(), loop)
    (reading,) = found
    # The second question for the balances ended the first try and began the second one.
    assert (reading.started_at - start, reading.fills_before, account.asked) == (300, 2, 3)


def test_an_end_is_heard_while_a_sweep_is_asked_for(loop: VirtualTimeLoop) -> None:
    sweeper, _ = sweeper_of(Account(), loop)

    async def ended() -> bool:
        sweeping = asyncio.create_task(sweeper.run())
        await asyncio.sleep(EVERY_S / 2)
        sweeper.sweep_soon()
        sweeping.cancel()
        await asyncio.wait({sweeping}, timeout=EVERY_S)
        return sweeping.cancelled()

    assert run_in_virtual_time(ended(), loop)


def test_an_account_that_never_stands_still_gives_no_baseline(loop: VirtualTimeLoop) -> None:
    account = Account(list(range(TRIES + 1)))
    sweeper, found = sweeper_of(account, loop)
    run_in_virtual_time(sweeper.sweep(), loop)
    assert (found, account.asked) == ([], TRIES + 1)


def test_an_account_that_moves_is_read_once_and_its_trades_again(loop: VirtualTimeLoop) -> None:
    account = Account([1, 2])
    sweeper, found = sweeper_of(account, loop, baseline=True)
    start = VirtualClock(loop).now()
    run_in_virtual_time(sweeper.sweep(), loop)
    (reading,) = found
    assert account.asked_for == ["balances", "orders", "fills", "balances", "fills"]
    assert (reading.still, reading.fills_before, reading.snapshot.balances["USDT"].total) == (False, 1, 2)
    assert (reading.started_at - start, (reading.answered_at or start) - start) == (0, 400)
    assert [fill.trade_id for fill in (*reading.snapshot.fills, *reading.later)] == ["T3", "T5"]


def test_a_lost_order_needs_an_account_that_stands_still(loop: VirtualTimeLoop) -> None:
    account = Account([1, 2, 2])
    sweeper, found = sweeper_of(account, loop, baseline=True, lost=True)
    run_in_virtual_time(sweeper.sweep(), loop)
    assert [(reading.still, reading.fills_before, reading.later) for reading in found] == [(True, 2, ())]


def test_a_lost_order_does_not_hold_up_the_reading_for_ever(loop: VirtualTimeLoop) -> None:
    account = Account(list(range(TRIES + 1)))
    sweeper, found = sweeper_of(account, loop, baseline=True, lost=True)
    run_in_virtual_time(sweeper.sweep(), loop)
    assert [(reading.still, reading.fills_before, reading.snapshot.balances["USDT"].total) for reading in found] == [
        (False, TRIES, TRIES)
    ]


def looked(loop: VirtualTimeLoop, account: Account, *pauses_s: float) -> int:
    """How many readings there were when a look was asked for after each of these pauses, and a little later."""
    sweeper, found = sweeper_of(account, loop)

    async def work() -> None:
        running = asyncio.create_task(sweeper.run())
        for pause in pauses_s:
            await asyncio.sleep(pause)
            sweeper.look_now()
        await asyncio.sleep(1)
        running.cancel()

    run_in_virtual_time(work(), loop)
    return len(found)


READING_S = 4 * QUERY_S
AFTER_S = READING_S + QUIET_S + 0.01


def test_a_look_reads_at_once_when_the_venue_is_quiet(loop: VirtualTimeLoop) -> None:
    assert looked(loop, Account(), AFTER_S) == 2


@pytest.mark.parametrize("pause_s", [READING_S / 2, READING_S + QUIET_S - 0.01])
def test_a_look_that_would_have_to_wait_is_left_out(loop: VirtualTimeLoop, pause_s: float) -> None:
    assert looked(loop, Account(), pause_s) == 1


def test_many_looks_are_as_many_readings_as_the_venue_allows(loop: VirtualTimeLoop) -> None:
    assert looked(loop, Account(), AFTER_S, *[0.05] * 40) == 3


def test_a_look_reads_after_a_venue_that_did_not_answer(loop: VirtualTimeLoop) -> None:
    account = Account(silent=True)
    loop.call_later(2 * QUERY_S, setattr, account, "silent", False)
    assert looked(loop, account, AFTER_S) == 1


def test_the_quiet_time_is_the_one_that_the_limits_need() -> None:
    assert ACCOUNTS_PER_WINDOW == 2, "a reading takes two questions for the balances"
    assert QUIET_NS >= WINDOW


def test_the_performer_has_the_account_read() -> None:
    asked: list[VenueName] = []
    unused = cast("Callable[..., Any]", None)
    performer = Performer(
        venues={},
        permits=cast("Any", None),
        inbox=cast("Any", None),
        clock=cast("Any", None),
        on_alert=unused,
        on_cancel_all_result=unused,
        on_not_empty=unused,
        still_open=unused,
        working=unused,
        trades_on=unused,
        owner=unused,
        strangers=cast("Any", None),
        read_account=asked.append,
    )
    performer.perform(ReadAccount(LIVE))
    assert asked == [LIVE]
