"""Runs one rehearsal from its first virtual second to its result. ``gatehouse rehearse`` and the campaign call it."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from controller.rehearsal.bots import open_port, run_bot
from controller.rehearsal.controller import InsideController, OpenSigner
from controller.rehearsal.faults import strike_in_turn
from controller.rehearsal.folder import VENUES, write_folder
from controller.rehearsal.market import Tapes
from controller.rehearsal.network import Sites
from controller.rehearsal.operators import NoAnswer, open_operators
from controller.rehearsal.policy import Plan, policy_text
from controller.rehearsal.scene import Rehearsal, Script
from controller.rehearsal.time import VirtualClock, VirtualLoop, end_tasks, run_virtually
from controller.rehearsal.venues import markets_play, open_venues
from controller.rehearsal.watchdog import Beside, InsideWatchdog, OpenWatchdog
from controller.runtime.loop.collector import few_collections
from controller.runtime.statistics import EVERY_S
from controller.settings.watchdog import SOCKET_FILE
from policies.stage import Stage

START = datetime(2025, 1, 6, tzinfo=UTC)
"""When every rehearsal begins, on its own clock."""

LOOK_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class Processes:
    """What makes the parts that a deployment has in processes of their own. ``controller.cli`` knows how, and passes it in."""

    signer: OpenSigner
    watchdog: OpenWatchdog


@dataclass(slots=True)
class Result:
    """How it ended. ``verdict`` is the stage, or why it went no further; times are seconds, memory is MiB.

    ``validated_by``: the id of the command that ended the validation; empty where it did not pass.
    """

    stage: str
    verdict: str
    journal_head: str
    journal_seq: int
    virtual_s: float
    wall_s: float
    cpu_s: float
    peak_mib: int
    seed: int
    source: str
    rounds: int
    counts: dict[str, int] = field(default_factory=dict)
    signed: list[str] = field(default_factory=list)
    validated_by: str = ""
    struck: list[str] = field(default_factory=list)
    bot_ended: str = ""
    bot_said: str = ""


OnLook = Callable[[Rehearsal, dict[str, Any]], None]
"""Gets the rehearsal and its status now and then."""


async def play(rehearsal: Rehearsal, on_look: OnLook) -> dict[str, Any]:
    """Until the last stage is reached, the deployment halts, or the time is over. Returns the last status."""
    await rehearsal.watchdog.start()
    await rehearsal.controller.start()
    trading = asyncio.create_task(_trade(rehearsal))
    climbing = asyncio.create_task(rehearsal.operators.climb(rehearsal.script.until, rehearsal.plan.look_every_s))
    striking = asyncio.create_task(strike_in_turn(rehearsal, rehearsal.script.faults)) if rehearsal.script.faults else None
    status: dict[str, Any] = {}
    reached_at: float | None = None
    try:
        while rehearsal.loop.time() < rehearsal.plan.most_s:
            await asyncio.sleep(max(LOOK_EVERY_S, rehearsal.plan.look_every_s))
            markets_play(rehearsal.venues)
            try:
                status = await rehearsal.operators.status()
            except NoAnswer:
                continue
            on_look(rehearsal, status)
            if striking is not None and striking.done():
                striking.result()
            if status["stage"] == Stage.HALTED.value:
                break
            if climbing.done():
                climbing.result()
                # What was reached has to hold for a while too.
                reached_at = rehearsal.loop.time() if reached_at is None else reached_at
                if rehearsal.loop.time() - reached_at >= rehearsal.plan.warmup_s:
                    break
        return status
    finally:
        running = [task for task in (trading, climbing, striking) if task is not None]
        await end_tasks(running)


async def _trade(rehearsal: Rehearsal) -> None:
    rehearsal.bot_ended = await run_bot(rehearsal.script.bot, rehearsal.port)


async def build(script: Script, parts: Processes, loop: VirtualLoop) -> Rehearsal:
    """Write the deployment and open its venues; nothing is decided yet. Raises ``GatehouseError``."""
    clock, sites, rng = VirtualClock(loop, START), Sites(), Random(script.seed)  # noqa: S311 - a rehearsal's keys are no secrets
    plan = Plan(script.hours)
    policy = script.policy if script.policy is not None else policy_text(plan)
    # Read first: a file that is no market leaves nothing behind.
    markets = Tapes(script.tapes).playbacks(len(VENUES), clock)
    folder = write_folder(script.directory, policy, script.bot.code, _child(rng))
    venues = open_venues(folder, markets, sites, clock, _child(rng))
    beside = Beside(folder.directory, sites, clock, _child(rng))
    watchdog = InsideWatchdog(beside, parts.watchdog, folder.directory / "var" / SOCKET_FILE)
    controller = InsideController(folder.directory, sites, clock, _child(rng), parts.signer)
    # A proposal has them computed anyway, and on the loop nothing else goes on meanwhile.
    controller.statistics_every_s = max(EVERY_S, plan.covered_s / 4)
    port = open_port(folder, sites, clock, _child(rng))
    return Rehearsal(script, plan, loop, clock, sites, folder, venues, controller, watchdog, open_operators(folder, sites), port)


def _child(rng: Random) -> Random:
    return Random(rng.randrange(2**63))  # noqa: S311 - as above


def rehearse(
    script: Script,
    parts: Processes,
    on_look: OnLook = lambda *_: None,
    *,
    on_built: Callable[[Rehearsal], None] = lambda _: None,
    on_ended: Callable[[Rehearsal], None] = lambda _: None,
) -> Result:
    """Rehearse in this thread, and return how it ended. ``on_look`` gets the status every 20 virtual seconds,
    ``on_built`` everything before it starts, and ``on_ended`` after its end.

    Raises:
        GatehouseError: the rehearsal cannot begin, or is defective.
    """
    wall, cpu = time.monotonic(), time.process_time()
    loop = VirtualLoop()

    async def work() -> Result:
        rehearsal = await build(script, parts, loop)
        on_built(rehearsal)
        status = await play(rehearsal, on_look)
        counts = _counts(rehearsal)
        await rehearsal.controller.stop()
        await rehearsal.watchdog.stop()
        on_ended(rehearsal)
        result = _result(rehearsal, status, counts)
        result.wall_s, result.cpu_s = time.monotonic() - wall, time.process_time() - cpu
        return result

    with _state_beside(script.directory), few_collections(50_000):
        return run_virtually(work(), loop)


def _counts(rehearsal: Rehearsal) -> dict[str, int]:
    counts = Counter({"orders-sent": rehearsal.port.sent, "orders-refused": rehearsal.port.refused})
    for name, venue in rehearsal.venues.items():
        counts[f"fills-{name}"] = sum(len(venue.venue.engine.fills(name, symbol)) for symbol in venue.venue.engine.rules)
        counts[f"requests-{name}"] = venue.site.requests
        counts[f"records-{name}"] = venue.venue.market.records
    counts["turns"] = rehearsal.loop.turns
    return dict(counts)


def _result(rehearsal: Rehearsal, status: Mapping[str, Any], counts: dict[str, int]) -> Result:
    from controller.journal.sqlite import read_journal

    reader = read_journal(rehearsal.folder.directory / "var" / "journal.db")
    head = reader.head
    reader.close()
    halted, signed = status.get("halt_reason", ""), rehearsal.operators.signed
    return Result(
        stage=str(status.get("stage", "")),
        verdict=f"HALTED: {halted}" if halted else str(status.get("position", "")),
        journal_head=head.hash,
        journal_seq=head.seq,
        virtual_s=rehearsal.loop.time(),
        wall_s=0.0,
        cpu_s=0.0,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        seed=rehearsal.script.seed,
        source=rehearsal.venues["testnet"].venue.market.source.value,
        rounds=rehearsal.venues["testnet"].venue.market.rounds,
        counts=counts,
        struck=rehearsal.struck,
        bot_ended=rehearsal.bot_ended,
        bot_said=rehearsal.port.last_said,
        validated_by=next((one.command_id for one in signed if one.stage == Stage.VALIDATED.value and not one.refused), ""),
        signed=[f"{one.verb} {one.stage or one.refused}" for one in signed],
    )


@contextmanager
def _state_beside(directory: Path) -> Iterator[None]:
    """Marks and claims that a deployment leaves in the user's state directory stay in the rehearsal's folder."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(directory.resolve() / "state")
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before
