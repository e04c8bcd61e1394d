"""kill -9 after an order was signed and before its entry is durable: by the venue's own books nothing of it ever left."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import httpx

from tests.support.rig import SYMBOL, Rig, rig

SABOTAGED = Path(__file__).parents[1] / "support" / "sabotaged.py"


async def test_an_order_that_was_signed_and_not_durable_never_leaves(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", script=(str(SABOTAGED),), checkpoints="[signer]\n") as deployment:
        await deployment.start()
        await deployment.takes_orders()
        await deployment.climb("LIVE_€10")
        assert signed_buys(deployment) == {}
        price = await deployment.resting_price()
        (deployment.directory / "hang-order").touch()
        asking = asyncio.create_task(deployment.buy(price, "0.00003", "doomed"))
        await asyncio.wait_for(_signed(deployment), 60)
        await deployment.kill()
        with suppress(httpx.HTTPError, OSError):
            await asking
        assert orders(deployment) == 0
        (deployment.directory / "hang-order").unlink()
        await deployment.start()
        await deployment.until(lambda status: status["stage"] in {"LIVE_€10", "HALTED"})
        assert await deployment.entries("order-admitted") == []
        assert (orders(deployment), len(signed_buys(deployment))) == (0, 1)


def signed_buys(deployment: Rig) -> dict[str, str]:
    """What the signer has saved of the buys that it signed."""
    with suppress(FileNotFoundError, json.JSONDecodeError):
        return dict(json.loads((deployment.directory / "var" / "signer.json").read_text())["buys"])
    return {}


def orders(deployment: Rig) -> int:
    """By the venue's own books."""
    return len(deployment.live.venue.engine.orders("live", SYMBOL, limit=1000))


async def _signed(deployment: Rig) -> None:
    while not signed_buys(deployment):  # noqa: ASYNC110 - another process writes the file
        await asyncio.sleep(0.01)
