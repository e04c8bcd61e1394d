"""A whole deployment on loopback for the e2e and crash tests: two testnets, a controller process, a bot and two operators.

The testnets run in this event loop; the controller is a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets as entropy
import socket
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

from controller.authority.envelope import Envelope
from controller.authority.keys import generate_key, public_key, save_key
from controller.authority.signing import sign_with_file_key
from controller.cli.setup.deployment import testnet_table
from controller.settings.deployment import FILE_NAME
from exchange import tape
from exchange.tape import TapeRecord
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.market.feeds.tape import TapePlayer
from exchange.testnet.market.playback import Playback
from exchange.testnet.server import RunningTestnet, running_testnet
from exchange.wire.signing import signature, signed_query
from tests.support.loopback import http_at, http_over

ROOT = Path(__file__).parents[2]
TAPE = ROOT / "exchange" / "testnet" / "tapes" / "btcusdt-20240808.tape.gz"
SYMBOL = "BTCUSDT"

QUICK_GATES = """
[gates]
testnet-ready = [{ id = "time", metric = "covered_ms", op = ">=", threshold = 500, unit = "ms", min_samples = 1 }]
validation = [{ id = "time", metric = "covered_ms", op = ">=", threshold = 500, unit = "ms", min_samples = 1 }]
live-ready = [{ id = "time", metric = "covered_ms", op = ">=", threshold = 500, unit = "ms", min_samples = 1 }]
ramp-step = [{ id = "time", metric = "covered_ms", op = ">=", threshold = 500, unit = "ms", min_samples = 1 }]
resume = [{ id = "time", metric = "covered_ms", op = ">=", threshold = 500, unit = "ms", min_samples = 1 }]
"""


def quick_policy() -> str:
    """The demo policy with gates that pass in seconds."""
    text = (ROOT / "policies" / "examples" / "demo.toml").read_text()
    text = text.replace("covered_ms = 30_000", "covered_ms = 500")
    return text[: text.index("[gates]")] + QUICK_GATES


_PORTS = cycle(20_000 + (os.getpid() * 997 + n) % 12_000 for n in range(12_000))


def free_port() -> int:
    """A free port below those that the kernel assigns; each test process counts on from a number of its own."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _lands_blind(answer: httpx.Response) -> bool:
    return answer.status_code >= 400 and answer.json()["error"]["code"] == "target-not-seen"


def _may_go_up(status: dict[str, Any]) -> bool:
    """It is armed, and sees where the next step up ends. What an account holds is for a person to change."""
    facts = [fact for edge in status["next_edges"] for fact in edge["landing"]]
    return bool(status["armed"]) and all(fact["ok"] or fact["sight"] == "holdings" for fact in facts)


