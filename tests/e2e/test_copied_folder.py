"""Somebody copies a deployment's folder and starts a second controller in it: it does not start, and cancels nothing."""

from __future__ import annotations

from pathlib import Path

from tests.support.pair import second_host
from tests.support.rig import Rig, rig


def open_at(one: Rig) -> int:
    """How many orders are open at the testnet."""
    return len(list(one.testnet.venue.engine.open_orders("testnet")))


async def test_a_copy_does_not_start_beside_the_first(tmp_path: Path) -> None:
    async with rig(tmp_path / "first") as first:
        await first.start()
        await first.climb("TESTNET_VALIDATING")
        await first.takes_orders()
        assert (await first.buy(await first.resting_price(), "0.00003", "resting")).status_code == 200
        await first.until(lambda _: open_at(first) == 1)
        second = second_host(first, tmp_path / "second")
        try:
            await second.start()
            assert await second.exit_code() == 3
            said = " ".join(second.tail().split())
        finally:
            await second.stop()
        assert "[account-claimed]" in said
        assert f"in {first.directory}" in said
        assert (open_at(first), (await first.status())["armed"]) == (1, True)
