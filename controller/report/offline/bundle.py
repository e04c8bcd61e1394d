"""The evidence bundle of an applied command: its journal entry, and the policy and the roster it was judged by, as one JSON file.

``gatehouse report --command`` writes it, ``gatehouse verify`` checks it offline: hash, signatures, digests and the gate's verdict.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.authority.command import VerifiedCommand
from controller.authority.roster import parse_roster_json
from controller.authority.verify import verify
from controller.core.event_codec import decode
from controller.core.events import CommandAccepted
from controller.journal.chain import Entry, entry_hash
from controller.report.offline.damage import require_canonical, require_fields
from controller.report.offline.suspect import changed_content
from exchange.errors import GatehouseError, IntegrityError
from exchange.model import Millis
from gates.engine import reevaluate
from policies import canonical

FORMAT = "gatehouse-evidence-v1"
MOST_BYTES = 16 << 20
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_FIELDS = {"format": str, "entry": dict, "policy": str, "roster": str}
_REMEDY = "Write the bundle again with `gatehouse report --command ID`, and find out what changed the file."


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle."""

    seq: int
    persons: tuple[str, ...]
    result: dict[str, Any]


def bundle_of(command: Mapping[str, Any]) -> bytes:
    """The bytes of a bundle, from the part ``command`` of a report."""
    return canonical.encode({"format": FORMAT, **command})


def check_bundle(data: bytes) -> Bundle:
    """Check a bundle offline.

    Raises:
        IntegrityError: ``bundle-broken``, naming the part that is wrong and what it has to be.
    """
    document = require_canonical("the bundle", data, MOST_BYTES, _broken, _FIELDS)
    if document["format"] != FORMAT:
        raise _broken(f"field format is {document['format']!r}, expected {FORMAT!r}")
    return check_command(document)


def check_command(part: Mapping[str, Any]) -> Bundle:
    """Check the entry of a command with its policy and roster. Raises as ``check_bundle``."""
    entry = part["entry"]
    kinds = {"seq": int, "epoch": int, "at": int, "kind": str, "body": str, "prev": str, "hash": str}
    require_fields("the bundle", entry, kinds, _broken, "entry.")
    seq = entry["seq"]
    for name in ("prev", "hash"):
        # An upper case digit would give the same bytes to the hash.
        if not _HASH.fullmatch(entry[name]):
            raise _broken(f"entry {seq}: field entry.{name} is {entry[name][:80]!r}, expected sha256: and 64 digits of 0-9 and a-f")
    body = entry["body"].encode()
    one = Entry(seq, entry["epoch"], Millis(entry["at"]), entry["kind"], body, entry["prev"], entry["hash"])
    try:
        found = entry_hash(seq=seq, epoch=one.epoch, at=one.at, kind=one.kind, body=body, prev=one.prev)
    except (ValueError, struct.error) as error:
        raise _broken(f"entry {seq}: field entry.prev, seq, epoch or at has a value that no entry can have: {error}") from None
    if found != one.hash:
        all_of_it = f"field entry.hash is {one.hash}, and the other fields of the entry give {found}: one of them changed"
        raise _broken(f"entry {seq}: {changed_content(one, one.epoch) or all_of_it}")
    try:
        accepted = decode(entry["kind"], body)
        if not isinstance(accepted, CommandAccepted):
            raise _broken(f"entry {seq} is of kind {entry['kind']}, expected {CommandAccepted.kind}")
        result: dict[str, Any] = json.loads(accepted.result)
        _require_digests(seq, accepted, part, _signed(accepted, part, Millis(entry["at"])))
        judged = reevaluate(part["policy"].encode(), accepted.evidence.encode(), Millis(result["as_of"]))
    except ValueError as error:
        raise _broken(f"entry {seq}: field body.result is not JSON: {error}") from None
    if judged != accepted.result.encode():
        raise _broken(
            f"entry {seq}: field body.result is not what the gate says of this evidence; expected {judged.decode()[:300]}"
        )
    return Bundle(seq, accepted.persons, result)


def _signed(accepted: CommandAccepted, part: Mapping[str, Any], at: Millis) -> VerifiedCommand:
    try:
        return verify(accepted.envelope, parse_roster_json(part["roster"].encode()), at)
    except GatehouseError as error:
        raise _broken(f"field roster or the signed envelope in field entry.body changed: {error.message}") from error


def _require_digests(seq: int, accepted: CommandAccepted, part: Mapping[str, Any], verified: VerifiedCommand) -> None:
    command = verified.command
    persons = sorted({one.person for one in (*verified.signatories, *verified.incoming)})
    pairs = (
        ("field policy", canonical.digest(part["policy"].encode()), command.policy_digest),
        ("field roster", canonical.digest(part["roster"].encode()), command.roster_digest),
        (f"entry {seq}: field body.evidence", canonical.digest(accepted.evidence.encode()), command.evidence_digest),
        (f"entry {seq}: field body.evidence_digest", accepted.evidence_digest, command.evidence_digest),
        (f"entry {seq}: field body.payload_digest", accepted.payload_digest, verified.payload_digest),
        (f"entry {seq}: field body.command_id", accepted.command_id, command.command_id),
        (f"entry {seq}: field body.verb", accepted.verb.value, command.verb.value),
        (f"entry {seq}: field body.persons", ", ".join(sorted(accepted.persons)), ", ".join(persons)),
    )
    for what, found, signed in pairs:
        if found != signed:
            raise _broken(f"{what} is {found}, and what was signed says {signed}")


def _broken(why: str) -> IntegrityError:
    return IntegrityError(f"the bundle is not valid: {why}", code="bundle-broken", remedy=_REMEDY)
