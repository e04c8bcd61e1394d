"""One client's bot, governed by a deployment of its own from MOCK up to LIVE_€10, and what was measured of it."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller.cli.bots.clients import Client, ClientName
from tests.support.bots.field import STAGES, Did, by_stage, climb, field_of
from tests.support.bots.players import Player, player_of
from tests.support.rig import ROOT

HEAD, TAIL = 40, 40
"""Lines of a transcript, from the beginning and from the end."""
TELLING = {ClientName.FREQTRADE: re.compile(r"(freqtradebot|trade_model|freqtrade\.worker|check_exchange|exchange\.exchange) - ")}
"""Which lines of a talkative client are kept."""


async def govern(client: Client, directory: Path, within: float) -> dict[str, Any]:
    """Play one client. The result has ``stages``, ``said``, ``failed`` and ``transcript``."""
    steps: list[str] = []

    def say(line: str) -> None:
        steps.append(line)
        print(f"  {client.title}: {line}", flush=True)

    async with field_of(directory / "deployment") as deployment:
        player = player_of(client, directory / "bot", deployment)
        failed, said = "", dict[str, str]()
        try:
            await player.start()
            await climb(deployment, player, enough, say, within=within)
            said = await player.said()
        except AssertionError as problem:
            failed = str(problem).splitlines()[0]
        finally:
            await player.stop()
        stages = by_stage(await deployment.entries())
        return {
            "stages": {name: asdict(stages[name]) for name in STAGES if name in stages},
            "said": said,
            "failed": failed,
            "transcript": transcript(player, steps, directory),
        }


def enough(did: Did) -> bool:
    """What a bot does at a stage before the next step: three round trips while it is validated, one elsewhere."""
    return did.fills >= (6 if did.stage == "TESTNET_VALIDATING" else 2)


def transcript(player: Player, steps: list[str], directory: Path) -> str:
    """What the bot printed, without colours and this machine's paths; long ones without their middle."""
    text = player.log.read_text(errors="replace") if player.log.is_file() else ""
    text = (
        re.sub(r"\x1b\[[0-9;]*m", "", text)
        .replace(str(directory / "bot"), ".")
        .replace(str(directory), ".")
        .replace(str(ROOT), "…")
    )
    text = re.sub(r"listenKey=\w+", "listenKey=…", text.replace(player.deployment.bot_secret, "SECRET"))
    telling = TELLING.get(player.client.name, re.compile(""))
    lines = [line.rstrip()[:300] for line in text.splitlines() if telling.search(line)]
    if len(lines) > HEAD + TAIL:
        lines = [*lines[:HEAD], f"[{len(lines) - HEAD - TAIL} lines left out]", *lines[-TAIL:]]
    return "\n".join(["# What the operators did", *steps, "", "# What the bot printed", *lines]) + "\n"
