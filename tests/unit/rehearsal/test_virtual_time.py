"""The loop and the clock of a rehearsal (controller.rehearsal.time)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from controller.rehearsal.time import LoopTicks, StandsStill, VirtualClock, VirtualLoop, run_virtually

START = datetime(2025, 1, 6, tzinfo=UTC)


def test_a_wait_of_three_days_passes_at_once() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop, START)
    began = clock.now()
    run_virtually(asyncio.sleep(259_200), loop)
    assert clock.now() - began == 259_200_000


def test_no_time_passes_while_something_can_run() -> None:
    loop = VirtualLoop()

    async def work() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return loop.time()

    assert run_virtually(work(), loop) == 0


def test_timers_run_in_the_order_of_their_times() -> None:
    loop, ran = VirtualLoop(), list[int]()

    async def work() -> None:
        for delay in (3, 1, 2):
            loop.call_later(delay, ran.append, delay)
        await asyncio.sleep(5)

    run_virtually(work(), loop)
    assert ran == [1, 2, 3]


def test_the_clock_goes_on_in_whole_milliseconds_of_the_timers() -> None:
    loop = VirtualLoop()
    clock, seen = VirtualClock(loop, START), list[int]()

    async def work() -> None:
        began = clock.now()
        for _ in range(1000):
            await asyncio.sleep(0.05)
            seen.append(clock.now() - began)

    run_virtually(work(), loop)
    assert seen == [50 * number for number in range(1, 1001)]


def test_work_for_a_thread_is_done_in_the_order_in_which_it_was_asked() -> None:
    loop, done = VirtualLoop(), list[int]()

    async def work() -> None:
        await asyncio.gather(*(asyncio.to_thread(done.append, number) for number in range(5)))

    run_virtually(work(), loop)
    assert done == [0, 1, 2, 3, 4]


def test_an_error_of_such_work_reaches_who_asked() -> None:
    loop = VirtualLoop()

    async def work() -> None:
        await asyncio.to_thread(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        run_virtually(work(), loop)


def test_a_loop_in_which_everything_waits_says_so() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StandsStill):
        run_virtually(work(), VirtualLoop())


def test_a_tick_comes_four_times_a_virtual_second() -> None:
    loop, ticks = VirtualLoop(), list[float]()

    async def work() -> None:
        ticking = LoopTicks(lambda: ticks.append(loop.time()))
        await asyncio.sleep(10.1)
        ticking.shutdown()
        await asyncio.sleep(10)

    run_virtually(work(), loop)
    assert ticks == [number / 4 for number in range(41)]


def test_both_ends_of_a_unix_socket_are_in_the_loop(tmp_path: object) -> None:
    loop, path = VirtualLoop(), f"{tmp_path}/pipe"

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readuntil(b"\n"))
        writer.close()

    async def work() -> bytes:
        await loop.create_unix_server(lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), echo), path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"said\n")
        said = await reader.readuntil(b"\n")
        writer.close()
        return said

    assert run_virtually(work(), loop) == b"said\n"
