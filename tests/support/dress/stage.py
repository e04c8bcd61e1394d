"""Everything that a dress rehearsal has besides gatehouse: MEXC's stand-in with its record, persons with homes, the bot's process.

It is made inside the world, for one deployment at a time.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from exchange.testnet.access.auth import DEFAULT_PERMISSIONS, ApiKey
from exchange.testnet.config import AccountConfig, TestnetConfig
from exchange.testnet.server import running_testnet
from policies.stage import Mode
from tests.support.dress.operator import Terminal, private
from tests.support.dress.record import Record
from tests.support.dress.units import Unit, units
from tests.support.ordinary.front import Bank, Front
from tests.support.ordinary.load import level
from tests.support.ordinary.scene import ACCOUNT, BOT, TRADES_ONLY
from tests.support.ordinary.world import BANK, NAMES, Authority
from tests.support.rig import TAPE, recorded_market
from tests.support.venue_books import VenueBooks

DEPLOYMENTS = Path("/var/lib/gatehouse")
PERSONS = ("alice", "bob", "carol", "bot")
STRANGER, ELSEWHERE = "stranger.pem", "elsewhere.pem"
"""Certificates that MEXC's stand-in may show: of a CA that nobody trusts, and of another host."""


@dataclass
class Stage:
    """One deployment's surroundings. ``program`` is the installed command."""

    directory: Path
    mode: Mode
    program: Path
    live: AccountConfig
    watchdog: ApiKey
    front: Front
    bank: Bank
    books: VenueBooks
    record: Record
    terminal: Terminal
    units: dict[str, Unit]
    bot: asyncio.subprocess.Process | None = None
    bots: int = field(default=0)

    @property
    def deployment(self) -> Path:
        """Where the operator makes the deployment."""
        return DEPLOYMENTS / self.mode

    def home(self, person: str) -> Path:
        """A person's own folder."""
        return self.terminal.homes / person

    async def start(self) -> None:
        """Start the four units, the controller's last."""
        for unit in self.units.values():
            await unit.start()

    async def stop(self) -> None:
        """Stop the bot, the controller, and then the others."""
        await self.rest()
        for unit in reversed(self.units.values()):
            await unit.stop()

    async def shows(self, certificate: str) -> None:
        """MEXC's stand-in shows this certificate from now on; open connections are cut."""
        self.front.close()
        self.front.certificate = certificate
        await self.front.open()

    async def trade(self, configuration: str) -> None:
        """Start the bot as its own user, with the address and the key that ``gatehouse bot-config`` printed."""
        gateway = re.search(r"http://[\d.]+:\d+", configuration)
        key = re.search(r"\b[0-9a-f]{32}\b", configuration)
        assert gateway is not None, configuration
        assert key is not None, configuration
        home = self.home("bot")
        shutil.copy(self.deployment / "secrets/bot.secret", home / "bot.secret")
        shutil.chown(home / "bot.secret", "bot", "bot")
        self.pace(1.0)
        person = ("setpriv", "--reuid=bot", "--regid=bot", "--init-groups", "--no-new-privs", "--")
        with (self.directory / f"{self.mode}-bot.log").open("ab") as log:
            self.bot = await asyncio.create_subprocess_exec(
                *(*person, str(self.program.parent / "python"), str(home / BOT.name), "--gateway", gateway[0], "--key", key[0]),
                *("--secret-file", str(home / "bot.secret"), "--pace", str(home / "pace")),
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"},
                cwd=home,
                start_new_session=True,
            )
        level(self.bot.pid)

    def pace(self, seconds: float) -> None:
        """Seconds between two orders of the bot that fill."""
        new = self.home("bot") / "pace.new"
        new.write_text(str(seconds))
        shutil.chown(new, "bot")
        new.replace(new.with_name("pace"))

    async def rest(self) -> None:
        """Stop the bot."""
        if self.bot is not None and self.bot.returncode is None:
            self.bot.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.bot.wait(), 20)


@asynccontextmanager
async def stage(directory: Path, mode: Mode, program: Path) -> AsyncIterator[Stage]:
    """The surroundings of one deployment; nothing of gatehouse runs or is written yet."""
    live = AccountConfig(
        ACCOUNT, "mx0live", secrets.token_hex(16), {"USDT": Decimal("10.4"), "MX": Decimal(1)}, DEFAULT_PERMISSIONS
    )
    watchdog = ApiKey("mx0watchdog", secrets.token_hex(16), ACCOUNT, TRADES_ONLY)
    config = TestnetConfig(accounts=(live,), extra_keys=(watchdog,), port=0, tape=TAPE, seed=7)
    homes = directory / f"{mode}-homes"
    _homes(homes)
    Authority("a stranger's CA").issue(directory / STRANGER, (*NAMES, BANK))
    shown = tomllib.loads((Path(__file__).parents[3] / f"policies/examples/{mode}.toml").read_text())
    rate = Decimal(str(shown["eur_rate"]["quote_per_eur"]))
    async with running_testnet(config, market=recorded_market()) as mexc:
        record = Record()
        made = Stage(
            directory=directory,
            mode=mode,
            program=program,
            live=live,
            watchdog=watchdog,
            front=Front(directory, mexc.port, record.listener),
            bank=Bank(directory, f"{rate}"),
            books=VenueBooks(mexc, ACCOUNT, rate),
            record=record,
            terminal=Terminal(program.parent, homes, DEPLOYMENTS / mode),
            units=units(mode.value, program, directory),
        )
        await made.front.open()
        await made.bank.open()
        try:
            yield made
        finally:
            await made.stop()
            made.front.close()
            made.bank.close()


def _homes(homes: Path) -> None:
    """A folder for each person that nobody else reads, and ``desk``, where they leave command files for each other."""
    homes.mkdir(mode=0o755)
    homes.chmod(0o755)
    for person in PERSONS:
        (homes / person).mkdir(mode=0o700)
        shutil.chown(homes / person, person, person)
    for name in ("operator", "desk"):
        (homes / name).mkdir()
        (homes / name).chmod(0o777)
    shutil.copy(BOT, homes / "bot" / BOT.name)
    # The controller compares what the bot is with what was signed, so its user reads the program, and only that.
    (homes / "bot").chmod(0o711)
    (homes / "bot" / BOT.name).chmod(0o644)


def fill_in(path: Path, secret: str) -> None:
    """Put a secret where ``gatehouse init`` says that it belongs."""
    private(path, secret + "\n")
