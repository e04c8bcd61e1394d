"""A tick runs on the event loop's own thread, by the loop's own clock: a wall clock that is set back must not stop it."""

import asyncio
import threading

from controller.runtime.loop.schedule import start_ticking
from tests.support.virtual_time import VirtualTimeLoop, run_in_virtual_time


async def test_a_tick_runs_on_the_loops_thread() -> None:
    threads: list[int] = []
    ticked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tick() -> None:
        threads.append(threading.get_ident())
        loop.call_soon_threadsafe(ticked.set)

    ticking = start_ticking(tick, every_s=0.01)
    try:
        await ticked.wait()
    finally:
        ticking.shutdown()
    assert set(threads) == {threading.get_ident()}


def test_ticks_follow_the_loops_clock_and_no_wall_clock() -> None:
    loop, ticks = VirtualTimeLoop(), list[float]()

    async def an_hour() -> None:
        ticking = start_ticking(lambda: ticks.append(loop.time()))
        await asyncio.sleep(3_600)
        ticking.shutdown()
        await asyncio.sleep(1)

    run_in_virtual_time(an_hour(), loop)
    assert 4 * 3_600 - 1 <= len(ticks) <= 4 * 3_600


def test_a_tick_that_fails_does_not_end_the_ticks() -> None:
    loop, ticks, failures = VirtualTimeLoop(), list[float](), list[str]()
    loop.set_exception_handler(lambda _, context: failures.append(str(context["exception"])))

    def tick() -> None:
        ticks.append(loop.time())
        raise RuntimeError("a defect")

    async def a_second() -> None:
        ticking = start_ticking(tick)
        await asyncio.sleep(1.1)
        ticking.shutdown()

    run_in_virtual_time(a_second(), loop)
    assert (len(ticks), failures) == (4, ["a defect"] * 4)
