"""The faults of a rehearsal: what happens to a deployment in the middle of its validation, and where that should lead.

Each strikes once a quarter of the validation is covered and the bot holds something. Those of a venue are the testnet's own
(``exchange.testnet.conditions.faults``). ``FAULTS`` says for each where the rehearsal should end: a deployment that survives is
walked to the end, and one that must not goes to HALTED, with the words of the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from controller.journal.sqlite import SqliteJournal
from controller.rehearsal.operators import NoAnswer
from controller.rehearsal.scene import Rehearsal
from exchange.errors import UsageError
from exchange.testnet.conditions.faults import Fault, FaultKind
from exchange.testnet.venue import SimulatedVenue
from policies.stage import Stage

PART_COVERED = 4
LOOK_EVERY_S = 1.0
SHORT_S, LONG_S = 2.0, 45.0
"""How long a killed controller stays away: less and more than the watchdog's lease of 30 s."""


@dataclass(frozen=True, slots=True)
class FaultClass:
    """``what`` happens, in words; ``halts_with``: words of the reason with which the deployment halts, empty where it goes on."""

    what: str
    strike: Callable[[Rehearsal], Awaitable[None]]
    halts_with: str = ""


def named(names: str) -> tuple[str, ...]:
    """The faults of a comma-separated list. Raises ``UsageError``."""
    chosen = tuple(name for name in names.split(",") if name)
    unknown = [name for name in chosen if name not in FAULTS]
    if unknown:
        raise UsageError(
            f"{unknown[0]} is no fault of a rehearsal", code="rehearsal-fault", remedy=f"Name some of {', '.join(FAULTS)}."
        )
    return chosen


async def strike_in_turn(rehearsal: Rehearsal, names: Sequence[str]) -> None:
    """Let each fault strike, the first in the middle of the validation and each later one a minute after the one before."""
    await _in_the_middle(rehearsal)
    for number, name in enumerate(names):
        if number:
            await asyncio.sleep(60)
        await FAULTS[name].strike(rehearsal)
        rehearsal.struck.append(name)


async def _in_the_middle(rehearsal: Rehearsal) -> None:
    wanted_ms = rehearsal.plan.covered_s * 1000 // PART_COVERED
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            status: Mapping[str, Any] = await rehearsal.operators.status()
        except NoAnswer:
            continue
        coverage = status["coverage"] or {}
        covered = status["stage"] == Stage.TESTNET_VALIDATING.value and coverage.get("covered_ms", 0) >= wanted_ms
        if covered and Decimal(status["exposure_eur"] or 0) > 0:
            return


def _testnet(rehearsal: Rehearsal) -> SimulatedVenue:
    return rehearsal.venues["testnet"].venue


def _armed(kind: FaultKind, count: int = 1, **params: object) -> Callable[[Rehearsal], Awaitable[None]]:
    async def strike(rehearsal: Rehearsal) -> None:
        _testnet(rehearsal).arm(Fault.model_validate({"kind": kind, "count": count, "params": params}))

    return strike


async def _restart_venue(rehearsal: Rehearsal) -> None:
    venue = rehearsal.venues["testnet"]
    venue.down()
    await asyncio.sleep(20)
    venue.up()


async def _withhold(rehearsal: Rehearsal) -> None:
    site = rehearsal.venues["testnet"].site
    site.withheld = True
    await asyncio.sleep(20)
    site.withheld = False
    for cut in tuple(site.cuts):
        cut.abort()


async def _fill_disk(rehearsal: Rehearsal) -> None:
    journal = rehearsal.controller.journal
    assert isinstance(journal, SqliteJournal), "a rehearsal keeps its journal in a file"
    journal.forbid_growth(True)  # noqa: FBT003


async def _crash(rehearsal: Rehearsal) -> None:
    await rehearsal.controller.crash()
    await asyncio.sleep(SHORT_S)
    await rehearsal.controller.start()


async def _stay_away(rehearsal: Rehearsal) -> None:
    await rehearsal.controller.crash()
    await asyncio.sleep(LONG_S)
    await rehearsal.controller.start()


async def _take_money(rehearsal: Rehearsal) -> None:
    venue = _testnet(rehearsal)
    # Not a withdrawal that the venue's history could explain.
    venue.engine.withdraw("testnet", "USDT", Decimal(5), venue.clock.now())


FAULTS: Mapping[str, FaultClass] = MappingProxyType(
    {
        "venue-restart": FaultClass("the testnet answers nobody for 20 s, and every connection is cut", _restart_venue),
        "half-open": FaultClass("packets to and from the testnet vanish for 20 s, and no connection ends", _withhold),
        "lost-answers": FaultClass("three orders are carried out and not answered", _armed(FaultKind.LOST_ACK, 3)),
        "errors-after-accept": FaultClass(
            "three orders are carried out and answered with 503", _armed(FaultKind.ERROR_AFTER_ACCEPT, 3)
        ),
        "reset": FaultClass("an order is cut before it is carried out", _armed(FaultKind.CONNECTION_RESET, 1, operation="place")),
        "hidden-orders": FaultClass(
            "a new order is not found for 2 s, and its answer is lost",
            lambda rehearsal: _both(rehearsal, _armed(FaultKind.NOT_FOUND_LAG, 1, ms=2000), _armed(FaultKind.LOST_ACK, 1)),
        ),
        "stale-feed": FaultClass(
            "the testnet's streams stay open and say nothing for 40 s", _armed(FaultKind.STREAM_FREEZE, 1, ms=40_000)
        ),
        "version-gaps": FaultClass("five changes of the book are lost", _armed(FaultKind.VERSION_GAP, 5)),
        "stream-cut": FaultClass("every stream is cut", _armed(FaultKind.STREAM_CUT)),
        "listen-keys": FaultClass("every listen key ends", _armed(FaultKind.LISTENKEY_EXPIRY)),
        "repeated-events": FaultClass("ten private events come twice", _armed(FaultKind.DUPLICATE_PRIVATE_EVENTS, 10)),
        "reordered-events": FaultClass("ten private events change places", _armed(FaultKind.REORDERED_PRIVATE_EVENTS, 10)),
        "late-fills": FaultClass(
            "five cancels are answered 3 s before they take effect", _armed(FaultKind.LATE_FILL_AFTER_CANCEL, 5, ms=3000)
        ),
        "rate-limited": FaultClass(
            "the testnet answers 429 and asks to wait for 20 s", _armed(FaultKind.RATE_LIMITED, 1, retry_after_s=20)
        ),
        "banned": FaultClass("the testnet answers 418 and asks to wait for 60 s", _armed(FaultKind.IP_BANNED, 1, retry_after_s=60)),
        "crash": FaultClass("the controller is killed in position and starts again after 2 s", _crash),
        "crash-and-silence": FaultClass(
            "the controller is killed in position and stays away for longer than the watchdog's lease", _stay_away, "dead man"
        ),
        "clock-skew": FaultClass("the testnet's clock is 5 s ahead", _armed(FaultKind.CLOCK_SKEW, 1, ms=5000), "clock"),
        "disk-full": FaultClass("the journal's disk takes nothing more", _fill_disk, "disk"),
        "balance-break": FaultClass("5 USDT leave the account, and nothing says why", _take_money, "reconcil"),
        "price-crash": FaultClass(
            "the price falls to half", _armed(FaultKind.PRICE_GAP, 1, symbol="BTCUSDT", factor="0.5"), "loss"
        ),
    }
)


async def _both(rehearsal: Rehearsal, *strikes: Callable[[Rehearsal], Awaitable[None]]) -> None:
    for strike in strikes:
        await strike(rehearsal)
