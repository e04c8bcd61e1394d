"""Opens the console for persons on other machines: TLS, and a token for each of them (ADR 75). ``bootstrap.servers`` calls it."""

from __future__ import annotations

import ssl
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from controller.bootstrap.read import Deployment
from controller.bootstrap.shown_settings import shown_settings
from controller.console.access import Access, may_halt_by_token, person_of
from controller.console.app import create_app
from controller.console.limits import ConsoleLimits
from controller.console.port import OperatorPort
from controller.console.server import serving
from controller.console.tokens import TokenFile
from controller.serving.acceptor import Acceptors
from controller.settings.console import RemoteConsoleSettings
from controller.telemetry.scrape import Scrape
from exchange.errors import ConfigError
from exchange.model import Millis


def tls_of(directory: Path, settings: RemoteConsoleSettings) -> ssl.SSLContext:
    """The TLS of the console. Raises ``ConfigError`` (``console-tls``) for files that are missing, exposed or do not fit."""
    certificate, key = directory / settings.certificate, directory / settings.key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if key.stat().st_mode & 0o077:
            raise _unusable(f"{key} can be read by others", f"Run `chmod 600 {key}`.")
        # An empty password, so that a key with a password is refused instead of asked for on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
        raise _unusable(
            f"the certificate {certificate} and the key {key} cannot be used: {why}",
            "Write both in PEM, without a password, where [console.remote] names them.",
        ) from None
    return context


def _unusable(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, code="console-tls", remedy=remedy)


async def open_remote_console(
    deployment: Deployment,
    operator: OperatorPort,
    metrics: Scrape,
    limits: ConsoleLimits,
    acceptors: Acceptors,
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
        guard=lambda inner: Access(inner, tokens, lambda: Millis(time.time_ns() // 1_000_000), time.monotonic_ns),
        halts_as=lambda scope: f"{person_of(scope)}, by a token",
    )
    tls = tls_of(deployment.directory, settings)
    await stack.enter_async_context(serving(app, settings.host, settings.port, limits, acceptors, tls=tls, name="remote console"))
