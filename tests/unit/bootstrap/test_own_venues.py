"""The venue clients with which another thread cancels when the event loop is stuck share nothing that belongs to that loop."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

from controller.bootstrap.read import Deployment
from controller.bootstrap.signer import Signers
from controller.bootstrap.venues import own_venues
from controller.core.inputs import AlertNoticed
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.inbox import Inbox
from controller.settings.deployment import Settings
from controller.settings.venues import endpoint_of
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.ports import CancelFailed, VenueName

NO_ORDERS = SignerLimits(frozenset(), Decimal(0))


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request as a firewall does."""
    with suppress(asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def cancel_at_a_locked_venue(alerts: Alerts) -> object:
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    venue = SimpleNamespace(rest=f"http://{address}", ws=f"ws://{address}")
    settings = SimpleNamespace(environment=None, testnet=venue, live=venue)
    deployment = cast(
        "Deployment", SimpleNamespace(settings=settings, endpoint=lambda name: endpoint_of(cast("Settings", settings), name))
    )
    signers = Signers({name: LocalSigner("mx0key", "secret", NO_ORDERS) for name in (VenueName.TESTNET, VenueName.LIVE)}, None)
    async with server, own_venues(deployment, alerts, SystemClock(), signers) as venues:
        return await venues[VenueName.LIVE].cancel_all(("BTCUSDC",))


async def test_an_alert_of_a_lockout_fails_no_cancel_of_another_thread() -> None:
    inbox, alerts = Inbox(), Alerts(clock=SystemClock(), reports=NO_REPORTS, redactor=Redactor())
    alerts.journal_with(lambda alert: inbox.fact(AlertNoticed(alert.kind, alert.title, alert.detail), 0))
    outcome = await asyncio.to_thread(lambda: asyncio.run(cancel_at_a_locked_venue(alerts)))
    assert isinstance(outcome, CancelFailed)
    assert "wrong-thread" not in outcome.message
