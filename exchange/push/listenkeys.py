"""Listen keys, which open a private stream (mexc-spot-v3.md §1.5, §7.7). The testnet and the gateway keep them."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from exchange.model import Millis

LIFETIME_MS = 3_600_000
MAX_KEYS = 60
MAX_CONNECTIONS = 5


class ListenKeys:
    """Every valid listen key with its owner. A key expires an hour after its creation or renewal."""

    def __init__(self, random: Random, lifetime_ms: int = LIFETIME_MS) -> None:
        self._random = random
        self._lifetime_ms = lifetime_ms
        self._owners: dict[str, str] = {}
        self._expires: dict[str, int] = {}
        self._connections: dict[str, int] = {}

    def create(self, account: str, now: Millis) -> str:
        """A new key, or the newest one if the account already has the maximum."""
        existing = self.of(account, now)
        if len(existing) >= MAX_KEYS:
            return existing[-1]
        key = f"{self._random.getrandbits(256):064x}"
        self._owners[key] = account
        self._expires[key] = now + self._lifetime_ms
        return key

    def state(self) -> tuple[tuple[str, str, int], ...]:
        """Every key as ``(key, owner, expires at)``, oldest first."""
        return tuple((key, owner, self._expires[key]) for key, owner in self._owners.items())

    def load(self, keys: Iterable[tuple[str, str, int]]) -> None:
        """Replace every key by saved ones, without connections."""
        self._connections.clear()
        self._owners, self._expires = {}, {}
        for key, owner, expires in keys:
            self._owners[key] = owner
            self._expires[key] = expires

    def of(self, account: str, now: Millis) -> list[str]:
        """The account's valid keys, oldest first."""
        self._forget_expired(now)
        return [key for key, owner in self._owners.items() if owner == account]

    def owner(self, key: str, now: Millis) -> str | None:
        """The key's owner, or ``None`` if it does not exist or has expired."""
        self._forget_expired(now)
        return self._owners.get(key)

    def remaining_ms(self, key: str, now: Millis) -> int:
        """The ms until the key expires; 0 if it has expired."""
        return max(0, self._expires.get(key, 0) - now)

    def renew(self, key: str, account: str, now: Millis) -> bool:
        """Extend the key by an hour; ``False`` if it is not the account's or has expired."""
        if self.owner(key, now) != account:
            return False
        self._expires[key] = now + self._lifetime_ms
        return True

    def delete(self, key: str, account: str, now: Millis) -> bool:
        """Close the key; ``False`` as for ``renew``."""
        if self.owner(key, now) != account:
            return False
        self._drop(key)
        return True

    def expire_all(self) -> list[str]:
        """Expire every key at once; returns the keys."""
        keys = list(self._owners)
        for key in keys:
            self._drop(key)
        return keys

    def connect(self, key: str) -> bool:
        """Count one more connection of a key; ``False`` if it already has five."""
        count = self._connections.get(key, 0)
        if count >= MAX_CONNECTIONS:
            return False
        self._connections[key] = count + 1
        return True

    def disconnect(self, key: str) -> None:
        """Count one connection less."""
        remaining = self._connections.get(key, 0) - 1
        if remaining > 0:
            self._connections[key] = remaining
        else:
            self._connections.pop(key, None)

    def _drop(self, key: str) -> None:
        del self._owners[key]
        del self._expires[key]

    def _forget_expired(self, now: Millis) -> None:
        for key in [key for key, at in self._expires.items() if at <= now]:
            self._drop(key)
