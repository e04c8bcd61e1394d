"""A tick runs on the event loop's own thread, because the objects that it uses belong to that thread."""

import asyncio
import threading

from controller.runtime.loop.schedule import start_ticking


async def test_a_tick_runs_on_the_loops_thread() -> None:
    threads: list[int] = []
    ticked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tick() -> None:
        threads.append(threading.get_ident())
        loop.call_soon_threadsafe(ticked.set)

    scheduler = start_ticking(tick, every_s=0.01)
    try:
        await ticked.wait()
    finally:
        scheduler.shutdown(wait=False)
    assert set(threads) == {threading.get_ident()}
