"""The configuration of a testnet. The command line and tests build it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

from exchange.errors import ConfigError
from exchange.matching.engine import DuplicateClientIds
from exchange.matching.resting import FillModel
from exchange.model import Millis, SymbolRules
from exchange.push.listenkeys import LIFETIME_MS
from exchange.testnet.access.auth import DEFAULT_PERMISSIONS, ApiKey, Permission
from exchange.testnet.conditions.latency import NO_LATENCY
from exchange.wire.errors import ErrorCode
from exchange.wire.orders import CancelStatus
from exchange.wire.profile import KycLevel


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """One account: its key pair, its opening balances by asset, and what the key may do.

    An empty ``uid`` gets a number by its place in the list. ``master`` names the master of a sub-account; empty, the account is a
    master itself. ``symbols``, ``addresses`` and ``expires_at`` are the key's, as in ``ApiKey``.
    """

    name: str
    api_key: str
    secret: str = field(repr=False)
    balances: Mapping[str, Decimal]
    permissions: frozenset[Permission] = DEFAULT_PERMISSIONS
    uid: str = ""
    master: str = ""
    kyc: KycLevel = KycLevel.PRIMARY
    mx_deduction: bool = False
    symbols: frozenset[str] | None = None
    addresses: frozenset[str] = frozenset()
    expires_at: Millis | None = None

    @property
    def key(self) -> ApiKey:
        """The key pair for the key ring."""
        return ApiKey(self.api_key, self.secret, self.name, self.permissions, self.symbols, self.addresses, self.expires_at)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests in any second; 0 means no limit. The defaults are the strictest known (mexc-spot-v3.md §1.4)."""

    orders_per_second: int = 12
    requests_per_second: int = 20
    batches_per_second: int = 2
    accounts_per_second: int = 2


_FIRST_UID = 10_000_001

NO_RATE_LIMITS = RateLimits(orders_per_second=0, requests_per_second=0, batches_per_second=0, accounts_per_second=0)


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """When the venue cuts a websocket, and how many messages may wait for a slow reader (mexc-spot-v3.md §1.5). Durations in ms."""

    unsubscribed_ms: int = 30_000
    idle_ms: int = 60_000
    lifetime_ms: int = 86_400_000
    subscriptions: int = 30
    frames_per_second: int = 100
    queue: int = 2_000
    listen_key_ms: int = LIFETIME_MS


