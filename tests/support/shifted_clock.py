"""Runs a controller whose wall clock is wrong by the milliseconds in the file ``shift`` in its directory; for the crash tests."""

import asyncio
import sys
from pathlib import Path

from controller import bootstrap
from controller.runtime.loop.clock import SystemClock
from exchange.model import Millis

_now = SystemClock.now
_shift = Path(sys.argv[1]) / "shift"


def _wrong(self: SystemClock) -> Millis:
    return Millis(_now(self) + (int(_shift.read_text()) if _shift.exists() else 0))


SystemClock.now = _wrong  # type: ignore[method-assign]
asyncio.run(bootstrap.run(Path(sys.argv[1]), on_ready=lambda: None))