@dataclass
class Rig:
    """One deployment with its venues, its bot's key and its operators' keys."""

    directory: Path
    testnet: RunningTestnet
    live: RunningTestnet
    gateway: str
    bot_key: str
    bot_secret: str
    keys: dict[str, Any]
    script: Sequence[str]
    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    log: list[str] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.directory / "var" / "gatehouse.sock"

    @property
    def console(self) -> str:
        """The address of the console, as the settings name it."""
        port = tomllib.loads((self.directory / FILE_NAME).read_text())["console"]["port"]
        return f"http://127.0.0.1:{port}"

    @property
    def streams(self) -> str:
        """Where the gateway's streams are."""
        return self.gateway.replace("http", "ws", 1) + "/ws"

    async def start(self, *, script: Sequence[str] | None = None) -> None:
        """Start the controller; it may not answer yet."""
        with (self.directory / "controller.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(script or self.script),
                str(self.directory),
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=ROOT,
            )

    async def exit_code(self) -> int:
        """Wait until the controller ends by itself."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), 120)

    async def kill(self) -> None:
        """kill -9 the controller."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Send SIGTERM and wait until the controller has ended."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 90)
            except TimeoutError:
                self.process.kill()
                raise

    async def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """The operator API over the local socket."""
        async with http_over(self.socket) as client:
            return await client.request(method, path, **kwargs)

    async def status(self) -> dict[str, Any]:
        """The status of the deployment."""
        return dict((await self.ask("GET", "/v1/status")).json())

    async def until(self, wanted: Any, *, within: float = 120) -> dict[str, Any]:
        """Wait until ``wanted(status)`` holds."""
        loop = asyncio.get_running_loop()
        deadline, last = loop.time() + within, {}
        while loop.time() < deadline:
            assert self.process is not None
            if self.process.returncode is not None:
                raise AssertionError(f"the controller died:\n{self.tail()}")
            try:
                last = await self.status()
                if wanted(last):
                    return last
            except (httpx.HTTPError, OSError):
                pass
            await asyncio.sleep(0.1)
        raise AssertionError(f"the status did not get there; the last one is {json.dumps(last)[:1500]}\n{self.tail()}")

    def tail(self) -> str:
        """The end of the controller's log."""
        return (self.directory / "controller.log").read_text()[-3000:]

    async def armed(self) -> dict[str, Any]:
        """Wait until it is armed or, at HALTED, would be."""
        return await self.until(lambda status: status["reconciled"])

    async def takes_orders(self) -> dict[str, Any]:
        """Wait until it is armed and no guard denies new buys: the guards are judged by the first tick after arming."""
        return await self.until(lambda status: status["armed"] and not status["guard_level"])

    async def entries(self, kind: str = "") -> list[dict[str, Any]]:
        """Journal entries, all or of one kind."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = (await self.ask("GET", "/v1/journal", params={"after": after, "limit": 1000})).json()
            if not page:
                return [entry for entry in found if not kind or entry["kind"] == kind]
            found.extend(page)

    # Operators

    async def propose(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Ask for a payload to sign."""
        for _ in range(400):
            answer = await self.ask("POST", "/v1/propose", json={"verb": verb, "reason": "test", **fields})
            if not _lands_blind(answer):
                break
            # A busy machine may show the target's market late.
            await asyncio.sleep(0.1)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def sign(self, payload: str, *names: str) -> str:
        """An envelope with the signatures of ``names``."""
        envelope = Envelope(payload.encode())
        for name in names:
            envelope = sign_with_file_key(envelope, self.keys[name])
        return envelope.text

    async def submit(self, envelope: str) -> httpx.Response:
        """Submit an envelope."""
        return await self.ask("POST", "/v1/commands", content=envelope, headers={"content-type": "application/json"})

    async def command(self, verb: str, *names: str, **fields: Any) -> httpx.Response:
        """Propose, sign and submit; again where the target was not seen in that moment."""
        for _ in range(40):
            proposal = await self.propose(verb, **fields)
            answer = await self.submit(self.sign(proposal["payload"], *names))
            if not _lands_blind(answer):
                break
        return answer

    async def climb(self, stage: str) -> None:
        """Go up to ``stage``, with a bot that only reads its account."""
        async with self.bot_looking():
            while (status := await self.until(_may_go_up))["stage"] != stage:
                verb = status["next_edges"][0]["verb"]
                answer = await self.command(verb, "alice", "bob")
                if answer.status_code == 200:
                    continue
                assert answer.json()["error"]["code"] == "gate-not-passed", answer.text
                await asyncio.sleep(0.5)

    @asynccontextmanager
    async def bot_looking(self) -> AsyncIterator[None]:
        """A bot that reads its account twice a second, so that the time counts as covered."""

        async def look() -> None:
            while True:
                with suppress(httpx.HTTPError):
                    await self.bot("GET", "/api/v3/account")
                await asyncio.sleep(0.5)

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()

    # A bot

    async def bot(self, method: str, path: str, **params: str) -> httpx.Response:
        """A signed request to the gateway. A gateway that has just started takes no order: then it is signed again, for a while."""
        for _ in range(10):
            answer = await self.send(method, path, await self.signed(**params))
            if answer.status_code != 400 or answer.json()["code"] != 700003:
                break
            await asyncio.sleep(0.2)
        return answer

    async def signed(self, **params: str) -> str:
        """The signed query of a request."""
        pairs = [*{"recvWindow": "60000", **params}.items(), ("timestamp", str(await self._gateway_time()))]
        return signed_query(pairs, lambda payload: signature(self.bot_secret, payload))

    async def send(self, method: str, path: str, query: str, **more: str) -> httpx.Response:
        """Send exactly this query to the gateway, with ``more`` headers."""
        headers = {"X-MEXC-APIKEY": self.bot_key, "Content-Type": "application/json", **more}
        async with http_at(self.gateway, timeout=30) as client:
            return await client.request(method, f"{path}?{query}", headers=headers)

    async def buy(self, price: str, quantity: str, bot_id: str, type_: str = "LIMIT") -> httpx.Response:
        """A limit buy."""
        return await self.bot(
            "POST",
            "/api/v3/order",
            symbol=SYMBOL,
            side="BUY",
            type=type_,
            quantity=quantity,
            price=price,
            newClientOrderId=bot_id,
        )

    @asynccontextmanager
    async def bot_trading(self) -> AsyncIterator[None]:
        """A bot that places a small resting order twice a second and cancels it again."""

        async def trade() -> None:
            number = 0
            while True:
                number += 1
                with suppress(httpx.HTTPError):
                    await self.buy(await self.resting_price(), "0.00003", f"going-on-{number}")
                    await asyncio.sleep(0.5)
                    await self.bot("DELETE", "/api/v3/order", symbol=SYMBOL, origClientOrderId=f"going-on-{number}")

        task = asyncio.create_task(trade())
        try:
            yield
        finally:
            task.cancel()

    async def bid(self) -> Decimal:
        """The best bid the gateway shows."""
        async with http_at(self.gateway, timeout=10) as client:
            book = (await client.get("/api/v3/ticker/bookTicker", params={"symbol": SYMBOL})).json()
        return Decimal(book["bidPrice"])

    async def resting_price(self) -> str:
        """A price half a percent below the market: it rests, and it is inside the collar."""
        return f"{(await self.bid()) * Decimal('0.995'):.2f}"

    async def _gateway_time(self) -> int:
        async with http_at(self.gateway, timeout=10) as client:
            return int((await client.get("/api/v3/time")).json()["serverTime"])