@dataclass(frozen=True, slots=True)
class TestnetConfig:
    """A testnet. ``tape=None`` plays a synthetic market from ``seed``; ``speed`` is tape seconds per second.

    ``symbols`` overrides the rules of the tape's symbol and lists further ones; without a tape each has a generated market, which
    begins at its price in ``start_prices`` or at 60,000. With a tape only the symbols of tapes have a market; ``more_tapes`` are
    further tapes of other symbols, played at once, each from its own beginning. ``control_token`` guards
    ``/__control``; empty switches it off. ``extra_keys`` are further keys of the accounts. ``expired_key_code`` (402 or 700002) and
    ``unlisted_pair_code`` (70011, 10007 or 30020) are options because MEXC's sources disagree; so is ``cancel_status``, the state
    in a cancel reply (mexc-spot-v3.md §4.6). ``mx_price`` is the price of MX in USDT while there is no MXUSDT book.
    ``snapshots`` is the directory ``/__control/snapshot`` writes to; ``restore`` a snapshot to begin from. ``state`` is the
    directory that keeps the venue across restarts; without one it begins anew. ``attached``: ``gatehouse run`` may end it.
    ``key_file`` holds the key that signs statements; without one it is in the state directory, or new where there is none.
    ``entry_latency`` and ``response_latency`` are quantiles in ms, as for ``LatencyModel``; empty means none.
    ``strict_signatures`` accepts only a signature of the raw bytes, ``strict_content_type`` no write without a Content-Type;
    ``duplicates`` says how a repeated client id is handled. ``ids`` names what no other venue has: order and trade ids are derived
    from it, and from the seed when it is empty. A kept state has a name of its own.

    Raises:
        ConfigError: a host that is not loopback, an account without a name or uid of its own, a master that is not an account,
            or a speed or MX price that is not positive.
    """

    __test__: ClassVar[bool] = False

    accounts: tuple[AccountConfig, ...]
    host: str = "127.0.0.1"
    port: int = 8710
    tape: Path | None = None
    more_tapes: tuple[Path, ...] = ()
    speed: Decimal = Decimal(1)
    loop: bool = True
    seed: int = 1
    faults: Path | None = None
    rate_limits: RateLimits = RateLimits()
    streams: StreamLimits = StreamLimits()
    control_token: str = field(default="", repr=False)
    symbols: tuple[SymbolRules, ...] = ()
    start_prices: Mapping[str, Decimal] = field(default_factory=dict)
    strict_signatures: bool = False
    strict_content_type: bool = False
    ids: str = ""
    fill_model: FillModel = FillModel.PESSIMISTIC
    duplicates: DuplicateClientIds = DuplicateClientIds.REJECT
    extra_keys: tuple[ApiKey, ...] = ()
    expired_key_code: ErrorCode = ErrorCode.API_KEY_EXPIRED
    unlisted_pair_code: ErrorCode = ErrorCode.PAIR_BANNED
    cancel_status: CancelStatus = CancelStatus.BEFORE
    mx_price: Decimal = Decimal(2)
    snapshots: Path | None = None
    restore: Path | None = None
    state: Path | None = None
    attached: bool = False
    key_file: Path | None = None
    entry_latency: tuple[int, ...] = NO_LATENCY
    response_latency: tuple[int, ...] = NO_LATENCY

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise ConfigError(
                f"the testnet would listen on {self.host}, which other machines can reach",
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
        self._check_relations(set(names))
        if not (self.speed.is_finite() and self.speed > 0):
            raise ConfigError(
                f"a tape cannot be played at speed {self.speed}",
                code="testnet-speed-invalid",
                remedy="Give a speed above 0; 1 is real time.",
            )
        if self.state is not None and self.restore is not None:
            raise ConfigError(
                "a testnet that keeps its state cannot begin from a snapshot too",
                code="testnet-state-and-snapshot",
                remedy="Use --ephemeral with --restore.",
            )
        if not (self.mx_price.is_finite() and self.mx_price > 0):
            raise ConfigError(
                f"MX cannot be worth {self.mx_price} USDT", code="testnet-mx-price-invalid", remedy="Give a price above 0."
            )

    @property
    def tapes(self) -> tuple[Path, ...]:
        """Every tape to play; empty for a generated market."""
        return () if self.tape is None else (self.tape, *self.more_tapes)

    @property
    def uids(self) -> Mapping[str, str]:
        """The uid of every account, by its name."""
        return {one.name: one.uid or str(_FIRST_UID + number) for number, one in enumerate(self.accounts)}

    def _check_relations(self, names: set[str]) -> None:
        uids = self.uids.values()
        masters = {one.name for one in self.accounts if not one.master}
        owners = {one.account for one in self.extra_keys}
        if len(set(uids)) != len(uids) or not all(uid.isascii() and uid.isdigit() and len(uid) <= 20 for uid in uids):
            raise ConfigError(
                "two accounts of the testnet have the same uid, or one that is not a number",
                code="testnet-uid-unusable",
                remedy="Give each account its own uid of at most 20 digits, or none.",
            )
        if not {one.master for one in self.accounts if one.master} <= masters or not owners <= names:
            raise ConfigError(
                "a sub-account or a key of the testnet belongs to an account that does not exist",
                code="testnet-owner-missing",
                remedy="Let master name an account without a master, and each extra key an account.",
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name other than ``localhost`` counts as reachable from elsewhere."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
