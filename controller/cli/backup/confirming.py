"""Confirms the roster of a restored deployment: which keys were revoked after the copy (ADR 76). ``cli.backup.verbs`` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.authority.roster import KeyStatus, Roster
from controller.cli.update.folding import fold_deployment
from controller.runtime.recovery.old_roster import OldRoster, read_old_roster, write_old_roster
from controller.settings.deployment import load_settings
from exchange.errors import ConfigError, Refused, UsageError


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The roster in the journal, and what is known of it now."""

    roster: Roster
    known: OldRoster


def confirm_roster(directory: Path, digest: str | None, revoked: Sequence[str]) -> Confirmation:
    """Show the roster of a restored deployment; with its ``digest``, confirm it without the keys in ``revoked``.

    Raises:
        Refused: ``nothing-to-confirm``; the deployment was not put back, or a checkpoint proved its roster.
        UsageError: ``other-roster``, ``unknown-key``, ``usage``.
        ConfigError: ``not-deployed``.
    """
    data = directory / load_settings(directory).data
    known = read_old_roster(data)
    if known is None:
        raise Refused(
            "no roster waits to be confirmed here: the deployment was not put back from a copy, or a checkpoint outside the folder "
            "shows that nothing was written after the copy",
            code="nothing-to-confirm",
            remedy="Go on with `gatehouse status`.",
        )
    roster = fold_deployment(directory)[0].reached.roster
    if roster is None:
        raise ConfigError("no roster is in force in this journal", code="not-deployed", remedy="Use another copy.")
    if digest is None:
        if revoked:
            raise UsageError("--revoked needs --roster", code="usage", remedy=f"Add --roster {roster.digest}.")
        return Confirmation(roster, known)
    if digest != roster.digest:
        raise UsageError(
            f"the roster in the journal is {roster.digest}, not {digest}",
            code="other-roster",
            remedy="Run the command without --roster, read the roster that it shows, and name its digest.",
        )
    if unknown := [one for one in revoked if roster.find(one) is None]:
        raise UsageError(
            f"no key {unknown[0]} is in the roster", code="unknown-key", remedy="Name the id of a key that the command shows."
        )
    confirmed = OldRoster(confirmed=True, revoked=tuple(dict.fromkeys(revoked)))
    write_old_roster(data, confirmed)
    return Confirmation(roster, confirmed)


def lines_of(found: Confirmation) -> tuple[str, ...]:
    """The roster, person by person, and what to do next."""
    keys = [
        f"{person.name} ({person.role})  {key.id}  {_standing(key.id, key.status, found.known)}"
        for person in found.roster.persons
        for key in person.keys
    ]
    head = f"roster {found.roster.digest}, version {found.roster.version}"
    if found.known.confirmed:
        return (head, *keys, "Confirmed. Sign a `gatehouse revoke` of each key that was revoked since, then the way out.")
    return (
        head,
        *keys,
        "Not confirmed: no signed command counts. Ask every person whether a key was revoked or replaced after the copy. Then:",
        f"  gatehouse backup confirm --roster {found.roster.digest} [--revoked KEY_ID ...]",
    )


def document_of(found: Confirmation) -> dict[str, object]:
    """The same as JSON values."""
    return {
        "roster": found.roster.digest,
        "version": found.roster.version,
        "confirmed": found.known.confirmed,
        "keys": [
            {"person": person.name, "role": person.role.value, "id": key.id, "standing": _standing(key.id, key.status, found.known)}
            for person in found.roster.persons
            for key in person.keys
        ],
    }


def _standing(key_id: str, status: KeyStatus, known: OldRoster) -> str:
    return "revoked since" if key_id in known.revoked else status.value
