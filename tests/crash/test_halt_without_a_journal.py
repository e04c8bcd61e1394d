"""A disk that fills up under a live deployment: orders cancelled, nothing placed again, and the halt outlives the process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rig import Rig, rig

FULL = Path(__file__).parents[1] / "support" / "full_disk.py"


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb("LIVE_€10")
        await built.stop()
        yield built


async def test_a_halt_that_could_not_be_journalled_is_journalled_by_the_next_start(deployment: Rig) -> None:
    await deployment.start(script=(str(FULL),))
    await deployment.armed()
    resting = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
    assert resting.status_code == 200
    (deployment.directory / "full").touch()
    denied = await deployment.buy(await deployment.resting_price(), "0.00003", "too-late")
    assert denied.status_code >= 400
    # A controller that stayed would keep the journal from the one that can halt.
    assert await deployment.killed() == 1
    assert not deployment.live.venue.engine.open_orders("live")
    (deployment.directory / "full").unlink()
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED")
    assert "halted without a journal" in halted["halt_reason"]
    assert halted["halted_from"] == "LIVE_€10"
    assert (deployment.directory / "var" / "latch").read_bytes() == b"\0" * 512