def key_of_testnet(directory: Path) -> Path:
    """The file with the key of a deployment's testnet, for tests that start the testnet again."""
    return directory.with_name(directory.name + "-testnet.key")


@asynccontextmanager
async def rig(
    directory: Path,
    *,
    policy: str | None = None,
    script: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    witnesses: Sequence[Path] = (),
    checkpoints: str = "",
    account: Callable[[str, AccountConfig], AccountConfig] = lambda _, config: config,
    live_venue: Callable[[TestnetConfig], TestnetConfig] = lambda config: config,
) -> AsyncIterator[Rig]:
    """A deployment at MOCK with both venues up and the controller not started yet."""
    accounts = {
        name: AccountConfig(name, f"mx0{name}", entropy.token_hex(16), {"USDT": Decimal(100)}) for name in ("testnet", "live")
    }
    accounts = {name: account(name, config) for name, config in accounts.items()}
    token = entropy.token_hex(16)
    keys = {name: generate_key() for name in ("alice", "bob")}
    bot_secret, ports = entropy.token_hex(16), {"gateway": free_port(), "console": free_port()}

    def config(name: str) -> TestnetConfig:
        key_file = key_of_testnet(directory) if name == "testnet" else None
        return TestnetConfig(
            accounts=(accounts[name],),
            port=0,
            tape=TAPE,
            control_token=token,
            rate_limits=NO_RATE_LIMITS,
            seed=7,
            key_file=key_file,
        )

    async with (
        running_testnet(config("testnet"), market=recorded_market()) as testnet,
        running_testnet(live_venue(config("live")), market=recorded_market()) as live,
    ):
        venues = {"testnet": testnet, "live": live}
        named = testnet_table(testnet.venue.identity)
        _write(directory, (policy or quick_policy()) + named, keys, accounts, venues, ports, bot_secret, witnesses, checkpoints)
        _write_control_token(directory, token)
        built = Rig(
            directory=directory,
            testnet=testnet,
            live=live,
            gateway=f"http://127.0.0.1:{ports['gateway']}",
            bot_key="testbotkey",
            bot_secret=bot_secret,
            keys=keys,
            script=script or ("-m", "controller", "run", "--dir"),
            environment={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(ROOT),
                "XDG_STATE_HOME": str(directory.with_name(directory.name + "-state")),
                **_debugging(),
                **(environment or {}),
            },
        )
        try:
            yield built
        finally:
            await built.stop()


