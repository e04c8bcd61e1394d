"""How an operator leaves a halt: other balances are accepted, a post-mortem is written, and a resume is signed."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from policies import canonical
from tests.support.ordinary.scene import Scene

TRIES = 90
"""How often each command is proposed again, a second apart, where the answer is only "not yet"."""

NOT_YET = {
    "rebaseline": {"seen-once", "orders-open", "reading-old", "no-reading", "no-quote"},
    "resume": {"gate-not-passed", "target-not-seen", "guard-stands"},
}
"""The refusals that time ends."""


def differing(status: dict[str, Any]) -> list[str]:
    """The venues whose account differs from our books, as ``status`` shows them beside the ways out."""
    return [way["venue"] for way in status["ways_out"] if way["verb"] == "rebaseline"]


async def leave(scene: Scene, reason: str) -> str:
    """Leave the halt as far up as it leads; a reset where no resume is possible. Returns what was done, for a person."""
    done: list[str] = []
    for venue in differing(await scene.status()):
        refused = await _signed(scene, "rebaseline", subject=venue)
        done.append(f"no new baseline of {venue}: {refused}" if refused else f"a new baseline of {venue} is signed")
    digest = canonical.digest(f"What happened: {reason}".encode())
    for target in ("LIVE_€10", "VALIDATED"):
        refused = await _signed(scene, "resume", target=target, postmortem=digest)
        if not refused:
            await scene.until(lambda now: now["stage"] != "HALTED")
            return "; ".join([*done, f"resumed to {target}"])
        done.append(f"no resume to {target}: {refused}")
    await scene.order_of("reset")
    return "; ".join([*done, "reset to MOCK"])


async def _signed(scene: Scene, verb: str, **fields: str) -> str:
    """Propose and sign a command until it is accepted. Returns why it was refused for good, or an empty text."""
    answer = None
    for _ in range(TRIES):
        answer = await scene.ask("POST", "/v1/propose", json={"verb": verb, "reason": "it is over", **fields})
        if answer.status_code == 200:
            answer = await scene.submit(scene.sign(answer.json()["payload"], *scene.signers))
            if answer.status_code == 200:
                await scene.until(lambda now: now["pending"] is None)
                return ""
        if answer.json()["error"]["code"] not in NOT_YET[verb]:
            break
        await asyncio.sleep(1)
    return _message(answer)


def _message(answer: httpx.Response | None) -> str:
    return answer.json()["error"]["message"][:160] if answer is not None else ""
