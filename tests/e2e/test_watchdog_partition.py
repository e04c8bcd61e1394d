"""A controller that is cut off from everything: the watchdog on another host, near the venue, leaves no open order."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.namespace import Namespace, namespace, relayed, relayed_inside, why_not
from tests.support.rig import ROOT, Rig, free_port, rig

LEASE_S = 4
WITHIN_S = LEASE_S + 5


@pytest.fixture
def space() -> Iterator[Namespace]:
    if reason := why_not():
        pytest.skip(reason)
    with namespace() as made:
        yield made


@asynccontextmanager
async def apart(directory: Path, space: Namespace) -> AsyncIterator[Rig]:
    """A deployment whose controller lives in ``space``; its venues and its watchdog live here, over the cable."""
    port = free_port()
    table = f"""
[watchdog]
enabled = true
lease_s = {LEASE_S}
address = "{space.here}:{port}"
token_file = "watchdog.token"
required = true
"""
    async with rig(directory, checkpoints=table, script=(*space.script, "-m", "controller", "run", "--dir")) as built:
        token = directory / "watchdog.token"
        token.write_text(secrets.token_hex(16))
        token.chmod(0o600)
        venues = [urlsplit(venue.base_url).port for venue in (built.testnet, built.live)]
        gateway = urlsplit(built.gateway).port
        here = [(f"{space.here}:{venue}", f"127.0.0.1:{venue}") for venue in venues]
        inside = [(f"127.0.0.1:{venue}", f"{space.here}:{venue}") for venue in venues]
        built.gateway = f"http://{space.inside}:{gateway}"
        with (directory / "watchdog.log").open("ab") as log:
            watchdog = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "controller", "watchdog", "--dir", str(directory)),
                stdout=log,
                stderr=log,
                env=built.environment,
                cwd=ROOT,
            )
        try:
            async with relayed(*here), relayed_inside(space, *inside, (f"{space.inside}:{gateway}", f"127.0.0.1:{gateway}")):
                yield built
                await built.kill()
        finally:
            watchdog.kill()
            await watchdog.wait()


async def test_a_controller_behind_a_cut_cable_leaves_no_order_and_halts(tmp_path: Path, space: Namespace) -> None:
    async with apart(tmp_path / "deployment", space) as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.until(
            lambda status: status["armed"] and not status["guard_level"] and status["watchdog"]["venues"] == ["testnet"]
        )
        price = await deployment.resting_price()
        for number in range(3):
            answer = await deployment.buy(price, "0.00003", f"resting-{number}")
            assert answer.status_code == 200, answer.text
        engine = deployment.testnet.venue.engine
        assert len(engine.open_orders("testnet")) == 3
        space.cut()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while engine.open_orders("testnet") and loop.time() - began < 60:  # noqa: ASYNC110 - the venue's books, no event
            await asyncio.sleep(0.02)
        assert loop.time() - began <= WITHIN_S
        space.repair()
        status = await deployment.until(lambda status: status["stage"] == "HALTED", within=90)
        assert "dead man's switch fired" in status["halt_reason"]
        assert not engine.open_orders("testnet")
