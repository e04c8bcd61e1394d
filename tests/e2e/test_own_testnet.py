"""One command runs everything: `gatehouse run` keeps the deployment's testnet, and a kill of either is a gap and no halt."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from exchange.testnet.state.store import holder
from exchange.wire.signing import signature, signed_query
from tests.support.loopback import http_at
from tests.support.rig import SYMBOL, TAPE, Rig, free_port, key_of_testnet, quick_policy, rig

LONG_MS = "600_000"
"""How long the guards of this test tolerate a venue that is away: a slow machine needs a while for a start."""


def patient_policy() -> str:
    """The quick policy with guards that wait longer than any start takes."""
    text = quick_policy()
    for guard in ("cancel_ms = 5_000, halt_ms", "max_age_ms", "blind_deadline_ms"):
        text = text.replace(f"{guard} = 15_000", f"{guard} = {LONG_MS}")
    rule = f'{{ id = "gap", metric = "longest_gap_ms", op = "<=", threshold = {LONG_MS}, unit = "ms", min_samples = 1 }}'
    text = text.replace("validation = [", f"validation = [{rule}, ")
    return text.replace("unknown_order = { max_age_ms = 30_000 }", f"unknown_order = {{ max_age_ms = {LONG_MS} }}")


def impatient_policy() -> str:
    """The patient policy's gate, with guards that halt within seconds where real money is at stake."""
    text = patient_policy().replace(f"cancel_ms = 5_000, halt_ms = {LONG_MS}", "cancel_ms = 3_000, halt_ms = 4_000")
    return text.replace(f"max_age_ms = {LONG_MS}", "max_age_ms = 4_000").replace(
        f"blind_deadline_ms = {LONG_MS}", "blind_deadline_ms = 4_000"
    )


@asynccontextmanager
async def deployed(directory: Path, policy: str = "") -> AsyncIterator[Rig]:
    """A deployment that keeps its own testnet. The rig's testnet is not used: this one is a process that `run` starts."""
    async with rig(directory, policy=policy or patient_policy()) as built:
        port, path = free_port(), directory / "gatehouse.toml"
        settings = path.read_text()
        account = tomllib.loads(settings)["testnet"]
        settings = settings.replace(built.testnet.base_url, f"http://127.0.0.1:{port}")
        settings = settings.replace(built.testnet.ws_url, f"ws://127.0.0.1:{port}/ws")
        table = f'[testnet.run]\nfeed = "tape"\ntapes = [{json.dumps(str(TAPE))}]\nentry_latency = "0"\n'
        path.write_text(settings + table)
        state = directory / "var" / "testnet"
        state.mkdir(mode=0o700, parents=True)
        shutil.copy2(key_of_testnet(directory), state / "testnet.key")
        accounts = directory / "secrets" / "testnet-accounts.toml"
        accounts.touch(0o600)
        secret = (directory / account["secret_file"]).read_text()
        accounts.write_text(
            f'[[account]]\nname = "testnet"\napi_key = "{account["api_key"]}"\nsecret = "{secret}"\nbalances = {{ USDT = "100" }}\n'
        )
        try:
            yield built
        finally:
            await built.stop()
            if (pid := process_of(built)) is not None:
                os.kill(pid, signal.SIGKILL)


def process_of(deployment: Rig) -> int | None:
    """The process that has the testnet's state open."""
    found = holder(deployment.directory / "var" / "testnet")
    return None if found is None else found[0]


async def until_gone(deployment: Rig) -> None:
    for _ in range(1_200):
        if process_of(deployment) is None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the testnet goes on running")


async def ask(deployment: Rig, path: str, **params: str) -> Any:
    """A signed question to the testnet itself, with the deployment's own key."""
    venue = tomllib.loads((deployment.directory / "gatehouse.toml").read_text())["testnet"]
    secret = (deployment.directory / venue["secret_file"]).read_text()
    for _ in range(1_200):
        with suppress(httpx.HTTPError):
            async with http_at(venue["rest"], timeout=30) as http:
                now = (await http.get("/api/v3/time")).json().get("serverTime")
                query = signed_query([*params.items(), ("timestamp", str(now))], lambda text: signature(secret, text))
                answer = await http.get(f"{path}?{query}", headers={"X-MEXC-APIKEY": venue["api_key"]})
                if now is not None and answer.status_code == 200:
                    return answer.json()
        await asyncio.sleep(0.2)
    raise AssertionError(f"the testnet does not answer\n{(deployment.directory / 'var' / 'testnet.out').read_text()[-2000:]}")


async def books(deployment: Rig) -> tuple[dict[str, Any], set[str], dict[str, Decimal]]:
    """Orders by id, the ids of the fills, and what the account holds."""
    orders = await ask(deployment, "/api/v3/allOrders", symbol=SYMBOL, limit="1000")
    fills = await ask(deployment, "/api/v3/myTrades", symbol=SYMBOL)
    balances = (await ask(deployment, "/api/v3/account"))["balances"]
    held = {one["asset"]: Decimal(one["free"]) + Decimal(one["locked"]) for one in balances}
    return {one["orderId"]: one for one in orders}, {one["id"] for one in fills}, held


async def gap_rule(deployment: Rig) -> dict[str, Any]:
    """What the gate of the validation says of the longest gap."""
    gates = (await deployment.ask("GET", "/v1/gates")).json()
    return next(dict(rule) for gate in gates for rule in gate["rules"] if rule["id"] == "gap")


