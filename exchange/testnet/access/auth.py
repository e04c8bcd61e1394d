"""API keys, what each may do, and the order of the checks on a signed request (mexc-spot-v3.md §2). The testnet's app calls it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exchange.errors import ConfigError
from exchange.model import Millis
from exchange.wire.errors import ErrorCode, WireRefusal, missing, refuse
from exchange.wire.signing import check_window, parse_window, verify

_MAX_KEY_LENGTH = 64
_WRONG_SIGNATURE = "Signature for this request is not valid."


class Permission(StrEnum):
    """What a key may be granted (mexc-spot-v3.md §2.8)."""

    SPOT_ACCOUNT_READ = "SPOT_ACCOUNT_READ"
    SPOT_ACCOUNT_WRITE = "SPOT_ACCOUNT_WRITE"
    SPOT_DEAL_READ = "SPOT_DEAL_READ"
    SPOT_DEAL_WRITE = "SPOT_DEAL_WRITE"
    SPOT_TRANSFER_READ = "SPOT_TRANSFER_READ"
    SPOT_TRANSFER_WRITE = "SPOT_TRANSFER_WRITE"
    SPOT_WITHDRAW_READ = "SPOT_WITHDRAW_READ"
    SPOT_WITHDRAW_WRITE = "SPOT_WITHDRAW_WRITE"


ALL_PERMISSIONS = frozenset(Permission)

_MOVES_MONEY = frozenset({Permission.SPOT_TRANSFER_READ, Permission.SPOT_TRANSFER_WRITE, Permission.SPOT_WITHDRAW_WRITE})

DEFAULT_PERMISSIONS = ALL_PERMISSIONS - _MOVES_MONEY
"""The most a bot's key should have: it can trade and read, but not move money out (mexc-spot-v3.md §5)."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, its secret and its account.

    ``symbols`` is the key's pair whitelist and ``addresses`` its IP whitelist; ``None`` and empty allow all. The key stops working
    at ``expires_at``; on MEXC a key without bound addresses expires after 90 days (mexc-spot-v3.md §5).
    """

    key: str
    secret: str = field(repr=False)
    account: str
    permissions: frozenset[Permission] = DEFAULT_PERMISSIONS
    symbols: frozenset[str] | None = None
    addresses: frozenset[str] = frozenset()
    expires_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as received, with its parameters already merged (the query wins). ``address`` is the sender's."""

    api_key: str | None
    query: str
    body: bytes
    params: Mapping[str, str]
    address: str = ""


class KeyRing:
    """Every API key of the venue. ``expired`` is the error code for an expired key: 402, or 700002 as for a wrong signature.

    Raises:
        ConfigError: two keys are the same, or one is empty or longer than 64 characters.
    """

    def __init__(
        self, keys: Iterable[ApiKey], *, strict_signatures: bool = False, expired: ErrorCode = ErrorCode.API_KEY_EXPIRED
    ) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._strict = strict_signatures
        self._expired = expired
        for key in keys:
            if not key.key or len(key.key) > _MAX_KEY_LENGTH or not key.secret or key.key in self._keys:
                raise ConfigError(
                    "an API key of the testnet is empty, too long, without a secret or used twice",
                    code="testnet-key-unusable",
                    remedy="Give each account its own non-empty key of at most 64 characters, and a secret.",
                )
            self._keys[key.key] = key

    def authenticate(self, request: RawRequest, permission: Permission, now: Millis) -> ApiKey:
        """The key a request is signed with, after every check: known, signature, expiry, address, timing and permission.

        Raises:
            WireRefusal: 400 no key, 700001 malformed key, 10072 unknown key, 700004 no signature or timestamp,
                700002 wrong signature, 402 or 700002 expired key, 700006 address, 700005 and 700003 timing, 700007 permission.
        """
        key = self._find_key(request.api_key)
        if not request.params.get("signature"):
            raise missing("signature")
        timestamp, recv_window = parse_window(request.params)
        if not verify(key.secret, request.query, request.body, strict=self._strict):
            raise refuse(ErrorCode.BAD_SIGNATURE, _WRONG_SIGNATURE)
        self._check_alive(key, request.address, now)
        untimely = check_window(timestamp, recv_window, now)
        if untimely is not None:
            raise WireRefusal(untimely)
        if permission not in key.permissions:
            raise refuse(ErrorCode.NO_PERMISSION, "No permission to access the endpoint.")
        return key

    def account_of(self, api_key: str | None) -> str | None:
        """The account a key belongs to, without checking a signature; used for counting only."""
        key = self._keys.get(api_key or "")
        return None if key is None else key.account

    def _check_alive(self, key: ApiKey, address: str, now: Millis) -> None:
        if key.expires_at is not None and now >= key.expires_at:
            raise refuse(self._expired, "API Key expired" if self._expired is not ErrorCode.BAD_SIGNATURE else _WRONG_SIGNATURE)
        if key.addresses and address not in key.addresses:
            raise refuse(ErrorCode.IP_NOT_WHITELISTED, f"IP [{address}] not in the ip white list")

    def _find_key(self, api_key: str | None) -> ApiKey:
        if not api_key:
            raise refuse(ErrorCode.API_KEY_REQUIRED, "api key required")
        if len(api_key) > _MAX_KEY_LENGTH or not api_key.isascii() or not api_key.isprintable():
            raise refuse(ErrorCode.BAD_API_KEY, "API-key format invalid.")
        key = self._keys.get(api_key)
        if key is None:
            raise refuse(ErrorCode.BAD_ACCESS_KEY, "Api key info invalid")
        return key
