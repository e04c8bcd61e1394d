"""Verifies an envelope: returns the command with its proven signatories, or refuses it (architecture.md §5).

The operator API, the decisions on a waiting command, and the auditor call it. One signature that is not valid refuses the whole
envelope. Whether the signatories are enough, and whether the command fits the present state, is decided later.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from controller.authority.command import SSH_NAMESPACE, Command, Signatory, VerifiedCommand
from controller.authority.envelope import Envelope, EnvelopeSignature, parse_envelope
from controller.authority.plain import looks_plain, verify_plain
from controller.authority.refusal import Refusal, refused
from controller.authority.roster import KeyStatus, Person, Roster, RosterKey, parse_roster_json
from controller.authority.sshsig import SshSignature, parse_armour, verify_sshsig
from exchange.errors import ConfigError, IntegrityError
from exchange.model import Millis
from policies import canonical
from policies.authority import Quorum, Verb

MAX_PAYLOAD_BYTES = 16 * 1024
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def verify(envelope_text: str, roster: Roster, now: Millis) -> VerifiedCommand:
    """Verify an envelope against the roster, at the time ``now``.

    Raises:
        Unauthorised: with a code of ``Refusal``.
    """
    envelope = parse_envelope(envelope_text)
    command = read_command(envelope.payload)
    if not envelope.signatures:
        raise refused(Refusal.NO_SIGNATURES, "the envelope is not signed")
    new_roster = _new_roster(command)
    signatories: list[Signatory] = []
    incoming: list[Signatory] = []
    fingerprints_so_far: set[str] = set()
    for entry in envelope.signatures:
        in_force, in_new = roster.find(entry.keyid), new_roster.find(entry.keyid) if new_roster is not None else None
        found = in_force or in_new
        if found is None:
            raise refused(Refusal.UNKNOWN_KEY, f"no key {entry.keyid[:80]!r} is in roster version {roster.version}")
        if found[1].material.fingerprint in fingerprints_so_far:
            raise refused(Refusal.DUPLICATE_SIGNATURE, f"key {found[1].id} signs twice")
        fingerprints_so_far.add(found[1].material.fingerprint)
        if in_force is not None:
            signatories.append(_signatory(entry, envelope, in_force, now))
        if in_new is not None and (in_force is None or in_new[1].in_force(now)):
            incoming.append(_signatory(entry, envelope, in_new, now))
    digest = canonical.digest(envelope.payload)
    return VerifiedCommand(command, digest, tuple(signatories), envelope_text, tuple(incoming), roster.digest)


def _new_roster(command: Command) -> Roster | None:
    if command.verb is not Verb.SET_ROSTER:
        return None
    try:
        return parse_roster_json(command.subject.encode())
    except ConfigError as error:
        raise refused(Refusal.MALFORMED_COMMAND, f"the subject is not a roster: {error.message}") from None


def read_command(payload: bytes) -> Command:
    """Read a command from a payload, which must be canonical and contain no invisible characters.

    Raises:
        Unauthorised: ``not-canonical``, ``malformed-command`` or ``unreadable-text``.
    """
    try:
        canonical.decode(payload, limit=MAX_PAYLOAD_BYTES)
        command = Command.model_validate_json(payload)
        same = canonical.encode(command.model_dump(mode="json")) == payload
    except IntegrityError as error:
        raise refused(Refusal.NOT_CANONICAL, error.message) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the payload"
        raise refused(Refusal.MALFORMED_COMMAND, f"{where}: {first['msg']}") from None
    if not same:
        raise refused(Refusal.MALFORMED_COMMAND, "the payload is not what the command is written as")
    for name, text in (("reason", command.reason), ("subject", command.subject)):
        hidden = any(unicodedata.category(character) in _INVISIBLE for character in text)
        if hidden or not unicodedata.is_normalized("NFC", text):
            raise refused(Refusal.UNREADABLE_TEXT, f"the {name} contains characters that are invisible or not in Unicode form NFC")
    return command


def _signatory(entry: EnvelopeSignature, envelope: Envelope, owner: tuple[Person, RosterKey], now: Millis) -> Signatory:
    person, key = owner
    _require_in_force(person, key, now)
    material = key.material
    if key.type.plain:
        verify_plain(entry.sig, key=material, message=envelope.pae)
    else:
        verify_sshsig(
            _ssh_signature(entry.sig), key=material, namespace=SSH_NAMESPACE, message=envelope.pae, pin_required=key.pin_required
        )
    return Signatory(person.name, person.role, key.id, material.fingerprint, touched=material.algorithm.hardware)


def _require_in_force(person: Person, key: RosterKey, now: Millis) -> None:
    if key.status is not KeyStatus.ACTIVE:
        raise refused(Refusal.REVOKED_KEY, f"{person.name}'s key {key.id} is revoked")
    if key.valid_from is not None and now < key.valid_from:
        raise refused(Refusal.KEY_NOT_YET_VALID, f"{person.name}'s key {key.id} is not valid yet")
    if key.valid_until is not None and now >= key.valid_until:
        raise refused(Refusal.EXPIRED_KEY, f"{person.name}'s key {key.id} has expired")


def _ssh_signature(sig: bytes) -> SshSignature:
    if looks_plain(sig):
        raise refused(Refusal.WRONG_SIGNATURE_FORM, "a plain signature is listed under an OpenSSH key")
    try:
        return parse_armour(sig.decode("ascii"))
    except UnicodeDecodeError:
        raise refused(Refusal.MALFORMED_SIGNATURE, "the armour is not ASCII") from None


@dataclass(frozen=True, slots=True)
class QuorumResult:
    """The persons who count towards a quorum. ``missing`` says who must still sign; it is empty when the quorum is reached."""

    persons: frozenset[str]
    satisfied: bool
    missing: str


def count_quorum(signatories: Iterable[Signatory], quorum: Quorum) -> QuorumResult:
    """Count distinct persons with distinct keys, in the roles that count. A key listed for two persons counts for neither."""
    everyone = tuple(signatories)
    owners: dict[str, set[str]] = {}
    for signatory in everyone:
        owners.setdefault(signatory.fingerprint, set()).add(signatory.person)
    counted = [one for one in everyone if one.role in quorum.roles and len(owners[one.fingerprint]) == 1]
    persons = frozenset(one.person for one in counted)
    lacking = quorum.persons - len(persons)
    if lacking <= 0:
        return QuorumResult(persons, satisfied=True, missing="")
    roles = " or ".join(sorted(quorum.roles))
    signed = ", ".join(sorted(persons)) or "no one"
    more = "1 more person" if lacking == 1 else f"{lacking} more persons"
    return QuorumResult(persons, satisfied=False, missing=f"{more} ({roles}) must sign; {signed} counts so far")
