"""The long reads of the operator API: a series is thinned without hiding a gap, and no read keeps the event loop to itself."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from immutables import Map

from controller.core.state import State
from controller.runtime.api.reads import MAX_SERIES_POINTS, PIECE, Reads
from controller.runtime.followers.kept import Sample
from controller.runtime.followers.recent import RecentHistory, SavedHistory
from exchange.model import Millis
from policies.stage import Stage


def sample(second: int, *, covered: bool = True) -> Sample:
    return Sample(Millis(second * 1_000), Decimal(second), None, Decimal(10), covered, Stage.TESTNET_VALIDATING)


def reads(*samples: Sample) -> Reads:
    history = RecentHistory()
    history.restore(SavedHistory(Map(), 0, (), (), (), (), (), tuple(one.line for one in samples)), ())
    return Reads(State, history)


async def test_a_short_series_is_whole_and_begins_after_the_instant() -> None:
    series = await reads(*map(sample, range(1, 6))).series(Millis(2_000))
    assert (series.at, series.equity) == ((3_000, 4_000, 5_000), (3, 4, 5))


async def test_no_sample_is_no_series() -> None:
    assert (await reads().series(Millis(0))).at == ()
    assert (await reads(sample(1)).series(Millis(1_000))).at == ()


@pytest.mark.parametrize("count", [MAX_SERIES_POINTS, MAX_SERIES_POINTS + 1, 9_999, 20_000])
async def test_a_long_series_is_thinned_and_ends_with_the_newest_sample(count: int) -> None:
    series = await reads(*map(sample, range(1, count + 1))).series(Millis(0))
    assert len(series.at) <= MAX_SERIES_POINTS
    assert series.at[-1] == count * 1_000
    assert list(series.at) == sorted(set(series.at))


async def test_thinning_hides_no_gap() -> None:
    series = await reads(*(sample(n, covered=n != 4_321) for n in range(1, 20_001))).series(Millis(0))
    assert [at for at, covered in zip(series.at, series.covered, strict=True) if not covered] == [4_321_000]


async def test_other_work_has_its_turn_while_a_long_series_is_read() -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    worker: asyncio.Task[Any] = asyncio.create_task(work())
    await reads(*map(sample, range(1, 20_001))).series(Millis(0))
    worker.cancel()
    assert turns >= MAX_SERIES_POINTS // PIECE - 1
