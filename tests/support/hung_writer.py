"""Runs a controller whose writer hangs while a file named ``hang`` exists in its directory. The rest of the process lives on."""

import asyncio
import sys
import time
from pathlib import Path

from controller import bootstrap
from controller.runtime.loop.inbox import Inbox, QueuedInput

_take = Inbox.take
_hang = Path(sys.argv[1]) / "hang"


async def _never(self: Inbox, most: int) -> list[QueuedInput]:
    taken = await _take(self, most)
    await asyncio.to_thread(_wait)
    return taken


def _wait() -> None:
    while _hang.exists():
        time.sleep(0.05)


Inbox.take = _never  # type: ignore[method-assign]
asyncio.run(bootstrap.run(Path(sys.argv[1]), on_ready=lambda: None))
