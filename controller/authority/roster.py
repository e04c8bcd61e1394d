"""The roster: persons, their roles and their keys (architecture.md §5, gates-authority-journal.md §2.3).

Start, CLI and decisions use it.

The id of a key is the fingerprint of its key material, so one key cannot have two ids. The roster also refuses one key material
under two entries, because systems that counted names instead of keys have been attacked this way (gates-authority-journal.md
§2.2).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from controller.authority.publickey import KeyAlgorithm, PublicKey, parse_public_line
from exchange.errors import ConfigError, Unauthorised
from exchange.model import Millis
from policies import canonical
from policies.authority import Role
from policies.stage import Mode

MAX_ROSTER_BYTES = 256 * 1024
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)

Instant = Annotated[Millis, Field(ge=0, lt=2**53)]


class KeyType(StrEnum):
    """The type of a key, which decides the form of its signatures: plain for the first three, OpenSSH's for the others.

    ``ed25519`` is a key file or a key in a vault; ``ecdsa-p256`` and ``ecdsa-p384`` are keys in a PKCS#11 token, which signs the
    bytes of the envelope directly.
    """

    FILE = "ed25519"
    PLAIN_P256 = "ecdsa-p256"
    PLAIN_P384 = "ecdsa-p384"
    SSH_ED25519 = KeyAlgorithm.ED25519.value
    SK_ED25519 = KeyAlgorithm.SK_ED25519.value
    ECDSA_P256 = KeyAlgorithm.ECDSA_P256.value
    ECDSA_P384 = KeyAlgorithm.ECDSA_P384.value
    SK_ECDSA_P256 = KeyAlgorithm.SK_ECDSA_P256.value

    @property
    def algorithm(self) -> KeyAlgorithm:
        """The algorithm of the public key."""
        return PLAIN.get(self) or KeyAlgorithm(self.value)

    @property
    def plain(self) -> bool:
        """Whether it signs the bytes directly, without OpenSSH's wrapping."""
        return self in PLAIN


PLAIN: Mapping[KeyType, KeyAlgorithm] = MappingProxyType(
    {
        KeyType.FILE: KeyAlgorithm.ED25519,
        KeyType.PLAIN_P256: KeyAlgorithm.ECDSA_P256,
        KeyType.PLAIN_P384: KeyAlgorithm.ECDSA_P384,
    }
)
"""The types that make plain signatures, and the algorithm of each."""


class KeyStatus(StrEnum):
    """Whether a key may sign. A revoked key stays in the roster, so that a refusal can name its person."""

    ACTIVE = "active"
    REVOKED = "revoked"


class KeyAttestation(BaseModel):
    """What ``ssh-keygen -O write-attestation`` wrote, and the challenge it was made for, in base64 (``authority.attestation``)."""

    model_config = _STRICT

    statement: Annotated[str, Field(min_length=1, max_length=4000)]
    challenge: Annotated[str, Field(min_length=1, max_length=400)]


class RosterKey(BaseModel):
    """One key. ``public`` is an OpenSSH key line, ``id`` its fingerprint. It is valid while ``valid_from <= now < valid_until``."""

    model_config = _STRICT

    id: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    type: KeyType
    public: Annotated[str, Field(min_length=1, max_length=1000)]
    status: KeyStatus = KeyStatus.ACTIVE
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    pin_required: bool = False
    attestation: KeyAttestation | None = None

    @property
    def material(self) -> PublicKey:
        """The parsed public key."""
        return parse_public_line(self.public)

    def in_force(self, now: Millis) -> bool:
        """Whether a signature by this key can count at ``now``."""
        started = self.valid_from is None or now >= self.valid_from
        return self.status is KeyStatus.ACTIVE and started and (self.valid_until is None or now < self.valid_until)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            key = self.material
        except Unauthorised as error:
            raise _bad(error.code, f"key {self.id}: {error.message}") from error
        if key.algorithm is not self.type.algorithm:
            raise _bad("roster-malformed", f"key {self.id} is listed as {self.type}, but it is {key.algorithm}")
        if key.fingerprint != self.id:
            raise _bad("key-id-mismatch", f"the key with the id {self.id} has the fingerprint {key.fingerprint}")
        if self.pin_required and not key.algorithm.hardware:
            raise _bad("roster-malformed", f"key {self.id} requires a PIN, but it is not a security key")
        if self.attestation is not None and not key.algorithm.hardware:
            raise _bad("roster-malformed", f"key {self.id} has an attestation, but it is not a security key")
        if self.valid_from is not None and self.valid_until is not None and self.valid_from >= self.valid_until:
            raise _bad("roster-malformed", f"key {self.id} is never valid")
        return self


class Person(BaseModel):
    """One person. Names are lower-case ASCII, so that no two names look the same."""

    model_config = _STRICT

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    role: Role
    keys: Annotated[tuple[RosterKey, ...], Field(min_length=1, max_length=16)]


