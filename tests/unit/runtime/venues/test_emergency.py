"""The last cancelling of a process that ends: at every venue at once, and never without an end; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller.runtime.venues.emergency import GIVE_UP_AFTER_S, IN_FLIGHT_NS, cancel_everything
from exchange.ports import CancelAck, CancelOutcome, VenueName
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

LIVE, TESTNET = VenueName.LIVE, VenueName.TESTNET
SYMBOLS = ("BTCUSDT",)


class Account:
    """A venue whose orders a cancel removes, or one that never becomes empty."""

    def __init__(self, orders: int = 1, *, stays: bool = False) -> None:
        self.orders, self.stays, self.lists = orders, stays, 0

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        assert symbols == SYMBOLS
        self.orders = self.orders if self.stays else 0
        return CancelAck()

    async def remaining(self, symbols: Sequence[str]) -> Sequence[Any]:
        assert symbols == SYMBOLS
        self.lists += 1
        return [_Listed(str(number)) for number in range(self.orders)]


class _Listed:
    def __init__(self, order_id: str) -> None:
        self.order_id = order_id


class Ending:
    """One process that ends: what it did, and when it was done."""

    def __init__(self, venues: Mapping[VenueName, Account], *, alert_takes_s: float = 0.0, opens: bool = True) -> None:
        self.loop = VirtualTimeLoop()
        self.venues, self.alert_takes_s, self.opens = venues, alert_takes_s, opens
        self.alerts = self.closed = 0

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Any]:
        if not self.opens:
            raise OSError("no descriptor")
        yield self.venues
        self.closed += 1

    async def _notify(self) -> None:
        await asyncio.sleep(self.alert_takes_s)
        self.alerts += 1

    def run(self, *, in_flight: bool = False) -> float:
        """The second at which it was done."""

        async def work() -> float:
            clock = VirtualClock(self.loop)
            await cancel_everything(self._open, (LIVE, TESTNET), SYMBOLS, clock, in_flight=in_flight, notify=self._notify)
            return self.loop.time()

        return run_in_virtual_time(work(), self.loop)


def test_every_venue_is_emptied_and_its_client_closed() -> None:
    accounts = {LIVE: Account(2), TESTNET: Account(3)}
    ending = Ending(accounts)
    ending.run()
    assert ([account.orders for account in accounts.values()], ending.closed) == ([0, 0], 1)


def test_a_venue_without_a_client_is_left_out() -> None:
    account = Account()
    Ending({TESTNET: account}).run()
    assert account.orders == 0


def test_the_log_says_which_venue_is_proven_empty(caplog: pytest.LogCaptureFixture) -> None:
    Ending({LIVE: Account(0)}).run()
    assert [record.args for record in caplog.records] == [(LIVE, 0)]


def test_an_order_in_flight_may_still_arrive_for_a_while() -> None:
    ending = Ending({LIVE: Account()})
    ending.loop.passed_s = 5.0
    assert ending.run(in_flight=True) == 5.0 + IN_FLIGHT_NS / 1e9


def test_without_an_order_in_flight_two_empty_lists_are_proof() -> None:
    assert Ending({LIVE: Account()}).run() < 5.0


def test_it_gives_up_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    assert Ending({LIVE: Account(stays=True)}).run() == GIVE_UP_AFTER_S
    assert caplog.records[-1].exc_info


def test_the_alert_goes_out_while_the_orders_are_cancelled() -> None:
    ending = Ending({LIVE: Account()}, alert_takes_s=0.5)
    assert ending.run() < 5.0
    assert ending.alerts == 1


def test_a_slow_alert_is_waited_for_but_not_for_ever() -> None:
    ending = Ending({LIVE: Account(0)}, alert_takes_s=30.0)
    ending.run()
    assert ending.alerts == 1
    hung = Ending({LIVE: Account(0)}, alert_takes_s=10_000.0)
    assert hung.run() <= GIVE_UP_AFTER_S + 5.0


def test_the_alert_goes_out_when_no_venue_can_be_opened() -> None:
    ending = Ending({}, opens=False)
    ending.run()
    assert ending.alerts == 1
