"""``[console]`` in ``gatehouse.toml``: the console on this machine, and the one that persons with a token reach from elsewhere.

Part of ``Settings`` (ADR 71, ADR 75).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from pydantic import Field, field_validator

from controller.settings.listen import Listen, Port

DEFAULT_TOKENS = "secrets/console-tokens.json"
_Name = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)$", max_length=253)]


class RemoteConsoleSettings(Listen):
    """``[console.remote]``: TLS alone, and a token for each person (`gatehouse access`).

    ``names`` are the host names under which browsers open it. ``certificate`` and ``key`` name files in PEM.
    """

    names: Annotated[tuple[_Name, ...], Field(min_length=1)]
    certificate: Annotated[str, Field(min_length=1, max_length=1000)]
    key: Annotated[str, Field(min_length=1, max_length=1000)]
    tokens: Annotated[str, Field(min_length=1, max_length=1000)] = DEFAULT_TOKENS


class ConsoleSettings(Listen):
    """``[console]``: it asks nobody who he is, so it listens on loopback alone."""

    port: Port = 8701
    remote: RemoteConsoleSettings | None = None

    @field_validator("host")
    @classmethod
    def _is_here(cls, host: str) -> str:
        try:
            here = host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            here = False
        if not here:
            raise ValueError(
                f"{host} is not an address of this machine alone, and this console asks for no token; "
                "use [console.remote] with a certificate and tokens, or 127.0.0.1"
            )
        return host
