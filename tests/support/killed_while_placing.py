"""Runs a controller that kills itself around its first order: ``before`` the send, or ``after`` the venue took the order."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from controller import bootstrap
from exchange.mexc.client import MexcVenue
from exchange.model import OrderIntent
from exchange.ports import Permit, PlaceOutcome

_place = MexcVenue.place


async def _die(self: MexcVenue, intent: OrderIntent, permit: Permit) -> PlaceOutcome:
    if sys.argv[1] == "after":
        await _place(self, intent, permit)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("this process is dead")


MexcVenue.place = _die  # type: ignore[method-assign]
asyncio.run(bootstrap.run(Path(sys.argv[2]), on_ready=lambda: None))
