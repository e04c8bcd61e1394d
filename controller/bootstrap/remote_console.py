"""Opens the console for persons on other machines: TLS, and a token for each of them (ADR 75). ``bootstrap.servers`` calls it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from controller.bootstrap.console_certificate import ConsoleCertificate, keep_certificate
from controller.bootstrap.read import Deployment
from controller.bootstrap.shown_settings import shown_settings
from controller.console.access import Access, may_halt_by_token, person_of
from controller.console.app import create_app
from controller.console.limits import ConsoleLimits
from controller.console.port import OperatorPort
from controller.console.server import serving
from controller.console.tokens import TokenFile
from controller.serving.acceptor import Acceptors
from controller.telemetry.alerts import Alerts
from controller.telemetry.scrape import Scrape
from exchange.ports import Clock


async def open_remote_console(
    deployment: Deployment,
    operator: OperatorPort,
    metrics: Scrape,
    limits: ConsoleLimits,
    acceptors: Acceptors,
    alerts: Alerts,
    clock: Clock,
    stack: AsyncExitStack,
) -> None:
    """Serve it if the settings have ``[console.remote]``; ``stack`` ends it.

    Raises:
        ConfigError: ``console-tls``, ``cannot-listen``, ``access-tokens``.
    """
    settings = deployment.settings.console.remote
    if settings is None:
        return
    tokens = TokenFile(deployment.directory / settings.tokens)
    tokens.grants()
    app = create_app(
        operator,
        local=False,
        hosts=settings.names,
        limits=limits,
        may_halt=may_halt_by_token,
        settings=partial(shown_settings, deployment.settings),
        metrics=metrics,
        guard=lambda inner: Access(inner, tokens, clock.now, clock.monotonic_ns),
        halts_as=lambda scope: f"{person_of(scope)}, by a token",
    )
    certificate = ConsoleCertificate(deployment.directory, settings, alerts, clock)
    serves = serving(app, settings.host, settings.port, limits, acceptors, tls=certificate.context, name="remote console")
    await stack.enter_async_context(serves)
    keep_certificate(certificate, alerts, stack)
