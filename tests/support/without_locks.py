"""Runs a controller as on a file system whose locks keep nobody out: another host may write the same journal."""

import asyncio
import fcntl
import sys
from pathlib import Path

from controller import bootstrap

fcntl.flock = lambda *_: None  # type: ignore[assignment]
asyncio.run(bootstrap.run(Path(sys.argv[1]), on_ready=lambda: None))
