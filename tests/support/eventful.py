"""A run of a whole deployment in which everything happens that a metric counts: an order, a denial, a drill, a breach, a halt."""

from __future__ import annotations

import json

from controller.core.decisions.drills import HALT_DRILL
from exchange.testnet.conditions.faults import FaultKind
from tests.support.loopback import http_at
from tests.support.rig import SYMBOL, Rig


def console_of(deployment: Rig) -> str:
    """The address of its console."""
    return str(json.loads((deployment.directory / "console.json").read_text())["url"])


async def scrape(deployment: Rig, accept: str = "text/plain") -> str:
    """What Prometheus reads from the console's port."""
    async with http_at(console_of(deployment), timeout=30) as client:
        answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    return answer.text


async def trade_live(deployment: Rig) -> None:
    """Climb to LIVE_€10 with a drill on the way, buy something, and have one order denied."""
    await deployment.climb("VALIDATED")
    await deployment.takes_orders()
    assert (await deployment.command("drill", "alice", subject=HALT_DRILL)).status_code == 200
    await deployment.until(lambda status: status["oversight"]["last_drill"] and status["armed"])
    await deployment.climb("LIVE_€10")
    await deployment.takes_orders()
    market = await deployment.bid()
    taken = await deployment.buy(f"{market * 1002 / 1000:.2f}", "0.00008", "taken")
    assert taken.status_code == 200, taken.text
    denied = await deployment.buy(await deployment.resting_price(), "0.0009", "denied")
    assert denied.status_code == 400
    await deployment.until(lambda status: float(status["exposure_eur"] or 0) > 4)


async def breach(deployment: Rig) -> None:
    """Let the price fall until a guard halts."""
    deployment.live.arm(FaultKind.PRICE_GAP, params={"symbol": SYMBOL, "factor": "0.88"})
    await deployment.until(lambda status: status["halt"] is not None)
