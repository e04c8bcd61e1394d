"""One deployment on loopback for a bot that we did not write, from MOCK up to real money's stage on a stand-in for MEXC.

The demo's policy, gates included, with shorter times than a real one; only the counts of orders and fills are those of a slow bot.
The market is a recorded one.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.bots.players import Player
from tests.support.minutes import give_history
from tests.support.rig import ROOT, Rig, rig

STAGES = ("MOCK", "TESTNET_VALIDATING", "VALIDATED", "LIVE_€10")
AROUND = 61_700
"""Dollars: where the recorded market is."""


def policy_of(fills: int) -> str:
    """The demo's policy, whose validation asks for ``fills`` fills of as many orders."""
    text = (ROOT / "policies" / "examples" / "demo.toml").read_text()
    text = re.sub(r'(metric = "orders", op = ">=", threshold = )10', rf"\g<1>{fills}", text)
    text = text.replace("min_samples = 10 }", "min_samples = 6 }")
    return re.sub(r'(metric = "fills", op = ">=", threshold = )4', rf"\g<1>{fills}", text)


@dataclass(frozen=True, slots=True)
class Did:
    """What a bot did at one stage, by the journal."""

    stage: str
    orders: int = 0
    fills: int = 0
    cancels: int = 0
    denied: dict[str, int] = field(default_factory=dict)
    rejected: int = 0

    @property
    def summary(self) -> str:
        """In words."""
        refused = "".join(f", {count} denied ({rule})" for rule, count in self.denied.items())
        refused += f", {self.rejected} rejected by the venue" if self.rejected else ""
        return f"{self.orders} orders, {self.fills} fills, {self.cancels} cancels{refused}"


def by_stage(entries: list[dict[str, Any]]) -> dict[str, Did]:
    """What happened at each stage, in the order of the journal."""
    stage, counts, denied = "MOCK", dict[str, Counter[str]](), dict[str, Counter[str]]()
    for entry in entries:
        kind, body = entry["kind"], entry["body"]
        if kind == "stage-changed":
            stage = body["stage"]
        counts.setdefault(stage, Counter())[kind] += 1
        if kind == "order-denied":
            denied.setdefault(stage, Counter())[body["rule"]] += 1
    return {
        name: Did(
            name,
            orders=found["order-admitted"],
            fills=found["fill-booked"],
            cancels=found["cancel-accepted"],
            denied=dict(denied.get(name, {})),
            rejected=found["order-rejected"],
        )
        for name, found in counts.items()
    }


async def climb(deployment: Rig, player: Player, done: Callable[[Did], bool], say: Callable[[str], None], *, within: float) -> None:
    """Sign every step up to ``LIVE_€10`` as soon as ``done`` holds at the stage and the gate passes. The bot trades meanwhile.

    Raises:
        AssertionError: the bot ended, the deployment halted, or it took longer than ``within`` seconds.
    """
    loop, refused, ready = asyncio.get_running_loop(), "", False
    end = loop.time() + within
    while loop.time() < end:
        assert not player.ended, f"the bot has ended: {player.last_words}"
        status = await deployment.status()
        assert status["stage"] != "HALTED", f"it halted: {status['halt_reason']}"
        did = by_stage(await deployment.entries()).get(status["stage"], Did(status["stage"]))
        if not done(did):
            await asyncio.sleep(2)
            continue
        if status["stage"] == STAGES[-1]:
            say(f"{did.stage}: {did.summary}")
            return
        if not ready:
            if missing := await _missing(deployment):
                refused = missing
                await asyncio.sleep(2)
                continue
            await player.before_step()
            ready = True
        answer = await deployment.command(status["next_edges"][0]["verb"], "alice", "bob")
        if answer.status_code == 200:
            say(f"{did.stage}: {did.summary}; the gate passes")
            await player.after_step()
            refused, ready = "", False
            continue
        error = answer.json()["error"]
        assert error["code"] in {"gate-not-passed", "target-not-seen"}, answer.text
        refused = error["message"]
        await asyncio.sleep(2)
    raise AssertionError(f"it did not get up within {within:.0f} s: {refused or 'it traded too little'}")


async def _missing(deployment: Rig) -> str:
    """What the gate of the next step still misses."""
    gates = (await deployment.ask("GET", "/v1/gates")).json()
    return "; ".join(rule["explanation"] for gate in gates for rule in gate["rules"] if rule["verdict"] != "PASS")


@asynccontextmanager
async def field_of(directory: Path, policy: str = "") -> AsyncIterator[Rig]:
    """The deployment, started and armed at MOCK. Without a policy the validation asks for six fills."""
    async with rig(directory, policy=policy or policy_of(fills=6)) as deployment:
        give_history(deployment.live, 1, AROUND)
        give_history(deployment.testnet, 2, AROUND)
        await deployment.start()
        await deployment.takes_orders()
        yield deployment
