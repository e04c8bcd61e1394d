"""The watchdog's reading: it cancels when it is asked to, counts what is open everywhere, and no venue delays or hides another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from controller.watchdog import emptying
from controller.watchdog.emptying import READING_WITHIN_S, read_open
from controller.watchdog.lease import Read
from exchange.errors import VenueError
from exchange.ports import CancelAck, CancelFailed, CancelOutcome, VenueName
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

LIVE, TESTNET = VenueName.LIVE, VenueName.TESTNET
SYMBOLS = {LIVE: ("BTCUSDT",), TESTNET: ("BTCUSDT", "ETHUSDT")}


class Account:
    """A venue with open orders that a cancel removes. Only the symbols of ``name`` have any."""

    def __init__(self, name: VenueName, orders: int, *, error: Exception | None = None, takes_s: float = 0.0) -> None:
        self.name, self.orders, self.error, self.takes_s = name, orders, error, takes_s
        self.refuses = ""

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        assert tuple(symbols) == SYMBOLS[self.name]
        if self.refuses:
            return CancelFailed(-1, self.refuses)
        self.orders = 0
        return CancelAck()

    async def remaining(self, symbols: Sequence[str]) -> Sequence[Any]:
        assert tuple(symbols) == SYMBOLS[self.name]
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        return [object()] * self.orders


def read(
    *accounts: Account, cancelling: bool = False, at: Sequence[VenueName] = (LIVE, TESTNET), began_s: float = 7.0
) -> tuple[Read, float]:
    """One reading, and the second at which it ended."""
    loop = VirtualTimeLoop()
    loop.passed_s = began_s
    venues: Any = {account.name: account for account in accounts}
    targets = tuple((name, SYMBOLS[name]) for name in at)
    work = read_open(venues, targets, VirtualClock(loop), reading=4, cancelling=cancelling)
    return run_in_virtual_time(work, loop), loop.passed_s


def refusal(message: str) -> VenueError:
    return VenueError(message, code="venue-error", remedy="Wait.")


def test_a_reading_adds_up_what_every_venue_shows_and_says_when_it_began() -> None:
    found, _ = read(Account(LIVE, 2, takes_s=1.0), Account(TESTNET, 3))
    assert found == Read(4, 7_000_000_000, 5)


def test_a_reading_that_does_not_cancel_leaves_every_order() -> None:
    account = Account(LIVE, 2)
    read(account, at=[LIVE])
    assert account.orders == 2


def test_a_reading_that_cancels_counts_what_is_left_afterwards() -> None:
    found, _ = read(Account(LIVE, 2), Account(TESTNET, 3), cancelling=True)
    assert found.orders == 0


def test_a_venue_that_does_not_answer_leaves_the_number_unknown() -> None:
    found, _ = read(Account(LIVE, 0), Account(TESTNET, 3, error=refusal("HTTP 503")))
    assert found == Read(4, 7_000_000_000, None, "testnet: HTTP 503")


def test_every_venue_that_does_not_answer_is_named() -> None:
    found, _ = read(Account(LIVE, 0, error=refusal("no answer")), Account(TESTNET, 0, error=ZeroDivisionError()))
    assert found.problem == "live: no answer; testnet: ZeroDivisionError"


def test_a_venue_that_does_not_answer_keeps_no_other_from_being_cancelled() -> None:
    account = Account(TESTNET, 3)
    read(Account(LIVE, 1, error=refusal("no answer")), account, cancelling=True)
    assert account.orders == 0


def test_an_accepted_cancel_is_not_named_when_the_orders_cannot_be_read() -> None:
    found, _ = read(Account(LIVE, 1, error=refusal("no answer")), at=[LIVE], cancelling=True)
    assert found.problem == "live: no answer"


def test_a_refused_cancel_is_named_when_the_orders_cannot_be_read() -> None:
    account = Account(LIVE, 1, error=refusal("no answer"))
    account.refuses = "busy"
    found, _ = read(account, at=[LIVE], cancelling=True)
    assert found.problem == "live: no answer (the cancel was refused: busy)"


def test_a_defect_after_a_refused_cancel_names_the_refusal() -> None:
    account = Account(LIVE, 1, error=ZeroDivisionError())
    account.refuses = "busy"
    found, _ = read(account, at=[LIVE], cancelling=True)
    assert found.problem == "live: ZeroDivisionError (the cancel was refused: busy)"


def test_a_target_without_a_venue_counts_as_unanswered() -> None:
    found, _ = read(Account(LIVE, 0))
    assert (found.orders, found.problem) == (None, "testnet: KeyError")


def test_a_venue_that_hangs_counts_as_unanswered_in_the_end() -> None:
    found, ended_s = read(Account(LIVE, 0, takes_s=10 * READING_WITHIN_S), at=[LIVE])
    assert (found.orders, found.problem, ended_s) == (None, "live: TimeoutError", 7.0 + READING_WITHIN_S)


def test_a_venue_that_answers_late_is_waited_for() -> None:
    found, _ = read(Account(LIVE, 1, takes_s=READING_WITHIN_S - 1), at=[LIVE])
    assert found.orders == 1


def test_a_long_problem_is_cut() -> None:
    found, _ = read(Account(LIVE, 0, error=refusal("x" * 900)), at=[LIVE])
    assert len(found.problem) == 500


def test_a_defect_is_logged_once_with_its_cause(caplog: Any) -> None:
    read(Account(LIVE, 0, error=ZeroDivisionError()), at=[LIVE])
    (record,) = caplog.records
    assert (record.name, record.exc_info[0]) == (emptying.__name__, ZeroDivisionError)
