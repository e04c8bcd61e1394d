"""What a testnet is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

from exchange.errors import ConfigError
from exchange.model import SymbolRules
from exchange.testnet.auth import ALL_PERMISSIONS, Permission
from exchange.testnet.matching import DuplicateClientIds
from exchange.testnet.resting import FillModel


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """One account: its key pair, its opening balances by asset, and what the key may do."""

    name: str
    api_key: str
    secret: str = field(repr=False)
    balances: Mapping[str, Decimal]
    permissions: frozenset[Permission] = ALL_PERMISSIONS


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests in any one second; 0 switches a limit off. The defaults are the strictest known (mexc-spot-v3.md §1.4)."""

    orders_per_second: int = 12
    requests_per_second: int = 20


NO_RATE_LIMITS = RateLimits(orders_per_second=0, requests_per_second=0)


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """When the venue cuts a websocket, and how much it lets wait for a slow reader (mexc-spot-v3.md §1.5). Durations in ms."""

    unsubscribed_ms: int = 30_000
    idle_ms: int = 60_000
    lifetime_ms: int = 86_400_000
    subscriptions: int = 30
    queue: int = 2_000


@dataclass(frozen=True, slots=True)
class TestnetConfig:
    """A testnet. ``tape=None`` plays a synthetic market from ``seed``; ``speed`` is tape seconds per second.

    ``symbols`` overrides the rules of the tape's symbol. ``control_token`` guards ``/__control``; empty switches it off.
    ``strict_signatures`` takes only the raw bytes' signature; ``duplicates`` is what becomes of a repeated client id.

    Raises:
        ConfigError: a host that is not loopback, an account without a name of its own, or a speed that is not positive.
    """

    __test__: ClassVar[bool] = False

    accounts: tuple[AccountConfig, ...]
    host: str = "127.0.0.1"
    port: int = 8710
    tape: Path | None = None
    speed: Decimal = Decimal(1)
    loop: bool = True
    seed: int = 1
    faults: Path | None = None
    rate_limits: RateLimits = RateLimits()
    streams: StreamLimits = StreamLimits()
    control_token: str = field(default="", repr=False)
    symbols: tuple[SymbolRules, ...] = ()
    strict_signatures: bool = False
    fill_model: FillModel = FillModel.PESSIMISTIC
    duplicates: DuplicateClientIds = DuplicateClientIds.REJECT

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise ConfigError(
                f"the testnet would listen on {self.host}, where others could reach it",
                code="testnet-host-not-loopback",
                remedy="Listen on 127.0.0.1 or ::1 and reach it from elsewhere through an SSH tunnel.",
            )
        names = [account.name for account in self.accounts]
        if len(set(names)) != len(names) or "" in names:
            raise ConfigError(
                "two accounts of the testnet have the same name, or one has none",
                code="testnet-account-unnamed",
                remedy="Give each account its own name.",
            )
        if not (self.speed.is_finite() and self.speed > 0):
            raise ConfigError(
                f"a tape cannot be played at speed {self.speed}",
                code="testnet-speed-invalid",
                remedy="Give a speed above 0; 1 is real time.",
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; names other than ``localhost`` are not trusted to stay here."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
