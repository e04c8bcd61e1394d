"""One production deployment in the private world, as ``gatehouse init`` writes it: MEXC's stand-in, a controller, a bot, operators.

Its policy is the example of its profile with shorter times. The stand-in is a testnet in this process, so its books can be read;
the local testnet, the signer and the watchdog are processes of ``gatehouse run``.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import secrets
import sys
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.authority.envelope import Envelope
from controller.authority.keys import generate_key, load_key
from controller.authority.roster import roster_key
from controller.authority.signing import attach_ssh_signature, sign_with_file_key
from controller.cli.backup.making import make_identity
from controller.cli.setup.production import Wanted, write_production
from controller.settings.deployment import FILE_NAME
from exchange.testnet.access.auth import DEFAULT_PERMISSIONS, ApiKey, Permission
from exchange.testnet.config import AccountConfig, StreamLimits, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from policies.document import load_policy
from policies.floors import LIVE_RULES
from policies.required import VALIDATION_RULES
from policies.schema import Policy
from policies.stage import Mode
from tests.support.ordinary import world
from tests.support.ordinary.front import Bank, Front
from tests.support.ordinary.load import level
from tests.support.rig import ROOT, TAPE, Rig, recorded_market
from tests.support.venue_books import VenueBooks
from tests.unit.authority.authority_kit import sk_public, sk_signature

BOT = ROOT / "tests" / "support" / "ordinary" / "bot.py"
ACCOUNT = "live"
TRADES_ONLY = DEFAULT_PERMISSIONS - {Permission.SPOT_WITHDRAW_READ}
"""What the text of ``gatehouse init`` asks for: spot trading, no withdrawal. The live key may view withdrawals besides."""
BUYS_PER_DAY = 20_000
"""Enough for a bot that buys for 1.5 dollars every second for hours, with a cap of 10 EUR."""

LEASE_S = 30
"""The lease of the dead man's switch that ``gatehouse init`` writes."""

COVERED_MS = {600_000: 5_000, 259_200_000: 20_000, 86_400_000: 10_000, 3_600_000: 10_000, 604_800_000: 20_000, 300_000: 5_000}
"""How long each gate asks to be covered: in the example policies, and here."""


def policy_text(mode: Mode) -> str:
    """The profile's example policy with shorter times; every limit, guard, ratio of orders and count stays.

    What only days of trading can prove is left out: the rules about rotations, drills inside the run, performance, parity and bias.
    """
    text = (ROOT / "policies" / "examples" / f"{mode}.toml").read_text()

    def covered(found: re.Match[str]) -> str:
        return f"{found[1]}{COVERED_MS[int(found[2])]}{found[3]}"

    text = re.sub(r'(metric = "covered_ms", op = ">=", threshold = )([\d_]+)(,)', covered, text)
    days = "|".join(sorted({rule.metric.value for rule in (*VALIDATION_RULES, *LIVE_RULES)}))
    text = re.sub(rf'\n  {{ id = "[a-z0-9-]+", metric = "(?:{days})",[^\n]*', "", text)
    text = text.replace("\nlooks = 2\nvariants = 5\n", "\nlooks = 10\nvariants = 1000\n")
    # A sample is taken every second, so a thousand of them are time too.
    text = text.replace("min_samples = 1000", "min_samples = 20")
    text = re.sub(r"\ncovered_ms = [\d_]+", "\ncovered_ms = 20_000", text)
    text = re.sub(r"cooling_off_ms = [\d_]+", "cooling_off_ms = 3_000", text)
    today = dt.datetime.now(dt.UTC)
    text = re.sub(r"as_of = \S+", f"as_of = {today - dt.timedelta(days=1):%Y-%m-%d}T00:00:00Z", text)
    return re.sub(r"valid_until = \S+", f"valid_until = {today + dt.timedelta(days=20):%Y-%m-%d}T00:00:00Z", text)


@dataclass
class Scene(Rig):
    """A rig whose live venue is MEXC's address. ``touched`` signs with a security key, in team mode."""

    mode: Mode = Mode.SOLO
    longest_wait_s: float = 200.0
    """How long a run waits until a gap is a small enough share: 200 s for one of a second. After a longer one it begins anew."""
    front: Front = field(init=False)
    books: VenueBooks = field(init=False)
    bank: Bank = field(init=False)
    touched: dict[str, Any] = field(default_factory=dict)
    bot_process: asyncio.subprocess.Process | None = None

    @property
    def policy(self) -> Policy:
        """The policy in the deployment's file."""
        return load_policy((self.directory / "policy.toml").read_bytes())

    async def start(self, *, script: Sequence[str] | None = None) -> None:
        """Start the controller; it may not answer yet."""
        await super().start(script=script)
        assert self.process is not None
        level(self.process.pid)

    @property
    def signers(self) -> tuple[str, ...]:
        """Everybody who signs a step up."""
        return (*self.keys, *self.touched)

    def sign(self, payload: str, *names: str) -> str:
        """An envelope with the signatures of ``names``."""
        envelope = Envelope(payload.encode())
        for name in names:
            if name in self.keys:
                envelope = sign_with_file_key(envelope, self.keys[name])
            else:
                envelope = attach_ssh_signature(envelope, sk_signature(self.touched[name], envelope.pae))
        return envelope.text

    async def order_of(self, verb: str, **fields: Any) -> None:
        """A signed command of everybody; it must be accepted, and applied when its cooling-off period is over."""
        answer = await self.command(verb, *self.signers, **fields)
        assert answer.status_code == 200, answer.text
        await self.until(lambda now: now["pending"] is None)

    async def trade(self) -> None:
        """Start the bot."""
        log = (self.directory / "bot.log").open("ab")
        with log:
            self.bot_process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(BOT), "--gateway", self.gateway, "--key", self.bot_key),
                *("--secret-file", str(self.directory / "secrets/bot.secret"), "--pace", str(self.directory / "pace")),
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        level(self.bot_process.pid)

    async def copied(self) -> None:
        """A new copy of this deployment, for a drill that restores it."""
        command = (sys.executable, "-m", "controller", "backup", "create", "--dir", str(self.directory), "--keep", "2")
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=self.environment)
        assert await process.wait() == 0

    def pace(self, seconds: float) -> None:
        """Seconds between two orders of the bot that fill."""
        new = self.directory / "pace.new"
        new.write_text(str(seconds))
        # The bot reads the file at any moment.
        new.replace(self.directory / "pace")

    async def rest(self) -> None:
        """Stop the bot."""
        if self.bot_process is not None and self.bot_process.returncode is None:
            self.bot_process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.bot_process.wait(), 20)


