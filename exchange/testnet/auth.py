"""Who is asking: API keys, what each may do, and the order in which a signed request is judged (mexc-spot-v3.md §2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exchange.errors import ConfigError
from exchange.model import Millis
from exchange.wire.errors import ErrorCode, WireRefusal, missing, refuse
from exchange.wire.signing import check_window, parse_window, verify

_MAX_KEY_LENGTH = 64


class Permission(StrEnum):
    """What a key may be granted; the testnet has nothing to transfer or withdraw to (mexc-spot-v3.md §2.8)."""

    SPOT_ACCOUNT_READ = "SPOT_ACCOUNT_READ"
    SPOT_DEAL_READ = "SPOT_DEAL_READ"
    SPOT_DEAL_WRITE = "SPOT_DEAL_WRITE"
    SPOT_WITHDRAW_READ = "SPOT_WITHDRAW_READ"


ALL_PERMISSIONS = frozenset(Permission)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, its secret and the account it opens."""

    key: str
    secret: str = field(repr=False)
    account: str
    permissions: frozenset[Permission] = ALL_PERMISSIONS


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it came off the wire, with its parameters already merged (the query wins)."""

    api_key: str | None
    query: str
    body: bytes
    params: Mapping[str, str]


class KeyRing:
    """Every API key the venue knows.

    Raises:
        ConfigError: two keys are the same, or one is empty or longer than 64 characters.
    """

    def __init__(self, keys: Iterable[ApiKey], *, strict_signatures: bool = False) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._strict = strict_signatures
        for key in keys:
            if not key.key or len(key.key) > _MAX_KEY_LENGTH or not key.secret or key.key in self._keys:
                raise ConfigError(
                    "an API key of the testnet is empty, too long, without a secret or given twice",
                    code="testnet-key-unusable",
                    remedy="Give each account its own non-empty key of at most 64 characters, and a secret.",
                )
            self._keys[key.key] = key

    def authenticate(self, request: RawRequest, permission: Permission, now: Millis) -> ApiKey:
        """The key a request is signed with: known, correctly signed, in time, and allowed to do this.

        Raises:
            WireRefusal: 400 no key, 700001 malformed key, 10072 unknown key, 700004 no signature or timestamp,
                700002 wrong signature, 700005 and 700003 timing, 700007 permission.
        """
        key = self._known(request.api_key)
        if not request.params.get("signature"):
            raise missing("signature")
        timestamp, recv_window = parse_window(request.params)
        if not verify(key.secret, request.query, request.body, strict=self._strict):
            raise refuse(ErrorCode.BAD_SIGNATURE, "Signature for this request is not valid.")
        untimely = check_window(timestamp, recv_window, now)
        if untimely is not None:
            raise WireRefusal(untimely)
        if permission not in key.permissions:
            raise refuse(ErrorCode.NO_PERMISSION, "No permission to access the endpoint.")
        return key

    def account_of(self, api_key: str | None) -> str | None:
        """The account a key belongs to, without asking for proof; for counting only."""
        known = self._keys.get(api_key or "")
        return None if known is None else known.account

    def _known(self, api_key: str | None) -> ApiKey:
        if not api_key:
            raise refuse(ErrorCode.API_KEY_REQUIRED, "api key required")
        if len(api_key) > _MAX_KEY_LENGTH or not api_key.isascii() or not api_key.isprintable():
            raise refuse(ErrorCode.BAD_API_KEY, "API-key format invalid.")
        key = self._keys.get(api_key)
        if key is None:
            raise refuse(ErrorCode.BAD_ACCESS_KEY, "Api key info invalid")
        return key
