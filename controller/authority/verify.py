"""From an envelope's text to a command with proven signatories, or to a refusal (architecture.md §5).

One signature that does not hold refuses the whole envelope: an envelope is what its senders agreed on, and a part of it that is
false is not to be looked past. Whether the signatories suffice, and whether the command fits the moment, is decided later.
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
    """Check an envelope against the roster in force at ``now``.

    Raises:
        Unauthorised: with a code of ``Refusal``.
    """
    envelope = parse_envelope(envelope_text)
    command = read_command(envelope.payload)
    if not envelope.signatures:
        raise refused(Refusal.NO_SIGNATURES, "the envelope is not signed")
    coming = _coming_roster(command)
    signatories: list[Signatory] = []
    incoming: list[Signatory] = []
    seen: set[str] = set()
    for entry in envelope.signatures:
        here, there = roster.find(entry.keyid), coming.find(entry.keyid) if coming is not None else None
        found = here or there
        if found is None:
            raise refused(Refusal.UNKNOWN_KEY, f"no key {entry.keyid[:80]!r} is in roster version {roster.version}")
        if found[1].material.fingerprint in seen:
            raise refused(Refusal.DUPLICATE_SIGNATURE, f"key {found[1].id} signs twice")
        seen.add(found[1].material.fingerprint)
        if here is not None:
            signatories.append(_signatory(entry, envelope, here, now))
        if there is not None and (here is None or there[1].in_force(now)):
            incoming.append(_signatory(entry, envelope, there, now))
    digest = canonical.digest(envelope.payload)
    return VerifiedCommand(command, digest, tuple(signatories), envelope_text, tuple(incoming), roster.digest)


def _coming_roster(command: Command) -> Roster | None:
    if command.verb is not Verb.SET_ROSTER:
        return None
    try:
        return parse_roster_json(command.subject.encode())
    except ConfigError as error:
        raise refused(Refusal.MALFORMED_COMMAND, f"the subject is not a roster: {error.message}") from None


def read_command(payload: bytes) -> Command:
    """The command a payload spells, if it is spelled canonically and can be shown to a person as it is.

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
        raise refused(Refusal.MALFORMED_COMMAND, "the payload does not read back as it is written")
    for name, said in (("reason", command.reason), ("subject", command.subject)):
        hidden = any(unicodedata.category(letter) in _INVISIBLE for letter in said)
        if hidden or not unicodedata.is_normalized("NFC", said):
            raise refused(Refusal.UNREADABLE_TEXT, f"the {name} holds characters that are invisible or composed in an unusual way")
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
    """Who counts towards a quorum. ``missing`` says what is still needed; it is empty when the quorum is satisfied."""

    persons: frozenset[str]
    satisfied: bool
    missing: str


def count_quorum(signatories: Iterable[Signatory], quorum: Quorum) -> QuorumResult:
    """Count distinct persons with distinct key material among the roles that count. A key of two persons counts for neither."""
    everybody = tuple(signatories)
    owners: dict[str, set[str]] = {}
    for signatory in everybody:
        owners.setdefault(signatory.fingerprint, set()).add(signatory.person)
    counted = [one for one in everybody if one.role in quorum.roles and len(owners[one.fingerprint]) == 1]
    persons = frozenset(one.person for one in counted)
    lacking = quorum.persons - len(persons)
    if lacking <= 0:
        return QuorumResult(persons, satisfied=True, missing="")
    roles = " or ".join(sorted(quorum.roles))
    signed = ", ".join(sorted(persons)) or "nobody"
    more = "1 more person" if lacking == 1 else f"{lacking} more persons"
    return QuorumResult(persons, satisfied=False, missing=f"{more} ({roles}) must sign; {signed} counts so far")