@asynccontextmanager
async def scene(directory: Path, mode: Mode, *, lease_s: int = LEASE_S) -> AsyncIterator[Scene]:
    """A deployment at MOCK, its stand-in and its bot's files; nothing of gatehouse runs yet. ``directory`` is the world's.

    ``lease_s``: how long the dead man's switch waits; a start that takes longer ends in a halt.
    """
    place = directory / f"{mode}"
    live = AccountConfig(
        ACCOUNT, "mx0live", secrets.token_hex(16), {"USDT": Decimal("10.4"), "MX": Decimal(1)}, DEFAULT_PERMISSIONS
    )
    watchdog = ApiKey("mx0watchdog", secrets.token_hex(16), ACCOUNT, TRADES_ONLY)
    keys = write_deployment(place, mode, live, watchdog, lease_s)
    config = TestnetConfig(
        accounts=(live,), extra_keys=(watchdog,), port=0, streams=StreamLimits(lifetime_ms=75_000), tape=TAPE, seed=7
    )
    async with running_testnet(config, market=recorded_market()) as mexc:
        built = _built(directory, place, mode, mexc, keys)
        built.front = Front(directory, mexc.port)
        built.books = VenueBooks(mexc, ACCOUNT, built.policy.eur_rate.quote_per_eur)
        built.bank = Bank(directory, f"{built.policy.eur_rate.quote_per_eur}")
        await built.front.open()
        await built.bank.open()
        try:
            yield built
        finally:
            await built.rest()
            await built.stop()
            built.front.close()
            built.bank.close()


def _built(directory: Path, place: Path, mode: Mode, mexc: RunningTestnet, keys: dict[str, Any]) -> Scene:
    settings = tomllib.loads((place / FILE_NAME).read_text())
    built = Scene(
        directory=place,
        testnet=mexc,
        live=mexc,
        gateway=f"http://127.0.0.1:{settings['gateway']['port']}",
        bot_key=settings["bots"][0]["key"],
        bot_secret=(place / "secrets/bot.secret").read_text().strip(),
        keys={name: key for name, key in keys.items() if name == "alice"},
        script=("-m", "controller", "run", "--dir"),
        environment=world.environment(directory),
        mode=mode,
        touched={name: key for name, key in keys.items() if name != "alice"},
    )
    built.pace(1.5)
    return built


def write_deployment(place: Path, mode: Mode, live: AccountConfig, watchdog: ApiKey, lease_s: int) -> dict[str, Any]:
    """What ``gatehouse init`` writes, filled in as its text says. Returns each person's key."""
    persons = ("alice",) if mode is Mode.SOLO else ("alice", "bob")
    write_production(place, Wanted(mode, persons, live.api_key, BOT, watchdog.key))
    for name, secret in (("live", live.secret), ("watchdog", watchdog.secret)):
        (place / f"secrets/{name}.secret").write_text(secret)
    written = (place / "policy.toml").read_text()
    (place / "policy.toml").write_text(policy_text(mode) + written[written.index("\n[testnet]") :])
    outside = place.with_name(f"{mode}-checkpoints")
    outside.mkdir()
    settings = (place / FILE_NAME).read_text()
    # The bot places a buy a second for hours, of which the signer counts every one.
    assert "buys_per_day = 500\n" in settings
    settings = settings.replace("buys_per_day = 500\n", f"buys_per_day = {BUYS_PER_DAY}\n")
    assert f"lease_s = {LEASE_S}\n" in settings
    settings = settings.replace(f"lease_s = {LEASE_S}\n", f"lease_s = {lease_s}\n")
    recipient = make_identity(place / "secrets" / "backup-identity")
    backup = f'[backup]\nrecipients = ["{recipient}"]\ndirectory = "../{mode}-copies"\nidentity_file = "secrets/backup-identity"\n'
    (place / FILE_NAME).write_text(f'witnesses = ["{outside}"]\n{settings}\n{backup}')
    keys: dict[str, Any] = {"alice": load_key(place / "keys" / "alice.key")}
    if mode is Mode.TEAM:
        keys["bob"] = generate_key()
        listed = roster_key(sk_public(keys["bob"]).line)
        roster = (place / "roster.toml").read_text()
        head, _, tail = roster.partition('name = "bob"')
        entry = f'keys = [{{ id = "{listed.id}", type = "{listed.type}", public = "{listed.public}" }}]'
        (place / "roster.toml").write_text(f'{head}name = "bob"{re.sub("keys = .*", entry, tail)}')
    return keys