class Roster(BaseModel):
    """All persons whose signatures can count, and how many must sign. The version only increases.

    ``mode`` decides the quorums. A roster of an earlier version names none; then the policy in force does (``mode_under``).
    """

    model_config = _STRICT

    schema_version: Literal[1] = 1
    version: Annotated[int, Field(ge=1, lt=2**53)]
    persons: Annotated[tuple[Person, ...], Field(min_length=1, max_length=64)]
    mode: Mode | None = None

    def mode_under(self, policy_mode: Mode) -> Mode:
        """Whose rules count: this roster's, or the policy's where this roster names no mode."""
        return policy_mode if self.mode is None else self.mode

    @property
    def canonical_bytes(self) -> bytes:
        """The roster as RFC 8785 JSON, without bounds that are not set."""
        return canonical.encode(self.model_dump(mode="json", exclude_none=True))

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the canonical bytes. Every command names the roster that was in force when it was proposed."""
        return canonical.digest(self.canonical_bytes)

    def find(self, key_id: str) -> tuple[Person, RosterKey] | None:
        """Return the key with this id and its person, or ``None``."""
        return next(((person, key) for person in self.persons for key in person.keys if key.id == key_id), None)

    def revoking(self, key_id: str) -> Roster:
        """The next version of the roster, in which this key is revoked."""
        persons = tuple(
            person.model_copy(update={"keys": tuple(_revoked(key, key_id) for key in person.keys)}) for person in self.persons
        )
        return self.model_copy(update={"version": self.version + 1, "persons": persons})

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        repeated = _repeated(person.name for person in self.persons)
        if repeated:
            raise _bad("duplicate-person", f"{repeated} is listed twice")
        keys = [key for person in self.persons for key in person.keys]
        repeated = _repeated(key.id for key in keys) or _repeated(key.material.fingerprint for key in keys)
        if repeated:
            raise _bad("duplicate-key", f"the key {repeated} is listed twice")
        return self


def _revoked(key: RosterKey, key_id: str) -> RosterKey:
    return key.model_copy(update={"status": KeyStatus.REVOKED}) if key.id == key_id else key


def roster_key(public_line: str, key_type: KeyType | None = None, *, pin_required: bool = False) -> RosterKey:
    """Make a roster entry for a public key line. Without ``key_type`` the key is an OpenSSH key of the type in the line.

    Raises:
        ConfigError: the line is not a usable public key.
    """
    try:
        material = parse_public_line(public_line)
    except Unauthorised as error:
        raise _bad(error.code, error.message) from error
    kind = key_type or KeyType(material.algorithm.value)
    return RosterKey(id=material.fingerprint, type=kind, public=material.line, pin_required=pin_required)


def load_roster(path: Path) -> Roster:
    """Read a roster file, ``.toml`` or ``.json``.

    Raises:
        ConfigError: the file cannot be read, or ``parse_roster_toml`` or ``parse_roster_json`` refuses it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _bad("roster-unreadable", f"{path} cannot be read: {error.strerror}") from error
    if path.suffix == ".toml":
        return parse_roster_toml(data)
    if path.suffix == ".json":
        return parse_roster_json(data)
    raise _bad("roster-unreadable", f"{path} is neither .toml nor .json")


def parse_roster_toml(data: bytes) -> Roster:
    """Read a roster as TOML. Raises ``ConfigError`` for anything that is not exactly a roster."""
    try:
        document = tomllib.loads(data.decode()) if len(data) <= MAX_ROSTER_BYTES else None
        text = json.dumps(document)
    except (ValueError, TypeError, RecursionError) as error:
        raise _bad("roster-malformed", f"not TOML: {str(error)[:200]}") from None
    return _validated(text)


def parse_roster_json(data: bytes) -> Roster:
    """Read a roster as JSON without duplicate members. Raises ``ConfigError`` for anything that is not exactly a roster."""
    try:
        document = json.loads(data.decode(), object_pairs_hook=_unique) if len(data) <= MAX_ROSTER_BYTES else None
        text = json.dumps(document)
    except (ValueError, RecursionError) as error:
        raise _bad("roster-malformed", f"not JSON: {str(error)[:200]}") from None
    return _validated(text)


def _validated(text: str) -> Roster:
    try:
        return Roster.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the roster"
        code = "roster-empty" if first["type"] == "too_short" else "roster-malformed"
        code = "unknown-key-type" if first["loc"][-1:] == ("type",) and first["type"] == "enum" else code
        raise _bad(code, f"{where}: {first['msg']}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _repeated(values: Iterable[str]) -> str | None:
    earlier: set[str] = set()
    for value in values:
        if value in earlier:
            return value
        earlier.add(value)
    return None


def _bad(code: str, why: str) -> ConfigError:
    return ConfigError(why, code=code, remedy="Correct the roster; list each person and each key exactly once.")
