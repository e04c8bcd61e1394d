"""The commands of every runbook, run as the page has them, on a deployment in the state that the page is about.

Each command ends as the page says, and the venue's own books show what the page promises.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.authority.keys import generate_key, public_key, save_key
from controller.watchdog.log import is_locked
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.server import RunningTestnet
from exchange.wire.errors import ErrorCode
from tests.support.rig import ROOT, SYMBOL, Rig, rig
from tests.support.runbooks import RUNBOOKS, steps

WATCHDOG = """
[watchdog]
enabled = true
lease_s = 4
idle_s = 600
"""


@asynccontextmanager
async def prepared(directory: Path, checkpoints: str = "") -> AsyncIterator[Rig]:
    """A deployment with key files of three persons; what a page starts ends with it."""
    async with rig(directory, checkpoints=checkpoints, witnesses=(directory.with_name("witness"),)) as built:
        directory.with_name("witness").mkdir()
        (directory / "keys").mkdir()
        for name in ("alice", "bob"):
            (directory / f"{name}.key").rename(directory / "keys" / f"{name}.key")
        (directory / "post-mortem.md").write_text("The feed stood still, the guard halted. Nothing to change.\n")
        add_person(built, "carol", "operator")
        try:
            yield built
        finally:
            await ended(built)


def add_person(deployment: Rig, name: str, role: str) -> None:
    """One more person in the roster, before the first start."""
    deployment.keys[name] = generate_key()
    save_key(deployment.keys[name], deployment.directory / "keys" / f"{name}.key")
    key = public_key(deployment.keys[name])
    lines = ["[[persons]]", f'name = "{name}"', f'role = "{role}"', "[[persons.keys]]"]
    lines += [f'id = "{key.fingerprint}"', 'type = "ed25519"', f'public = "{key.line}"']
    with (deployment.directory / "roster.toml").open("a") as roster:
        roster.write("\n".join(lines) + "\n")


async def ended(deployment: Rig) -> None:
    """End what a page started, and wait until it has ended."""
    pid_file, data = deployment.directory / "run.pid", deployment.directory / "var"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    for _ in range(4_000):
        if not running(pid) and not is_locked(data):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("what the page started does not end")


def running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def follow(deployment: Rig, page: str) -> None:
    """Run the commands of a page in the deployment's directory, one after the other, and compare their ends with the page."""
    path = f"{ROOT / '.venv' / 'bin'}:{deployment.environment['PATH']}"
    for step in steps((RUNBOOKS / f"{page}.md").read_text(encoding="utf-8")):
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", step.command),
            cwd=deployment.directory,
            env={**deployment.environment, "PATH": path, "COLUMNS": "400"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        printed = out.decode()
        assert process.returncode in step.exits, f"{step.command} ended with {process.returncode}:\n{printed}\n{deployment.tail()}"
        missing = [text for text in step.prints if text not in printed]
        assert not missing, f"{step.command} does not print {missing}:\n{printed}"


def open_orders(venue: RunningTestnet, name: str) -> int:
    """By the venue's own books."""
    return len(venue.venue.engine.open_orders(name))


async def resting(deployment: Rig) -> None:
    """Leave one order at the venue."""
    answer = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
    assert answer.status_code == 200, answer.text


async def bought(deployment: Rig) -> None:
    """Let the bot hold something on the live account."""
    answer = await deployment.buy(f"{await deployment.bid() * Decimal('1.002'):.2f}", "0.00008", "position")
    assert answer.status_code == 200, answer.text
    await deployment.until(lambda status: Decimal(status["exposure_eur"] or 0) > 4)


async def test_halted_at_3_am(tmp_path: Path) -> None:
    async with prepared(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("LIVE_€10")
        await bought(deployment)
        await resting(deployment)
        deployment.live.arm(FaultKind.PRICE_GAP, params={"symbol": SYMBOL, "factor": "0.88"})
        await deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"])
        assert open_orders(deployment.live, "live") == 0
        async with deployment.bot_looking():
            await follow(deployment, "position-to-leave")
            await follow(deployment, "halted-at-3-am")
        status = await deployment.armed()
        assert (status["stage"], status["oversight"]["alerts"]) == ("VALIDATED", [])


async def test_venue_down(tmp_path: Path) -> None:
    async with prepared(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("LIVE_€10")
        await resting(deployment)
        deployment.live.venue.pause()
        deployment.live.arm(FaultKind.FORBIDDEN_HTML, count=None, params={"operation": "any"})
        await deployment.until(lambda status: status["guard_level"] == "CANCEL_ALL")
        back = asyncio.create_task(venue_is_back(deployment))
        await follow(deployment, "venue-down")
        await back
        assert open_orders(deployment.live, "live") == 0
        assert (await deployment.status())["halt"]["verified_empty"]


async def venue_is_back(deployment: Rig) -> None:
    """Let the venue answer again once the deployment is HALTED and has been refused; the order is open until then."""
    await deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"] is None)
    assert open_orders(deployment.live, "live") == 1
    deployment.live.venue.faults.clear()
    deployment.live.venue.resume()


async def test_position_to_leave(tmp_path: Path) -> None:
    async with prepared(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("LIVE_€10")
        await bought(deployment)
        assert (await deployment.ask("POST", "/v1/halt", json={"reason": "3 a.m."})).status_code == 200
        await deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"])
        await follow(deployment, "position-to-leave")
        assert deployment.live.venue.engine.balances("live")["BTC"].total == 0
        assert (await deployment.status())["stage"] == "HALTED"


async def test_controller_hung(tmp_path: Path) -> None:
    async with prepared(tmp_path / "deployment", checkpoints=WATCHDOG) as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.until(lambda status: status["watchdog"]["venues"] == ["testnet"])
        await resting(deployment)
        assert deployment.process is not None
        (deployment.directory / "run.pid").write_text(str(deployment.process.pid))
        deployment.process.send_signal(signal.SIGSTOP)
        await follow(deployment, "controller-hung")
        assert deployment.process.returncode == -signal.SIGKILL
        assert open_orders(deployment.testnet, "testnet") == 0
        status = await deployment.status()
        assert (status["stage"], status["halt"]["verified_empty"]) == ("HALTED", True)


async def test_key_leaked(tmp_path: Path) -> None:
    async with prepared(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("LIVE_€10")
        await resting(deployment)
        await follow(deployment, "key-leaked")
        refused = await deployment.buy(await deployment.resting_price(), "0.00003", "with-the-leaked-key")
        assert refused.json()["code"] == ErrorCode.BAD_ACCESS_KEY, refused.text
        assert open_orders(deployment.live, "live") == 0
        with_a_stolen_key = await deployment.command("reset", "carol")
        assert with_a_stolen_key.status_code >= 400
        assert (await deployment.status())["stage"] == "HALTED"


async def test_other_balances(tmp_path: Path) -> None:
    async with prepared(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        venue = deployment.testnet.venue
        # What the venue's history lists halts nothing; what leaves without a trace does.
        venue.transfer("testnet", "USDT", Decimal(30), deposit=True)
        await deployment.until(lambda status: moved(status) == 1)
        assert (await deployment.status())["stage"] == "TESTNET_VALIDATING"
        venue.transfer("testnet", "USDT", Decimal(30), deposit=False)
        await deployment.until(lambda status: moved(status) == 2)
        venue.engine.withdraw("testnet", "USDT", Decimal(20), venue.clock.now())
        await deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"])
        await deployment.until(lambda status: any(way["verb"] == "rebaseline" and not way["refused"] for way in status["ways_out"]))
        await follow(deployment, "other-balances")
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.takes_orders()


def moved(status: dict[str, Any]) -> int:
    """How often the alert about money that came or left was raised."""
    return sum(one["times"] for one in status["oversight"]["alerts"] if one["title"] == "money came to or left testnet")
