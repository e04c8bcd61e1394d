"""A run of a whole deployment in which everything happens that a metric counts: an order, a denial, a drill, a breach, a halt."""

from __future__ import annotations

import httpx

from controller.core.decisions.drills import HALT_DRILL
from controller.telemetry.w3c import TRACE_ID_HEADER
from exchange.testnet.conditions.faults import FaultKind
from tests.support.loopback import http_at
from tests.support.rig import SYMBOL, Rig

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
"""The example of W3C Trace Context: a trace that the bot began."""


async def scrape(deployment: Rig, accept: str = "text/plain") -> str:
    """What Prometheus reads from the console's port."""
    async with http_at(deployment.console, timeout=30) as client:
        answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    return answer.text


async def buy_in_a_trace(deployment: Rig) -> httpx.Response:
    """Buy at the market, as a part of a trace of the bot's own."""
    price = f"{await deployment.bid() * 1002 / 1000:.2f}"
    order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.00008", "price": price, "newClientOrderId": "taken"}
    return await deployment.send("POST", "/api/v3/order", await deployment.signed(**order), traceparent=TRACEPARENT)


async def trade_live(deployment: Rig) -> None:
    """Climb to LIVE_€10 with a drill on the way, buy something, and have one order denied."""
    await deployment.climb("VALIDATED")
    await deployment.takes_orders()
    assert (await deployment.command("drill", "alice", subject=HALT_DRILL)).status_code == 200
    await deployment.until(lambda status: status["oversight"]["last_drill"] and status["armed"])
    await deployment.climb("LIVE_€10")
    await deployment.takes_orders()
    taken = await buy_in_a_trace(deployment)
    assert (taken.status_code, taken.headers[TRACE_ID_HEADER.decode()]) == (200, TRACE_ID), taken.text
    denied = await deployment.buy(await deployment.resting_price(), "0.0009", "denied")
    assert denied.status_code == 400
    await deployment.until(lambda status: float(status["exposure_eur"] or 0) > 4)


async def breach(deployment: Rig) -> None:
    """Let the price fall until a guard halts."""
    deployment.live.arm(FaultKind.PRICE_GAP, params={"symbol": SYMBOL, "factor": "0.88"})
    await deployment.until(lambda status: status["halt"] is not None)
