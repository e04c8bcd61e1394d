"""A halt loads no module: an import needs a descriptor and time, and a halt must need neither (ADR 59).

The controller runs with Python's own import log (``-X importtime``), which writes a line for every module when it has been loaded.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rig import Rig, rig

IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)

ASKED_FOR = {"sniffio"}
"""httpcore asks for it at every request; ``exchange.mexc.connections`` answers without a search where it is not installed."""

HALTS = {
    "controller.bootstrap.end",
    "controller.core.decisions.moves",
    "controller.runtime.drills.venue_faults",
    "controller.runtime.followers.disk_space",
    "controller.runtime.followers.heartbeat",
    "controller.runtime.followers.latchfile",
    "controller.runtime.halt_threads",
    "controller.runtime.loop.immediate_halt",
    "controller.runtime.loop.liveness",
    "controller.runtime.loop.permit",
    "controller.runtime.venues.cancel_all",
    "controller.runtime.venues.emergency",
    "controller.runtime.venues.strangers",
    "controller.signer.remote",
    "controller.telemetry.alerts",
    "exchange.mexc.client",
    "exchange.mexc.trading",
    "exchange.wire.order_errors",
    "httpcore",
    "httpx",
}
"""What a halt runs through: permits, latch, threads, cancels, the signer's other end, alerts, and the client of a venue."""


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    logged = {"PYTHONPROFILEIMPORTTIME": "1"}
    async with rig(tmp_path / "deployment", checkpoints="[signer]\n", environment=logged) as built:
        await built.start()
        await built.armed()
        yield built


def imported(deployment: Rig, since: int = 0) -> list[str]:
    """The modules that the controller and its signer loaded, from a position in their log on."""
    found = IMPORTED.findall((deployment.directory / "controller.log").read_bytes()[since:].decode())
    return [name for name in found if name not in ASKED_FOR]


def position(deployment: Rig) -> int:
    return (deployment.directory / "controller.log").stat().st_size


async def halts(deployment: Rig) -> None:
    answer = await deployment.ask("POST", "/v1/halt", json={"reason": "a test"})
    assert answer.status_code == 200, answer.text
    engine = deployment.testnet.venue.engine
    await deployment.until(lambda status: status["stage"] == "HALTED" and not list(engine.open_orders("testnet")))


async def test_what_halts_is_loaded_before_it_is_armed(deployment: Rig) -> None:
    assert not HALTS - set(imported(deployment))


async def test_a_halt_right_after_the_start_imports_nothing(deployment: Rig) -> None:
    since = position(deployment)
    await halts(deployment)
    assert not imported(deployment, since)


async def test_a_halt_with_an_open_order_imports_nothing(deployment: Rig) -> None:
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.takes_orders()
    answer = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
    assert answer.status_code == 200, answer.text
    since = position(deployment)
    await halts(deployment)
    assert not imported(deployment, since)
