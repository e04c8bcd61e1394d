"""Whether the roster of a deployment that was put back from a copy may be trusted (ADR 76).

A key that was revoked after the copy is valid in it. ``gatehouse backup restore`` therefore writes a file beside the mark. While it
says that nobody confirmed the roster, no signed command counts. That ends when a start compares the journal with a checkpoint
outside the folder and nothing knows later entries, or when a person confirms the roster with ``gatehouse backup confirm`` and names
the keys that were revoked since. Those keys sign nothing here from then on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from controller.authority.command import VerifiedCommand
from controller.journal.files import sync_directory, write_atomically
from exchange.errors import Unauthorised
from policies.authority import Verb

FILE_NAME = "old-roster"


@dataclass(frozen=True, slots=True)
class OldRoster:
    """What the file says: ``confirmed`` by a person, and the ids of the keys that were ``revoked`` after the copy."""

    confirmed: bool
    revoked: tuple[str, ...] = ()


def read_old_roster(data: Path) -> OldRoster | None:
    """What is known of a restored roster; ``None`` where nothing is in doubt. An unreadable file confirms nothing."""
    try:
        document = json.loads((data / FILE_NAME).read_bytes())
        return OldRoster(document["confirmed"] is True, tuple(str(one) for one in document["revoked"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return OldRoster(confirmed=False)


def write_old_roster(data: Path, roster: OldRoster) -> None:
    """Keep whether the roster is confirmed, mode 0600. Raises ``OSError``."""
    path = data / FILE_NAME
    write_atomically(path, json.dumps({"confirmed": roster.confirmed, "revoked": list(roster.revoked)}).encode())
    path.chmod(0o600)


def roster_is_proven(data: Path) -> None:
    """A checkpoint outside the folder knows no later entry, so no later roster either: what waits for a person waits no longer.

    What a person confirmed stays. Raises ``OSError``.
    """
    found = read_old_roster(data)
    if found is not None and not found.confirmed:
        (data / FILE_NAME).unlink()
        sync_directory(data)


def require_trusted_roster(data: Path, verified: VerifiedCommand) -> None:
    """Refuse a command whose signatures cannot be trusted after a restore. A halt needs no trust.

    Raises:
        Unauthorised: ``roster-not-confirmed`` or ``revoked-key``.
    """
    found = read_old_roster(data)
    if found is None or verified.command.verb is Verb.HALT:
        return
    if not found.confirmed:
        raise Unauthorised(
            "the roster was put back from a copy, and nothing shows whether a key of it was revoked after the copy",
            code="roster-not-confirmed",
            remedy="On the controller's host run `gatehouse backup confirm`: it shows the roster, and how to name the keys that "
            "were revoked since.",
        )
    for one in (*verified.signatories, *verified.incoming):
        if one.key_id in found.revoked:
            raise Unauthorised(
                f"{one.person}'s key {one.key_id} was revoked after the copy from which this deployment was put back",
                code="revoked-key",
                remedy="Sign with another key of the roster, first of all a `revoke` of this one.",
            )
