"""How descriptors are shared out, and a process that has few of them or none left."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.serving.descriptors import FEWEST, KEPT, share
from exchange.errors import ConfigError
from tests.support.crowd import Crowd, eventually
from tests.support.loopback import http_over

ROOT = Path(__file__).parents[3]
MOST_LOG_BYTES = 1_000_000


@given(used=st.integers(3, 200), spare=st.integers(0, 5_000))
def test_the_servers_together_leave_what_is_kept(used: int, spare: int) -> None:
    limit = used + KEPT + FEWEST + spare
    budget = share(limit, used, gateway=256)
    assert used + budget.local + budget.console + budget.gateway + KEPT < limit
    assert min(budget.local, budget.console, budget.gateway) >= 6
    assert budget.ceiling == limit - KEPT


def test_with_enough_descriptors_every_server_gets_all_it_can_use() -> None:
    budget = share(65_536, 40, gateway=256)
    assert (budget.local, budget.console, budget.gateway) == (64, 128, 256)


def test_too_few_descriptors_are_refused_with_what_to_raise() -> None:
    with pytest.raises(ConfigError, match="at least 126") as refused:
        share(125, 30, gateway=256)
    assert refused.value.code == "too-few-descriptors"
    assert "LimitNOFILE" in refused.value.remedy


@dataclass
class Starved:
    """A process of ``tests/support/starved_process.py``."""

    directory: Path
    console: int
    gateway: int

    def ask(self) -> httpx.AsyncClient:
        return http_over(self.directory / "gatehouse.sock")

    def log_bytes(self) -> int:
        return (self.directory / "log").stat().st_size


@asynccontextmanager
async def starved(directory: Path, soft: int, hard: int) -> AsyncIterator[Starved]:
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.starved_process", str(directory), str(soft), str(hard)), stderr=log, cwd=ROOT
        )
    try:
        ports = directory / "ports"
        await eventually(lambda: ports.exists() or process.returncode is not None)
        yield Starved(directory, **json.loads(ports.read_text()))
    finally:
        process.kill()
        await process.wait()


async def test_sixty_sockets_can_be_opened_under_a_flood_and_the_log_stays_small(tmp_path: Path) -> None:
    async with (
        starved(tmp_path, 256, 256) as process,
        Crowd(process.console, idle=200, drips=100) as console,
        Crowd(process.gateway, idle=200, drips=100) as gateway,
        process.ask() as client,
    ):
        for _ in range(3):
            await console.join()
            await gateway.join()
            assert (await client.get("/v1/status")).status_code == 200
            assert (await client.get("/v1/balances")).json() == [], "60 sockets were opened"
        assert process.log_bytes() < MOST_LOG_BYTES


async def test_a_halt_is_answered_when_no_descriptor_is_left_at_all(tmp_path: Path) -> None:
    async with starved(tmp_path, 256, 256) as process, process.ask() as taker:
        assert (await taker.get("/v1/gates")).json() == [], "every descriptor was taken"
        async with Crowd(process.console, idle=30, drips=10), Crowd(process.gateway, idle=30, drips=10):
            for reason in ("first", "second", "third"):
                async with process.ask() as client:
                    assert (await client.post("/v1/halt", json={"reason": reason})).status_code == 200
            # Long enough for an accept that fails all the time to fill a log.
            await asyncio.sleep(2)
        assert process.log_bytes() < MOST_LOG_BYTES
        assert "has no descriptor left" in (tmp_path / "log").read_text()


async def test_the_soft_limit_is_raised_to_the_hard_one(tmp_path: Path) -> None:
    async with starved(tmp_path, 150, 900) as process, process.ask() as client:
        assert (await client.get("/v1/status")).json()["controller_id"] == "limit-900"
