"""Two controllers of one deployment on one journal in PostgreSQL, in two directories on one machine; for the standby tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from tests.support.postgres_server import PostgresServer
from tests.support.rig import Rig, free_port, rig

_numbers = count(1)


@dataclass
class Pair:
    """``first`` starts first and leads; ``second`` is the same deployment in a directory and on ports of its own."""

    first: Rig
    second: Rig
    database: str

    async def both(self) -> None:
        """Start the leader, bring it to the testnet, then start the standby and wait until it has read everything."""
        await self.first.start()
        await self.first.climb("TESTNET_VALIDATING")
        await self.stand_by()

    async def stand_by(self) -> None:
        """Start the second one and wait until it follows."""
        await self.second.start()
        await self.second.until(lambda status: status.get("role") == "standby" and not status["standby"]["problem"])

    async def ended(self) -> int:
        """The first one's exit code."""
        assert self.first.process is not None
        return await asyncio.wait_for(self.first.process.wait(), 120)


@asynccontextmanager
async def pair(directory: Path, server: PostgresServer) -> AsyncIterator[Pair]:
    """Both directories and both venues; nothing is started yet."""
    database = f"pair{next(_numbers)}"
    server.execute("postgres", f"CREATE DATABASE {database}")
    async with rig(directory / "first") as first:
        settings = first.directory / "gatehouse.toml"
        settings.write_text(f'journal = "{server.url(database)}"\n{settings.read_text()}')
        second = second_host(first, directory / "second")
        try:
            yield Pair(first, second, database)
        finally:
            await second.stop()


def second_host(first: Rig, directory: Path) -> Rig:
    """A copy of a deployment's folder, on ports of its own."""
    shutil.copytree(first.directory, directory, ignore=shutil.ignore_patterns("*.sock"))
    port, settings = free_port(), directory / "gatehouse.toml"
    text = settings.read_text()
    for name, new in (("gateway", port), ("console", free_port())):
        head, _, tail = text.partition(f"[{name}]")
        before, _, rest = tail.partition("port = ")
        text = f"{head}[{name}]{before}port = {new}\n{rest.partition(chr(10))[2]}"
    settings.write_text(text)
    return replace(first, directory=directory, gateway=f"http://127.0.0.1:{port}", process=None, log=[])