@cache
def recorded() -> tuple[TapeRecord, ...]:
    """The records of the tape, read once in each process."""
    return tuple(tape.read(TAPE))


def recorded_market(speed: Decimal = Decimal(1)) -> Playback:
    """The recorded market from its beginning, for ever; a process reads the tape once, not once for each venue."""
    clock = SystemClock()
    player, source = TapePlayer(recorded(), clock.now(), speed=speed, loop=True), tape.read_header(TAPE).source
    return Playback(player, clock, source=source, speed=speed)


def _debugging() -> dict[str, str]:
    """asyncio's debug mode, which `make proofs` switches on: it refuses calls from a foreign thread."""
    return {name: os.environ[name] for name in ("PYTHONASYNCIODEBUG", "PYTHONFAULTHANDLER") if name in os.environ}


def _write_control_token(directory: Path, token: str) -> None:
    """The token of the testnet's control endpoint, where drills look for it."""
    path = directory / "secrets" / "control.token"
    path.parent.mkdir(mode=0o700)
    path.write_text(token)
    path.chmod(0o600)


def _write(
    directory: Path,
    policy: str,
    keys: dict[str, Any],
    accounts: dict[str, AccountConfig],
    venues: dict[str, RunningTestnet],
    ports: dict[str, int],
    bot_secret: str,
    witnesses: Sequence[Path],
    checkpoints: str,
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "policy.toml").write_text(policy)
    roster = ["version = 1"]
    for name, role in (("alice", "operator"), ("bob", "approver")):
        key = public_key(keys[name])
        save_key(keys[name], directory / f"{name}.key")
        roster += [
            "[[persons]]",
            f'name = "{name}"',
            f'role = "{role}"',
            "[[persons.keys]]",
            f'id = "{key.fingerprint}"',
            'type = "ed25519"',
            f'public = "{key.line}"',
        ]
    (directory / "roster.toml").write_text("\n".join(roster) + "\n")
    for name, secret in (*((name, account.secret) for name, account in accounts.items()), ("bot", bot_secret)):
        path = directory / f"{name}.secret"
        path.write_text(secret)
        path.chmod(0o600)
    sections = [
        'controller_id = "rig"',
        'environment = "rehearsal"',
        'mock_balances = { USDT = "100" }',
        f"witnesses = {json.dumps([str(path) for path in witnesses])}",
        "[release]",
        'name = "rig-bot"',
        'version = "1"',
        f'artifact = "sha256:{"0" * 64}"',
    ]
    for name, port in ports.items():
        sections += [f"[{name}]", 'host = "127.0.0.1"', f"port = {port}"]
    for name, venue in venues.items():
        sections += [
            f"[{name}]",
            f'rest = "{venue.base_url}"',
            f'ws = "{venue.ws_url}"',
            f'api_key = "{accounts[name].api_key}"',
            f'secret_file = "{name}.secret"',
        ]
    sections += ["[[bots]]", 'name = "testbot"', 'key = "testbotkey"', 'secret_file = "bot.secret"']
    (directory / "gatehouse.toml").write_text("\n".join([*sections, checkpoints]) + "\n")
