"""The way up to real money, as operators go it: evidence, the drills that the gate asks for, signed commands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from controller.core.decisions.drills import subject_of
from policies.drills import DrillKind
from tests.support.ordinary.scene import Scene
from tests.support.rig import _may_go_up

DRILLED_AT = frozenset({"TESTNET_VALIDATING", "VALIDATED"})
"""Where drills are practised that the gates ask for, before the next step. A changed policy or account voids them."""

OFTEN_S, SELDOM_S = 0.6, 20.0
"""Seconds between two orders that fill: while a gate asks for them, and else. Every fill costs a fee."""

BELOW = {"TESTNET_VALIDATING": "MOCK", "VALIDATED": "TESTNET_VALIDATING", "LIVE_€10": "VALIDATED", "RAMPING": "LIVE_€10"}
"""Where a run begins anew: one stage down, from where people climb again."""


async def climb(scene: Scene, position: str, *, within: float = 900) -> bool:
    """Go up until the position is ``position``; the gates decide when, and drills that they miss are practised. The bot trades.

    A run whose gaps are too large a share of it begins anew, as a real one would go on for days. Returns whether it got there; not
    when the deployment is HALTED.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        status = await scene.until(lambda now: now["position"] == position or _halted(now) or _may_go_up(now), within=within)
        if _halted(status) or status["position"] == position:
            scene.pace(SELDOM_S)
            return not _halted(status)
        assert loop.time() < end, f"{position} was not reached: {await why(scene)}"
        assert scene.bot_process is None or scene.bot_process.returncode is None, "the bot has ended; its log says why"
        if status["stage"] in DRILLED_AT and (needed := status["oversight"]["drills_needed"]):
            await _practise(scene, [DrillKind(one["drill"]) for one in needed])
        elif status["pending"] is None:
            await _step_up(scene, status)
        await asyncio.sleep(2)


async def _step_up(scene: Scene, status: dict[str, Any]) -> None:
    """Sign the next step. While its gate does not pass, the bot fills what the gate misses, or the run begins anew."""
    answer = await scene.command(status["next_edges"][0]["verb"], *scene.signers)
    if answer.status_code == 200:
        return
    assert answer.json()["error"]["code"] == "gate-not-passed", answer.text
    gates = (await scene.ask("GET", "/v1/gates")).json()
    missing = {rule["metric"]: rule for gate in gates for rule in gate["rules"] if rule["verdict"] != "PASS"}
    scene.pace(OFTEN_S if "fills" in missing else SELDOM_S)
    if "coverage_ratio" in missing and too_long(gates, scene.longest_wait_s):
        await _begin_anew(scene, status["stage"])


def too_long(gates: Sequence[dict[str, Any]], longest_wait_s: float) -> bool:
    """Whether the share of covered time would need more seconds than that to be enough, all of them covered."""
    rules = {rule["metric"]: rule for gate in gates for rule in gate["rules"]}
    ratio, threshold = (Decimal(rules["coverage_ratio"][name] or 0) for name in ("measured", "threshold"))
    covered_ms = Decimal(rules["covered_ms"]["measured"] or 0)
    if not ratio:
        # Nothing is covered yet: the run has just begun.
        return False
    return (threshold * covered_ms / ratio - covered_ms) / (1 - threshold) > Decimal(longest_wait_s * 1000)


async def _begin_anew(scene: Scene, stage: str) -> None:
    if stage == "MOCK":
        await scene.order_of("halt")
        await scene.order_of("reset")
    else:
        await scene.order_of("demote", target=BELOW[stage])


def _halted(status: dict[str, Any]) -> bool:
    return bool(status["stage"] == "HALTED")


async def why(scene: Scene) -> str:
    """What the gates still miss."""
    gates = (await scene.ask("GET", "/v1/gates")).json()
    missing = [f"{rule['id']}: {rule['explanation']}" for gate in gates for rule in gate["rules"] if rule["verdict"] != "PASS"]
    return "; ".join(missing) or "nothing; the command is refused otherwise"


async def drill(scene: Scene, kind: DrillKind, *, within: float = 150) -> bool:
    """Practise one drill. Whether it is green; a controller that the drill ends is started again."""
    began = (await scene.until(lambda now: now["armed"] and not now["unknown_orders"], within=within))["now_ms"]
    if kind is DrillKind.RESTORE:
        await scene.copied()
    await scene.order_of("drill", subject=subject_of(kind))
    if kind is DrillKind.CRASH:
        await scene.exit_code()
        await scene.start()

    def ended(status: dict[str, Any]) -> list[dict[str, Any]]:
        drills = status["oversight"]["drills"]
        return [one for one in drills if one["drill"] == kind and one["since_ms"] >= began and one["ended_at_ms"]]

    status = await scene.until(
        lambda now: now["stage"] == "HALTED" or (bool(ended(now)) and not now["oversight"]["drill"] and now["armed"]), within=within
    )
    why_not = "it halted" if status["stage"] == "HALTED" else ended(status)[0]["ended_by"]
    if why_not:
        print(f"  drill {kind}: {why_not}; {status['halt_reason']}", flush=True)
    return not why_not


async def _practise(scene: Scene, kinds: Sequence[DrillKind]) -> None:
    """These drills, once more where one is not green: a machine may be too busy for a deadline."""
    for kind in kinds:
        assert await drill(scene, kind) or await drill(scene, kind), f"the drill {kind} is not green"
    print("  every drill that the gate asks for is green", flush=True)
