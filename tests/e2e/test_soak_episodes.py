"""Kills, pauses, venue faults, halts, flattens and bursts in random order: the cap, the latch and the journal hold.

``EPISODES_SEED`` repeats the choices of a run, ``EPISODES_SECONDS`` makes it shorter. Several deployments share the
episodes, because each mostly waits; ``EPISODES_SIDE_BY_SIDE`` says how many.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import pytest

from tests.support.episodes import episodes, side_by_side

pytestmark = pytest.mark.e2e

MOST = 300
SECONDS = 15 * 60
DEPLOYMENTS = 5


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
async def test_random_episodes_for_at_most_15_minutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("EPISODES_SEED") or secrets.randbelow(10**6))
    seconds = int(os.environ.get("EPISODES_SECONDS") or SECONDS)
    deployments = int(os.environ.get("EPISODES_SIDE_BY_SIDE") or DEPLOYMENTS)
    with capsys.disabled():
        print(f"\nepisodes of seed {seed} on {deployments} deployments side by side")
        async with side_by_side(tmp_path, seed, deployments) as running:
            began = time.monotonic()
            try:
                await running.run(MOST, seconds=seconds)
            finally:
                done = running.done.total()
                print(f"{done} of {MOST} episodes of seed {seed} in {time.monotonic() - began:.0f} s: {dict(running.done)}")
                print(f"at most {running.most:.4f} EUR at a venue; halts by themselves: {dict(running.halts)}")
                if done < MOST:
                    print(f"{MOST - done} of them did not begin in {seconds} s")
            assert running.done.total() > 0, "no episode began in time"


async def test_a_few_episodes(tmp_path: Path) -> None:
    async with episodes(tmp_path / "deployment", seed=9) as running:
        for number in (0, 2, 4):
            await running.play(number)
        await running.run(iter(()), seconds=0)
        assert running.done == {"kill": 1, "venue": 1, "halt": 1}
