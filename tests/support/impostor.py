"""A deployment whose testnet listens at a port that others may bind, and others who bind it: for tests of its identity."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.http import statement
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.support.loopback import http_at
from tests.support.rig import TAPE, Rig, free_port, key_of_testnet, recorded_market

Answer = Callable[[Request], Any]


@dataclass
class Port:
    """The address that the deployment's settings name. ``home`` is where its true testnet keeps its state and key."""

    deployment: Rig
    home: Path
    number: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        settings = self.deployment.directory / "gatehouse.toml"
        settings.write_text(settings.read_text().replace(f":{self.deployment.testnet.port}", f":{self.number}"))

    @asynccontextmanager
    async def true(self, *, port: int | None = None) -> AsyncIterator[RunningTestnet]:
        """The testnet that was signed for, at the deployment's port or another one; each start is another run of it."""
        key = key_of_testnet(self.deployment.directory)
        async with running_testnet(self._config(port or self.number, key, self.home), market=recorded_market()) as testnet:
            yield testnet

    @asynccontextmanager
    async def false(self, answer: Answer | None = None) -> AsyncIterator[RunningTestnet]:
        """Another testnet with the same account, which binds the deployment's port. ``answer`` replaces its statements."""
        with pytest.MonkeyPatch.context() as patched:
            if answer is not None:
                patched.setattr(statement, "route", lambda _: Route(statement.PATH, answer, methods=["GET"]))
            started = running_testnet(self._config(self.number, None, None), market=recorded_market())
            testnet = await started.__aenter__()
        try:
            yield testnet
        finally:
            await started.__aexit__(None, None, None)

    def _config(self, port: int, key: Path | None, state: Path | None) -> TestnetConfig:
        secret = (self.deployment.directory / "testnet.secret").read_text().strip()
        account = AccountConfig("testnet", "mx0testnet", secret, {"USDT": Decimal(100)})
        return TestnetConfig(
            accounts=(account,), port=port, tape=TAPE, rate_limits=NO_RATE_LIMITS, seed=7, key_file=key, state=state
        )


def relayed(testnet: RunningTestnet, **changes: str) -> Answer:
    """Passes each question on to the true testnet, with some of its fields changed, and its answer back."""

    async def relay(request: Request) -> Response:
        async with http_at(testnet.base_url, timeout=5) as client:
            answer = await client.get(statement.PATH, params={**request.query_params, **changes})
        return Response(answer.content, status_code=answer.status_code)

    return relay


def repeated(answer: httpx.Response) -> Answer:
    """Answers every question with one old answer."""

    async def repeat(_: Request) -> Response:
        return Response(answer.content)

    return repeat
