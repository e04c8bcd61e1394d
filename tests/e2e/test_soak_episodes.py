"""Kills, pauses, venue faults, halts, flattens and bursts in random order: the cap, the latch and the journal hold.

``EPISODES_SEED`` repeats the choices of a run, ``EPISODES_SECONDS`` makes it shorter.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.support.episodes import episodes

pytestmark = pytest.mark.e2e

MOST = 300
SECONDS = 15 * 60


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
async def test_random_episodes_for_at_most_15_minutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("EPISODES_SEED") or secrets.randbelow(10**6))
    seconds = int(os.environ.get("EPISODES_SECONDS") or SECONDS)
    with capsys.disabled():
        print(f"\nepisodes of seed {seed}")
        async with episodes(tmp_path / "deployment", seed) as running:
            try:
                await running.run(MOST, seconds=seconds)
            finally:
                print(f"{running.done.total()} of {MOST} episodes of seed {seed}: {dict(running.done)}")
                print(f"at most {running.books.most:.4f} EUR at the venue; halts by themselves: {dict(running.halts)}")
            assert running.done.total() > 0, "no episode began in time"


async def test_a_few_episodes(tmp_path: Path) -> None:
    async with episodes(tmp_path / "deployment", seed=9) as running:
        for number in (0, 2, 4):
            await running.play(number)
        await running.run(0, seconds=0)
        assert running.done == {"kill": 1, "venue": 1, "halt": 1}
