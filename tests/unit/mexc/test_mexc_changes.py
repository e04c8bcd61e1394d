"""Waiting for changes: every change wakes every task once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from exchange.mexc.changes import Changes


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
async def waiting() -> AsyncIterator[tuple[Changes, list[list[int]]]]:
    """Two tasks that record every change that wakes them."""
    changes = Changes()
    notes: list[list[int]] = [[], []]

    async def follow(note: list[int]) -> None:
        while True:
            await changes.wait()
            note.append(len(note))

    tasks = [asyncio.create_task(follow(note)) for note in notes]
    await settled()
    yield changes, notes
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_change_wakes_every_waiting_task_once(waiting: tuple[Changes, list[list[int]]]) -> None:
    changes, notes = waiting
    changes.notify()
    await settled()
    assert notes == [[0], [0]]


async def test_every_further_change_wakes_them_again(waiting: tuple[Changes, list[list[int]]]) -> None:
    changes, notes = waiting
    for _ in range(3):
        changes.notify()
        await settled()
    assert notes == [[0, 1, 2], [0, 1, 2]]


async def test_a_change_while_a_task_is_busy_is_not_missed() -> None:
    changes = Changes()
    asyncio.get_running_loop().call_soon(changes.notify)
    await changes.wait()
    changes.notify()
    async with asyncio.timeout(1):
        await changes.wait()


async def test_a_task_that_waits_for_the_first_time_waits_for_the_next_change() -> None:
    changes = Changes()
    changes.notify()
    first = asyncio.create_task(changes.wait())
    await settled()
    assert not first.done()
    changes.notify()
    await asyncio.wait_for(first, 1)
