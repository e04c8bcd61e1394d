"""A disk that fills up under a live deployment: orders are cancelled, none is placed again, and the halt survives."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.runtime.followers.latchfile import LatchFile
from tests.support.rig import Rig, rig

FULL = Path(__file__).parents[1] / "support" / "full_disk.py"


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb("LIVE_€10")
        await built.stop()
        yield built


async def test_the_next_start_journals_a_halt_that_could_not_be_journalled(deployment: Rig) -> None:
    await deployment.start(script=(str(FULL),))
    await deployment.takes_orders()
    resting = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
    assert resting.status_code == 200
    (deployment.directory / "full").touch()
    denied = await deployment.buy(await deployment.resting_price(), "0.00003", "too-late")
    assert denied.status_code >= 400
    # The controller must end, because it would keep the journal locked for the next start, which can halt.
    assert await deployment.exit_code() == 1
    assert not deployment.live.venue.engine.open_orders("live")
    (deployment.directory / "full").unlink()
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED")
    assert "halted without a journal" in halted["halt_reason"]
    assert halted["halted_from"] == "LIVE_€10"
    latch = LatchFile(deployment.directory / "var" / "latch").read()
    entries = await deployment.entries("stage-changed")
    assert latch is not None
    assert (latch.seq, latch.hash) in {(entry["seq"], entry["hash"]) for entry in await deployment.entries()}
    assert latch.seq >= entries[-1]["seq"]
