"""The tokens of persons who use the console from another machine (ADR 75): made and revoked by ``gatehouse access``, checked here.

A token is 256 random bits, so its SHA-256 cannot be turned back by trying, and a slow hash would only let strangers use the
processor. The file holds hashes alone. It is read again whenever it changes, so a revoked token ends at once. A file that is
missing, damaged or readable by others lets nobody in.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exchange.errors import ConfigError, UsageError
from exchange.model import Millis

PREFIX = "ghc_"
TOKEN_BYTES = 32
DAY_MS = 86_400_000
MOST_DAYS = 366
MOST_TOKENS = 64


class AccessRole(StrEnum):
    """What a token is for: ``observer`` reads; ``halt`` reads, halts, and hands in commands that were signed elsewhere."""

    OBSERVER = "observer"
    HALT = "halt"


class Grant(BaseModel):
    """One token: whose it is, what it is for, and until when. ``id`` names it in lists; it is no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    person: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
    role: AccessRole
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    made_at: Annotated[int, Field(ge=0)]
    ends_at: Annotated[int, Field(ge=0)]

    def is_over(self, now: Millis) -> bool:
        """Whether it has ended. One that was made in the future has not begun: the clock is wrong, and nobody knows by how much."""
        return not self.made_at - DAY_MS <= now < self.ends_at


class _Held(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: Annotated[tuple[Grant, ...], Field(max_length=MOST_TOKENS)] = ()


class TokenFile:
    """The file of a deployment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._grants: tuple[Grant, ...] = ()

    def grants(self) -> tuple[Grant, ...]:
        """Every token in the file, ended ones too. A file that is not there holds none.

        Raises:
            ConfigError: ``access-tokens``: it is damaged, or readable by others.
        """
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._unusable(str(error.strerror)) from None
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise self._unusable("it can be read by others")
        seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if seen != self._seen:
            try:
                self._grants = _Held.model_validate_json(self._path.read_bytes()).tokens
            except (OSError, ValidationError):
                self._seen = None
                raise self._unusable("it cannot be read") from None
            self._seen = seen
        return self._grants

    def holder(self, token: str, now: Millis) -> Grant | None:
        """Whose token this is, if it is in force now. Raises ``ConfigError`` as ``grants``."""
        digest = digest_of(token)
        found = [one for one in self.grants() if secrets.compare_digest(one.sha256, digest)]
        return found[0] if found and not found[0].is_over(now) else None

    def add(self, person: str, role: AccessRole, days: int, now: Millis) -> tuple[Grant, str]:
        """Make a token. Only the caller ever has it.

        Raises:
            UsageError: the name or the number of days is not allowed, or there are too many tokens.
            ConfigError: the file cannot be read or written.
        """
        if not 1 <= days <= MOST_DAYS:
            raise UsageError(f"{days} days are not allowed", code="bad-days", remedy=f"Choose 1 to {MOST_DAYS} days.")
        held = [one for one in self.grants() if not one.is_over(now)]
        if len(held) >= MOST_TOKENS:
            raise UsageError(f"there are {len(held)} tokens already", code="too-many-tokens", remedy="Revoke some of them.")
        token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        try:
            grant = Grant(
                id=secrets.token_hex(4), person=person, role=role, sha256=digest_of(token), made_at=now, ends_at=now + days * DAY_MS
            )
        except ValidationError:
            raise UsageError(
                f"{person[:40]!r} is no name for a person",
                code="bad-person",
                remedy="Use small letters, digits, dot, dash and underscore; at most 32.",
            ) from None
        self._write((*held, grant))
        return grant, token

    def revoke(self, name: str) -> tuple[Grant, ...]:
        """Remove the token with an id, or every token of a person. Returns what was removed.

        Raises:
            UsageError: ``no-such-token``.
            ConfigError: the file cannot be read or written.
        """
        grants = self.grants()
        gone = tuple(one for one in grants if name in {one.id, one.person})
        if not gone:
            raise UsageError(
                f"no token is {name[:40]!r}", code="no-such-token", remedy="Use a person or an id of `gatehouse access list`."
            )
        self._write(tuple(one for one in grants if one not in gone))
        return gone

    def _write(self, grants: tuple[Grant, ...]) -> None:
        text = json.dumps(_Held(tokens=grants).model_dump(mode="json"), indent=1) + "\n"
        fresh = self._path.with_suffix(".new")
        try:
            folder = self._path.parent.stat()
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                if os.geteuid() == 0:
                    # Root writes it for the user of the service, whose folder it is.
                    os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            raise self._unusable(f"it cannot be written: {error.strerror}") from None

    def _unusable(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self._path} is not usable: {why}",
            code="access-tokens",
            remedy=f"Run `chmod 600 {self._path}`. If that is not enough, delete it and run "
            "`gatehouse access add PERSON --role observer` for each person.",
        )


def digest_of(token: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
