"""The history of deposits and withdrawals is asked about a difference: at once, a few times, then seldom. Never without one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import pytest
from immutables import Map

from controller.core.inputs import AccountSnapshot, MovesRead
from controller.core.state import Ledger
from controller.runtime.venues.capital import LATE_EVERY_NS, LATE_NS, THEN_EVERY_NS, CapitalHistory
from exchange.errors import VenueError
from exchange.model import Balance, CapitalMove, Fill, Millis, Side
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

D = Decimal
BOOKS = Ledger(totals=Map({"USDT": D(100)}), baselined_at=Millis(1_000), agreed_at=Millis(90_000))
MOVE = CapitalMove("W1", "USDT", D(-20), Millis(95_000))


@dataclass
class History:
    """A venue that keeps one."""

    moves: Sequence[CapitalMove] = (MOVE,)
    fails: str = ""
    asked: list[Millis] = field(default_factory=list)

    async def capital_moves(self, since: Millis) -> Sequence[CapitalMove]:
        self.asked.append(since)
        if self.fails:
            raise VenueError("MEXC 700007", code=self.fails, remedy="Ask for the permission.")
        return self.moves


def shows(usdt: int, *fills: Fill) -> AccountSnapshot:
    return AccountSnapshot((), fills, {"USDT": Balance("USDT", D(usdt), D(0))})


def explained(venue: object, *snapshots: AccountSnapshot, every_s: float = 3, ledger: Ledger = BOOKS) -> list[MovesRead | None]:
    loop = VirtualTimeLoop()
    history = CapitalHistory(cast("Any", venue), VirtualClock(loop), dict)

    async def work() -> list[MovesRead | None]:
        found = []
        for snapshot in snapshots:
            found.append(await history.explain(ledger, snapshot))
            await asyncio.sleep(every_s)
        return found

    return run_in_virtual_time(work(), loop)


def test_an_account_that_agrees_asks_nothing() -> None:
    history = History()
    assert explained(history, *[shows(100)] * 50) == [None] * 50
    assert history.asked == []


def test_a_difference_is_asked_about_since_the_last_agreement() -> None:
    history = History()
    assert explained(history, shows(80)) == [MovesRead((MOVE,))]
    assert history.asked == [85_000]


def test_a_baseline_after_the_last_agreement_is_the_earliest_time() -> None:
    history = History()
    explained(history, shows(80), ledger=Ledger(totals=BOOKS.totals, baselined_at=Millis(89_700), agreed_at=Millis(90_000)))
    assert history.asked == [89_000]


def test_a_difference_that_stays_is_asked_about_seldom() -> None:
    history = History()
    explained(history, *[shows(80)] * 1_200, every_s=1)
    late = LATE_NS // LATE_EVERY_NS
    assert len(history.asked) == late + (1_200 - LATE_NS // 10**9) * 10**9 // THEN_EVERY_NS


def test_another_difference_is_asked_about_at_once() -> None:
    history = History()
    explained(history, shows(80), shows(80), shows(70), every_s=1)
    assert len(history.asked) == 2


def test_between_two_questions_the_last_answer_stands() -> None:
    history = History()
    assert explained(history, shows(80), shows(80), every_s=1) == [MovesRead((MOVE,))] * 2
    assert len(history.asked) == 1


def test_a_trade_that_is_not_booked_yet_is_no_difference() -> None:
    history = History()
    fill = Fill("T1", "O1", "", "BTCUSDT", Side.BUY, D(1), D(20), D(20), D(0), "USDT", maker=False, at=Millis(1))
    assert explained(history, shows(80, fill)) == [None]


@pytest.mark.parametrize(("code", "refused"), [("venue-refused-query", True), ("venue-silent", False)])
def test_a_failure_is_reported_and_does_not_stop_the_reading(code: str, refused: bool) -> None:
    assert explained(History(fails=code), shows(80)) == [MovesRead(problem="MEXC 700007", refused=refused)]


@pytest.mark.parametrize("venue", [object()])
def test_a_venue_without_a_history_is_not_asked(venue: object) -> None:
    assert explained(venue, shows(80)) == [None]
