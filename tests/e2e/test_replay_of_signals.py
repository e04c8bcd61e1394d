"""A real bot decides the same again from what the gateway of a real controller answered it, and a changed bot does not."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from controller.bootstrap.replay import FOLDER
from controller.runtime.replay.apart import decide_again
from controller.runtime.replay.recording import Recorded
from controller.settings.artifact import artifact_digest
from exchange.model import Millis
from gates.signals import Compared, Signals, compare
from tests.support.rig import ROOT, Rig, quick_policy, rig

ENOUGH = 12
TOLERANCE_MS = 2_000
POLICY = (
    quick_policy().replace(
        "validation = [",
        """validation = [
  { id = "replay", metric = "replay_parity_ratio", op = ">=", threshold = 1, unit = "ratio", min_samples = 10 },
  { id = "replay-bound", metric = "replay_parity_lower", op = ">=", threshold = 0.7, unit = "ratio", min_samples = 10 },
  { id = "replay-coverage", metric = "replay_coverage_ratio", op = ">=", threshold = 0.995, unit = "ratio", min_samples = 10 },
""".replace("\n", " "),
    )
    + f"\n[performance]\nlooks = 10\nvariants = 5\n\n[performance.replay]\noffered = true\ntolerance_ms = {TOLERANCE_MS}\n"
)


def offer(one: Rig, bot: Path) -> None:
    """Write into the settings what the bot is and how it is replayed."""
    settings = one.directory / "gatehouse.toml"
    command = '["python3", "bars.py", "--replay"]'
    release = f'artifact = "{artifact_digest(bot)}"\npath = "{bot}"\nreplay = {command}'
    settings.write_text(settings.read_text().replace(f'artifact = "sha256:{"0" * 64}"', release))


@asynccontextmanager
async def trading(one: Rig, bot: Path) -> AsyncIterator[None]:
    secret = one.directory / "bot.secret"
    arguments = ("--gateway", one.gateway, "--key", one.bot_key, "--secret-file", str(secret), "--pause", "0.05")
    process = await asyncio.create_subprocess_exec(sys.executable, str(bot / "bars.py"), *arguments)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


def journalled(entries: list[dict[str, Any]]) -> Signals:
    """What the journal has of the bot's decisions."""
    signals = Signals()
    for entry in entries:
        body = entry["body"]
        if entry["kind"] in {"order-admitted", "order-denied"}:
            signals = signals.with_decision(Millis(entry["at_ms"]), body["symbol"], body["side"])
        if entry["kind"] == "orders-denied-again":
            signals = signals.with_denied_again(Millis(body["since"]), Millis(entry["at_ms"]), body["symbol"], body["count"])
    return signals


async def with_another_look(one: Rig, bot: Path, scratch: Path, event: dict[str, Any], signals: Signals) -> Compared:
    """The comparison that a bot with another parameter would get."""
    as_of = Millis(event["as_of"])
    found = await decide_again(
        ("python3", "bars.py", "--replay", "--look", "500"),
        bot,
        scratch,
        Recorded(one.directory / "var" / FOLDER, Millis(0), as_of),
    )
    spans = tuple((Millis(begin), Millis(end)) for begin, end in event["spans"])
    started_at = Millis(event["run_started_at"])
    return compare(signals, found, spans, started_at=started_at, as_of=as_of, tolerance_ms=TOLERANCE_MS)


async def test_a_bot_decides_again_what_it_decided(tmp_path: Path) -> None:
    bot = tmp_path / "bot"
    bot.mkdir()
    shutil.copy(ROOT / "ops" / "demo" / "bars.py", bot)
    async with rig(tmp_path / "deployment", policy=POLICY) as one:
        offer(one, bot)
        await one.start()
        await one.climb("TESTNET_VALIDATING")
        async with trading(one, bot):
            await one.until(lambda status: status["counters"]["orders"] + status["counters"]["denied"] >= ENOUGH)
        proposal = await one.propose("advance")
        rules = {rule["metric"]: rule for rule in proposal["gate"]["rules"]}
        ratio = rules["replay_parity_ratio"]
        assert (ratio["verdict"], ratio["measured"]) == ("PASS", "1"), rules
        assert rules["replay_coverage_ratio"]["verdict"] == "PASS"
        (entry,) = await one.entries("signals-replayed")
        assert "bot.secret" not in str(entry)
        signals = journalled(await one.entries())
        (tmp_path / "root").mkdir()
        other = await with_another_look(one, bot, tmp_path / "root", entry["body"], signals)
        assert other.agreed < other.judged
