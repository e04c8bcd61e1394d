"""The bots of ``make bots``: each is the client's own program with a recipe's files, started as its page says."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from controller.cli.bots.clients import Client, ClientName
from controller.cli.bots.forms import file_name, variable
from tests.support.bots.installing import RECIPES, python_of
from tests.support.loopback import http_at
from tests.support.rig import ROOT, Rig, free_port

MEASURED = "measured: "
"""A bot's line that begins so is a figure for the table: ``measured: NAME VALUE``; the last one of a name counts."""


@dataclass
class Player:
    """A bot as a process, with its output in ``log``."""

    client: Client
    work: Path
    deployment: Rig
    process: asyncio.subprocess.Process | None = None
    python: Path | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.work / "log"

    @property
    def command(self) -> tuple[str, ...]:
        return (str(self.python or python_of(self.client)), "bot.py")

    async def start(self) -> None:
        """Paste what ``gatehouse bot-config`` prints, and start the bot with the recipe's files beside it."""
        self.work.mkdir(parents=True)
        for path in (RECIPES / self.client.name).iterdir():
            if path.suffix in {".py", ".json"}:
                shutil.copy2(path, self.work)
        (self.work / file_name(self.client.name)).write_text(await printed(self.client.name, self.deployment))
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.work), "PYTHONUNBUFFERED": "1", "COLUMNS": "400", **self.extra}
        environment[variable(self.client.name)] = self.deployment.bot_secret
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, cwd=self.work, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    async def before_step(self) -> None:
        """Make the bot ready for a step up: it holds nothing that the next venue does not know."""

    async def after_step(self) -> None:
        """Let it trade on."""

    async def stop(self) -> None:
        """Send SIGTERM to it and what it started; kill what is left."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), 20)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.returncode is not None

    @property
    def last_words(self) -> str:
        """The last line that it printed."""
        return (self.log.read_text(errors="replace").splitlines() or ["nothing was printed"])[-1]

    async def said(self) -> dict[str, str]:
        """The figures that the bot printed."""
        lines = self.log.read_text(errors="replace").splitlines()
        found = (line.removeprefix(MEASURED).rpartition(" ") for line in lines if line.startswith(MEASURED))
        return {name: value for name, _, value in found}


@dataclass
class Freqtrade(Player):
    """freqtrade with its own REST server, by which an operator stops new entries before a step."""

    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        self.extra = {
            "FREQTRADE__API_SERVER__ENABLED": "true",
            "FREQTRADE__API_SERVER__LISTEN_IP_ADDRESS": "127.0.0.1",
            "FREQTRADE__API_SERVER__LISTEN_PORT": str(self.port),
            "FREQTRADE__API_SERVER__USERNAME": "operator",
            "FREQTRADE__API_SERVER__PASSWORD": self.password,
            "FREQTRADE__API_SERVER__JWT_SECRET_KEY": secrets.token_hex(32),
        }

    @property
    def command(self) -> tuple[str, ...]:
        program = str(python_of(self.client).with_name("freqtrade"))
        configs = ("--config", "config.json", "--config", "gatehouse.json")
        return (program, "trade", *configs, "--strategy", "EveryMinute", "--strategy-path", ".", "--userdir", ".")

    async def before_step(self) -> None:
        """``/stopentry``, then wait until no trade is open."""
        await self._ask("POST", "stopentry")
        for _ in range(120):
            if not (await self._ask("GET", "count"))["current"]:
                return
            await asyncio.sleep(1)
        raise AssertionError("freqtrade does not close its trade")

    async def after_step(self) -> None:
        """``/reload_config`` lets it enter again."""
        await self._ask("POST", "reload_config")

    async def said(self) -> dict[str, str]:
        """What its own books say."""
        trades = (await self._ask("GET", "trades"))["trades"]
        return {"trades closed": str(sum(1 for trade in trades if not trade["is_open"]))}

    async def _ask(self, method: str, what: str) -> Any:
        for _ in range(60):
            with suppress(httpx.HTTPError):
                async with http_at(f"http://127.0.0.1:{self.port}", timeout=20) as client:
                    reply = await client.request(method, f"/api/v1/{what}", auth=("operator", self.password))
                if reply.status_code == 200:
                    return reply.json()
            assert not self.ended, "freqtrade has ended; its log says why"
            await asyncio.sleep(1)
        raise AssertionError(f"freqtrade does not answer {what}")


def player_of(client: Client, work: Path, deployment: Rig) -> Player:
    """The bot of a client."""
    made = Freqtrade if client.name is ClientName.FREQTRADE else Player
    return made(client, work, deployment)


async def printed(client: ClientName, deployment: Rig) -> str:
    """What ``gatehouse bot-config`` prints for the deployment's bot."""
    import sys

    command = (sys.executable, "-m", "controller", "bot-config", client.value, "testbot", "--dir", str(deployment.directory))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()
