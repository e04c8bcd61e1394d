"""The way up to real money, as operators go it: evidence, the drills that the gate asks for, signed commands."""

from __future__ import annotations

import asyncio
from typing import Any

from controller.core.decisions.drills import subject_of
from policies.drills import DRILLS, DrillKind
from tests.support.ordinary.scene import Scene
from tests.support.rig import _may_go_up

NEEDED = tuple(kind for kind, spec in DRILLS.items() if spec.metric is not None)


async def climb(scene: Scene, position: str, *, within: float = 240) -> None:
    """Go up until the position is ``position``; the gates decide when, and drills that they miss are practised. The bot trades."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while (status := await scene.until(lambda now: now["position"] == position or _may_go_up(now), within=within))[
        "position"
    ] != position:
        assert loop.time() < end, f"{position} was not reached: {await why(scene)}"
        if status["stage"] == "VALIDATED" and (needed := status["oversight"]["drills_needed"]):
            # A policy or an account that changed voids them.
            for one in needed:
                assert await drill(scene, DrillKind(one["drill"])), one["drill"]
        elif status["pending"] is None:
            verb = status["next_edges"][0]["verb"]
            answer = await scene.command(verb, *scene.signers)
            code = "" if answer.status_code == 200 else answer.json()["error"]["code"]
            assert code in {"", "gate-not-passed"}, answer.text
        await asyncio.sleep(2)


async def why(scene: Scene) -> str:
    """What the gates still miss."""
    gates = (await scene.ask("GET", "/v1/gates")).json()
    missing = [f"{rule['id']}: {rule['explanation']}" for gate in gates for rule in gate["rules"] if rule["verdict"] != "PASS"]
    return "; ".join(missing) or "nothing; the command is refused otherwise"


async def drill(scene: Scene, kind: DrillKind, *, within: float = 150) -> bool:
    """Practise one drill. Whether it is green; a controller that the drill ends is started again."""
    began = (await scene.status())["now_ms"]
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
    return status["stage"] != "HALTED" and not ended(status)[0]["ended_by"]
