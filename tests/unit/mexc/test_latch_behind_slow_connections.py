"""No order reaches a venue after the latch, however slowly its connections open: by the kernel's own time of arrival there."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from controller.runtime.loop import permit
from controller.runtime.loop.permit import PermitOffice
from exchange.mexc import http as module
from exchange.mexc.http import Failure, HttpTransport, Method, Outcome, Reply, Timeouts
from exchange.mexc.reach import Reach
from tests.support.certificates import self_signed
from tests.support.counting import Counted
from tests.support.proofs import sizes
from tests.unit.mexc.conftest import RealClock

ORDERS = 3
PATIENT = Timeouts(connect=60_000, read=60_000, total=120_000)
AT_ONCE = 100


class Halts:
    """Places orders over one transport after another, and halts while their connections open."""

    def __init__(self, url: str) -> None:
        self.latched_ns: dict[int, int] = {}
        self.outcomes: list[Outcome] = []
        self._url = url

    async def run(self, halts: int) -> None:
        numbers = iter(range(halts))
        await asyncio.gather(*(self._slot(numbers) for _ in range(min(AT_ONCE, halts))))

    async def _slot(self, numbers: Iterator[int]) -> None:
        transport = HttpTransport(self._url, Reach.LOOPBACK, PATIENT)
        for number in numbers:
            await self._halt(transport, number)
        await transport.aclose()

    async def _halt(self, transport: HttpTransport, number: int) -> None:
        chance, permits = Random(number), PermitOffice(RealClock(), 1)
        permits.renew()
        current = permits.current()
        paths = [f"/{number}/{order}" for order in range(ORDERS)]
        placing = [asyncio.create_task(transport.send(Method.POST, path, leave=current.leave)) for path in paths]
        if chance.random() < 0.6:
            # The others of the same halt still wait for their connections.
            await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(chance.uniform(0, 3.5))
        if chance.random() < 0.5:
            permits.latch("a breach")
        else:
            await asyncio.to_thread(permits.suspend, "halt", "a signal")
        self.latched_ns[number] = time.time_ns()
        self.outcomes += await asyncio.gather(*placing)


@contextmanager
def slow_venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    _, client_side = self_signed(tmp_path)
    monkeypatch.setattr(module.authorities, "trusted", lambda: client_side)
    command = [sys.executable, "-m", "tests.support.slow_venue", str(tmp_path / "server.pem"), "7"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as venue:
        assert venue.stdout is not None
        yield f"https://127.0.0.1:{int(venue.stdout.readline())}", venue


@contextmanager
def load() -> Iterator[None]:
    """Keep every core busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize("halts", sizes(short=60, long=1_000))
async def test_no_order_arrives_after_the_latch_on_slow_connections(
    halts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    # No permit ends by itself: on a busy machine a connection may take longer to open than a permit lives.
    monkeypatch.setattr(permit, "LIFETIME_NS", 3_600_000_000_000)
    with slow_venue(tmp_path, monkeypatch) as (url, venue), load():
        tried = Halts(url)
        await tried.run(halts)
        answer, _ = await asyncio.to_thread(venue.communicate, "")
    arrived: dict[str, int] = json.loads(answer)
    late = {path: at_ns for path, at_ns in arrived.items() if not 0 < at_ns <= tried.latched_ns[int(path.split("/")[1])]}
    withheld = sum(isinstance(outcome, Failure) and outcome.never_sent for outcome in tried.outcomes)
    answered = sum(isinstance(outcome, Reply) for outcome in tried.outcomes)
    assert late == {}
    assert answered <= len(arrived) <= ORDERS * halts - withheld
    assert answered > halts // 10, "the latches fell too early to show anything"
    assert withheld > halts // 10, "the latches fell too late to show anything"
    counted("slow connections", halts)