async def longest_gap_ms(deployment: Rig) -> int:
    """The longest time that the evidence of the validation does not cover."""
    return int((await gap_rule(deployment))["measured"])


async def bought(deployment: Rig, name: str) -> None:
    """A buy that fills at once, once the deployment takes orders."""
    answer = None
    for _ in range(600):
        try:
            price = f"{(await deployment.bid()) * Decimal('1.004'):.2f}"
            answer = await deployment.buy(price, "0.00003", name)
        except (httpx.HTTPError, KeyError):
            answer = None
        if answer is not None and answer.status_code == 200:
            return
        name = f"{name}x"
        await asyncio.sleep(0.2)
    raise AssertionError(f"no order is taken: {answer and answer.text}\n{deployment.tail()}")


async def test_a_killed_testnet_comes_back_and_the_deployment_trades_on(tmp_path: Path) -> None:
    async with deployed(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.until(lambda status: status["armed"], within=120)
        await deployment.climb("TESTNET_VALIDATING")
        async with deployment.bot_looking():
            await bought(deployment, "before")
            await deployment.until(lambda status: status["counters"]["fills"] >= 1)
            before = await books(deployment)
            assert before[1]
            pid = process_of(deployment)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            again, trades, held = await books(deployment)
            assert process_of(deployment) not in {None, pid}
            assert (again.keys(), trades, held) == (before[0].keys(), before[1], before[2])
            await bought(deployment, "after")
        later, more, _ = await books(deployment)
        assert (len(later) > len(again), len(more) > len(trades)) == (True, True)
        status = await deployment.armed()
        assert status["stage"] == "TESTNET_VALIDATING"
        assert not [one for one in await deployment.entries("stage-changed") if one["body"]["stage"] == "HALTED"]
        assert await longest_gap_ms(deployment) >= 1_000, "the evidence does not show that the testnet was away"


async def test_a_testnet_away_for_longer_than_guards_wait_is_a_gap_and_no_halt(tmp_path: Path) -> None:
    """It hangs until a guard says that it would halt with real money, then it dies; nothing waits for a time of the clock."""
    async with deployed(tmp_path / "deployment", impatient_policy()) as deployment:
        await deployment.start()
        await deployment.until(lambda status: status["armed"], within=120)
        await deployment.climb("TESTNET_VALIDATING")
        async with deployment.bot_looking():
            await bought(deployment, "before")
            resting = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
            assert resting.status_code == 200, resting.text
            await deployment.until(lambda status: status["counters"]["fills"] >= 1 and status["working_orders"] == 1)
            pid = process_of(deployment)
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            away = await deployment.until(lambda status: "it cancels and pauses" in status["guard_reason"], within=120)
            os.kill(pid, signal.SIGKILL)
            assert (away["stage"], away["guard_level"]) == ("TESTNET_VALIDATING", "CANCEL_ALL")
            assert away["coverage"]["paused_because"]
            assert away["now_ms"] - away["coverage"]["paused_since_ms"] >= 1_000
            await bought(deployment, "after")
            status = await deployment.until(lambda status: not status["guard_level"] and not status["working_orders"])
            orders, _, _ = await books(deployment)
        assert sorted(one["status"] for one in orders.values()) == ["CANCELED", "FILLED", "FILLED"]
        assert status["stage"] == "TESTNET_VALIDATING"
        assert not [one for one in await deployment.entries("stage-changed") if one["body"]["stage"] == "HALTED"]
        assert await deployment.entries("breach-detected") == []
        rule = await gap_rule(deployment)
        assert (int(rule["measured"]) >= 4_000, rule["verdict"]) == (True, "PASS")


async def test_after_a_kill_of_everything_orders_balances_and_ids_are_there(tmp_path: Path) -> None:
    async with deployed(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.until(lambda status: status["armed"], within=120)
        await deployment.climb("TESTNET_VALIDATING")
        await bought(deployment, "before")
        await deployment.until(lambda status: status["counters"]["fills"] >= 1)
        resting = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
        assert resting.status_code == 200, resting.text
        before = await books(deployment)
        pid = process_of(deployment)
        assert pid is not None
        await deployment.kill()
        os.kill(pid, signal.SIGKILL)
        await until_gone(deployment)
        await deployment.start()
        await deployment.until(lambda status: status["armed"], within=120)
        orders, fills, held = await books(deployment)
        assert (orders.keys(), fills, held) == (before[0].keys(), before[1], before[2])
        await bought(deployment, "after")
        assert (await deployment.status())["stage"] == "TESTNET_VALIDATING"
        await deployment.stop()
        await until_gone(deployment)
        assert deployment.process is not None
        assert deployment.process.returncode == 0
        for log in ("controller.log", "var/testnet.out"):
            assert "Traceback" not in (deployment.directory / log).read_text()


async def test_a_start_waits_for_the_venue_in_use_and_a_signal_ends_the_wait(tmp_path: Path) -> None:
    async with deployed(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.stop()
        settings = tomllib.loads((deployment.directory / "gatehouse.toml").read_text())
        with socket.create_server(("127.0.0.1", int(settings["testnet"]["rest"].rpartition(":")[2]))):
            await deployment.start()
            for _ in range(1_200):
                if "waiting for the testnet venue" in deployment.tail():
                    break
                await asyncio.sleep(0.05)
            await deployment.stop()
        assert deployment.process is not None
        assert (deployment.process.returncode, process_of(deployment)) == (0, None)
        assert "waiting for the testnet venue" in deployment.tail()
        assert "Traceback" not in deployment.tail()
