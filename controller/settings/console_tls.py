"""The TLS of the remote console, from the files that ``[console.remote]`` names. A start, its renewals and ``doctor`` call it."""

from __future__ import annotations

import ssl
from pathlib import Path

from controller.settings.console import RemoteConsoleSettings
from exchange.errors import ConfigError


def open_tls(directory: Path, settings: RemoteConsoleSettings) -> ssl.SSLContext:
    """The TLS of the console. Raises ``ConfigError`` (``console-tls``) for files that are missing, exposed or do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_pair(context, directory, settings)
    return context


def load_pair(context: ssl.SSLContext, directory: Path, settings: RemoteConsoleSettings) -> None:
    """Have ``context`` show the certificate from now on. Raises ``ConfigError`` as ``open_tls``."""
    certificate, key = directory / settings.certificate, directory / settings.key
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


def _unusable(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, code="console-tls", remedy=remedy)
