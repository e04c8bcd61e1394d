"""Every query of every dashboard has an answer in a real Prometheus that scrapes a real run, and an alert shows the halt."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.eventful import breach, scrape, trade_live
from tests.support.loopback import http_at
from tests.support.proofs import long_form
from tests.support.rig import ROOT, free_port, rig

BOARDS = ROOT / "ops" / "grafana" / "dashboards"
NAME = "rig"


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus server that scrapes every two seconds."""

    url: str
    began: float

    async def ask(self, path: str, **params: str) -> Any:
        async with http_at(self.url, timeout=30) as client:
            answer = (await client.get(f"/api/v1/{path}", params=params)).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def now(self, query: str) -> list[Any]:
        """The series of a query at this moment."""
        return list((await self.ask("query", query=query))["result"])

    async def over_the_run(self, query: str) -> list[Any]:
        """The series of a query in the whole run, in steps of a second."""
        span = {"start": str(self.began), "end": str(time.time()), "step": "1"}
        return list((await self.ask("query_range", query=query, **span))["result"])

    async def until(self, query: str, *, within: float = 60) -> list[Any]:
        """Wait until a query has an answer."""
        deadline = time.monotonic() + within
        while not (found := await self.now(query)):
            assert time.monotonic() < deadline, f"no answer: {query}"
            await asyncio.sleep(0.25)
        return found


@asynccontextmanager
async def prometheus(directory: Path, console: str) -> AsyncIterator[Prometheus]:
    """The shipped configuration and rules, with another address and a quicker pace."""
    program = shutil.which("prometheus")
    assert program, "prometheus is missing: `make tools TOOLS=promtool:prometheus` installs it as root"
    shutil.copy(ROOT / "ops" / "prometheus" / "gatehouse.rules.yml", directory)
    text = (ROOT / "ops" / "prometheus" / "prometheus.yml").read_text()
    for shipped, here in (
        ("127.0.0.1:8701", console.removeprefix("http://")),
        ("deployment: demo", f"deployment: {NAME}"),
        ("15s", "2s"),
        ("scrape_timeout: 10s", "scrape_timeout: 2s"),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    (directory / "prometheus.yml").write_text(text)
    port = free_port()
    command = (program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}")
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=directory, stdout=log, stderr=log)
    try:
        running = Prometheus(f"http://127.0.0.1:{port}", time.time())
        await ready(running.url)
        yield running
    finally:
        process.terminate()
        await process.wait()


async def ready(url: str) -> None:
    async with http_at(url) as client:
        for _ in range(600):
            try:
                if (await client.get("/-/ready")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError("Prometheus did not start")


def targets(panel: dict[str, Any]) -> Iterator[str]:
    for target in panel["targets"]:
        yield target["expr"].replace("$deployment", NAME).replace("$__rate_interval", "20s")


async def unanswered(server: Prometheus) -> list[str]:
    """Each query of a dashboard that brings nothing. A stat asks for now, everything else for the run."""
    found = []
    for path in sorted(BOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for query in targets(panel):
                series = await (server.now(query) if panel["type"] == "stat" else server.over_the_run(query))
                values = [one[1] for line in series for one in line.get("values", [line.get("value")])]
                if not any(value not in {"NaN", "-1"} for value in values):
                    found.append(f"{path.stem}, {panel['title']}: {query}")
    return found


async def answered(server: Prometheus, *, within: float = 60) -> None:
    """Wait until every query has an answer: a scrape that a busy machine did not answer in time leaves none at that moment."""
    deadline = time.monotonic() + within
    while missing := await unanswered(server):
        assert time.monotonic() < deadline, "\n".join(missing)
        await asyncio.sleep(0.5)


@long_form(short="test_a_scrape_of_a_start_shows_its_stage")
async def test_every_query_of_the_dashboards_has_an_answer(tmp_path: Path) -> None:
    for name in ("copies", "prometheus"):
        (tmp_path / name).mkdir()
    async with rig(tmp_path / "deployment", witnesses=(tmp_path / "copies",)) as deployment:
        await deployment.start()
        await deployment.armed()
        async with prometheus(tmp_path / "prometheus", deployment.console) as server:
            await trade_live(deployment)
            assert (await server.until("gatehouse_armed == 1"))[0]["metric"]["deployment"] == NAME
            assert await server.now('ALERTS{alertname="GatehouseHalted"}') == []
            await breach(deployment)
            await server.until('ALERTS{alertname="GatehouseHalted",alertstate="firing"}')
            await server.until("max(gatehouse_armed) == 0")
            await server.until('gatehouse_stage{gatehouse_stage="HALTED"} == 1')
            await server.until("gatehouse_halt_cancel_duration_seconds_count")
            await answered(server)
            await deployment.stop()
            await server.until(f'(max(gatehouse_halted{{deployment="{NAME}"}}) or vector(-1)) == -1')
            await server.until('up{job="gatehouse"} == 0')


@pytest.mark.short
async def test_a_scrape_of_a_start_shows_its_stage(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.armed()
        text = await scrape(deployment)
        assert 'gatehouse_stage{gatehouse_stage="MOCK"} 1.0' in text
        assert "gatehouse_halted 0.0" in text
