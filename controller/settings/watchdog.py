"""``[watchdog]`` in ``gatehouse.toml``: the dead man's switch (ADR 27). Part of ``Settings``; without the table there is none."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from controller.settings.testnet import KeyEnd
from exchange.ports import VenueName

LEASE_FLOOR_S, SIMULATED_FLOOR_S = 10, 1
"""The shortest lease with real money: a permit's 5 s and MEXC's recvWindow of 5 s end before it. Simulated venues allow less."""

SOCKET_FILE = "watchdog.sock"


class WatchdogSettings(BaseModel):
    """The table. ``address`` is empty for a unix socket in the data directory, or HOST:PORT for a watchdog on another host.

    ``api_key`` and ``secret_file`` are a key of its own for the live account; without them it uses ``[live]``'s, in a rehearsal
    only. ``api_key_ends`` is as in ``[live]``. ``token_file`` is the secret that both hosts know. ``required``: without a watchdog
    that answers, no order goes to the live venue.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    lease_s: Annotated[int, Field(ge=SIMULATED_FLOOR_S, le=3600)] = 30
    idle_s: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    address: str = ""
    token_file: str = ""
    api_key: str = ""
    api_key_ends: KeyEnd = None
    secret_file: str = ""
    venues: tuple[VenueName, ...] = (VenueName.TESTNET, VenueName.LIVE)
    required: bool | None = None

    @field_validator("venues")
    @classmethod
    def _remote(cls, venues: tuple[VenueName, ...]) -> tuple[VenueName, ...]:
        if not venues or VenueName.MOCK in venues:
            raise ValueError("name the venues whose orders it cancels: testnet, live or both")
        return venues

    @field_validator("address")
    @classmethod
    def _private(cls, address: str) -> str:
        if address:
            host, _, port = address.rpartition(":")
            try:
                where = ip_address(host.strip("[]"))
            except ValueError:
                raise ValueError(f"{address!r} is not the HOST:PORT of an IP address") from None
            if not (where.is_loopback or where.is_private) or where.is_unspecified or not 0 < int(port or 0) <= 65535:
                raise ValueError(f"{address!r} is not a loopback or private address with a port")
        return address

    def problem(self, *, production: bool, live_key: str, shared: bool) -> str:
        """Why these settings cannot be used here, empty when they can. ``shared``: another host may lead the journal."""
        if not self.enabled:
            return ""
        # A watchdog that hears one host alone would take the other host's orders for orders of a silent controller.
        wrong = {
            f"watchdog.lease_s is {self.lease_s}, and with real money at least {LEASE_FLOOR_S}": (
                production and self.lease_s < LEASE_FLOOR_S
            ),
            "watchdog.address names another process by network, and then watchdog.token_file is needed": (
                bool(self.address) and not self.token_file
            ),
            "a journal in a database can be led from two hosts, and both need the same watchdog: set watchdog.address": (
                shared and not self.address
            ),
            "watchdog.api_key and watchdog.secret_file belong together": bool(self.api_key) != bool(self.secret_file),
            "with real money the watchdog needs watchdog.api_key and watchdog.secret_file, a key that is not live.api_key": (
                production and VenueName.LIVE in self.venues and self.api_key in {"", live_key}
            ),
        }
        return next((problem for problem, applies in wrong.items() if applies), "")

    def is_required(self, *, production: bool) -> bool:
        """Whether orders to the live venue need a watchdog that answers; by default with real money only."""
        return production if self.required is None else self.required

    def where(self, data: Path) -> Path | tuple[str, int]:
        """The socket's path, or the host and the port."""
        host, _, port = self.address.rpartition(":")
        return (host.strip("[]"), int(port)) if self.address else data / SOCKET_FILE
