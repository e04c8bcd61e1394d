"""Makes the roster line of a key that gatehouse did not make. ``gatehouse keys import`` calls this."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from controller.authority.roster import KeyAttestation, RosterKey, roster_key
from controller.authority.tokens import find_key, is_token_uri
from controller.cli.sign.command_files import read_bytes
from controller.cli.sign.pins import pin_source
from exchange.errors import UsageError


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A roster's entry for a key, and what to sign with: ``source`` is the complete URI or the file."""

    source: str
    entry: RosterKey

    @property
    def lines(self) -> str:
        """The entry as TOML, for its person's ``keys``."""
        pin = ", pin_required = true" if self.entry.pin_required else ""
        proof = self.entry.attestation
        made = "" if proof is None else f', attestation = {{ statement = "{proof.statement}", challenge = "{proof.challenge}" }}'
        key = f'{{ id = "{self.entry.id}", type = "{self.entry.type}", public = "{self.entry.public}"{pin}{made} }}'
        return f"# {self.source}: add this line to the person's `keys = [ … ]`\n{key},\n"


def attestation_files(attestation: Path | None, challenge: Path | None) -> KeyAttestation | None:
    """The attestation and its challenge, as the roster lists them. Raises ``UsageError`` for one without the other."""
    if attestation is None and challenge is None:
        return None
    if attestation is None or challenge is None:
        raise UsageError(
            "an attestation proves nothing without the challenge it was made for",
            code="usage",
            remedy="Give both --attestation and --challenge.",
        )
    statement, asked = (base64.b64encode(read_bytes(path)).decode() for path in (attestation, challenge))
    return KeyAttestation(statement=statement, challenge=asked)


def enrolment(source: str, *, pin_required: bool, attested_by: KeyAttestation | None = None) -> Enrolment:
    """Read the key.

    Raises:
        GatehouseError: the token or the file cannot be read, or the key is not one that can sign.
    """
    if is_token_uri(source):
        key = find_key(source, pin_source(source))
        return Enrolment(key.uri, roster_key(key.public.line, key.type, pin_required=pin_required))
    line = read_bytes(Path(source)).decode("utf-8", "replace")
    entry = roster_key(line, pin_required=pin_required)
    if attested_by is None:
        return Enrolment(source, entry)
    return Enrolment(source, RosterKey.model_validate({**entry.model_dump(), "attestation": attested_by}))
