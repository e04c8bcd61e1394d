"""Removes secrets from everything that leaves the process: logs, spans, error reports, alerts. Telemetry calls it.

Three independent filters: registered secrets are replaced wherever they occur; text that looks like a key, a signature or an
envelope is replaced; and the value of a field whose name says that it is a secret is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

REMOVED = "[removed]"

_SHORTEST = 6
"""Shorter secrets would remove ordinary words; no secret that short is loaded."""

_SENSITIVE_NAME = re.compile(
    r"secret|signature|api[_-]?key|token|passw|passphrase|authori[sz]ation|cookie|envelope|listen_?key|private|credential",
    re.IGNORECASE,
)

_SENSITIVE_TEXT = re.compile(
    r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)"  # PEM: private keys and SSH signatures
    r"|\{[^{}]*\"(?:payloadType|signatures|sig)\\*\".*"  # a DSSE envelope and the text after it
    r"|\bmx0[A-Za-z0-9]{6,}"  # MEXC API keys (mexc-spot-v3.md §2.1)
    r"|(?<=signature=)[^&\s\"']+|(?<=listenKey=)[^&\s\"']+",
    re.DOTALL,
)

_MAX_DEPTH = 12


class Redactor:
    """Knows the secrets of this process; ``scrub`` accepts any JSON value."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def register(self, secret: str) -> None:
        """Remove this string from all output from now on."""
        if len(secret) >= _SHORTEST:
            # The longest first, so that no part remains of a secret that contains another one.
            self._secrets = tuple(sorted({*self._secrets, secret}, key=len, reverse=True))

    def text(self, value: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            value = value.replace(secret, REMOVED)
        return _SENSITIVE_TEXT.sub(REMOVED, value)

    def scrub(self, value: object, *, depth: int = 0) -> object:
        """A copy without secrets; a value that is no text, number, list or mapping becomes text without secrets."""
        if depth > _MAX_DEPTH:
            return REMOVED
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): REMOVED if _SENSITIVE_NAME.search(str(key)) and item else self.scrub(item, depth=depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.scrub(item, depth=depth + 1) for item in value]
        return self.text(str(value))
