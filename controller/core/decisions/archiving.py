"""Decisions about archives: persons let old entries be moved out of the journal (ADR 46). Called by ``governance``.

The entries stay where they are while the controller runs: ``gatehouse journal archive`` moves them after it has stopped. Whether
the entry that a command names has its hash is checked there, because a decision cannot read the journal.
"""

from __future__ import annotations

import re
from typing import Any

from controller.authority.command import Command
from controller.core import events as e
from controller.core.decisions.draft import Draft
from controller.core.state import State
from exchange.errors import IntegrityError, Refused
from policies import canonical

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def archive_document(upto: int, digest: str) -> str:
    """The subject of an ``archive``: the last entry that may be archived, and its hash."""
    return canonical.encode({"upto": upto, "hash": digest}).decode()


def check(state: State, subject: str) -> None:
    """Check that the subject names an entry of the past. Raises ``Refused``."""
    upto, _ = _entry(subject)
    if upto >= state.seq:
        raise Refused(
            f"the journal ends at entry {state.seq}, and the command is about the entries up to {upto}",
            code="no-such-entry",
            remedy="Sign it with `gatehouse archive --keep DAYS --key KEY --reason WHY`.",
        )


def approve(draft: Draft, command: Command, persons: tuple[str, ...]) -> None:
    """Record who lets which entries be archived."""
    upto, digest = _entry(command.subject)
    draft.emit(e.ArchiveApproved(upto=upto, hash=digest, persons=persons, command_id=command.command_id))


def _entry(subject: str) -> tuple[int, str]:
    try:
        value: Any = canonical.decode(subject.encode())
        upto, digest = value["upto"], value["hash"]
        sound = archive_document(upto, digest) == subject and type(upto) is int and upto > 0 and bool(_HASH.fullmatch(digest))
    except (IntegrityError, KeyError, TypeError):
        sound = False
    if not sound:
        raise Refused(
            "the command names no entry of a journal",
            code="archive-malformed",
            remedy="Sign it with `gatehouse archive --keep DAYS --key KEY --reason WHY`.",
        )
    return upto, digest
