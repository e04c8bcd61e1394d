"""What a controller says to a witness about its account: a signed note that no checkpoint can be mistaken for (ADR 50).

    gatehouse-claim/v1
    <origin of the controller's checkpoints>
    <account, sha256:… as in the journal>
    <holder, 64 hexadecimal digits>
    <new, renew or release>
    <when it was said, in seconds since 1970>

The witness and the controller read it with this file.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.journal.note import sign_note
from exchange.errors import IntegrityError

LEASE_S = 60
"""A claim that is not renewed for so long is free."""
RENEW_S = 15
"""So often a controller renews its claim."""

_HEAD = "gatehouse-claim/v1"
_ACCOUNT = re.compile(r"sha256:[0-9a-f]{64}")
_HOLDER = re.compile(r"[0-9a-f]{64}")
_SECONDS = re.compile(r"[1-9][0-9]{0,11}")


class Phase(StrEnum):
    """What a controller asks for: a claim at its start, the same for longer, or its end."""

    NEW = "new"
    RENEW = "renew"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class ClaimNote:
    """One request. ``holder`` is ``holder_of`` a journal; ``at_s`` are seconds since 1970."""

    origin: str
    account: str
    holder: str
    phase: Phase
    at_s: int

    @property
    def text(self) -> str:
        """The note's text."""
        return f"{_HEAD}\n{self.origin}\n{self.account}\n{self.holder}\n{self.phase}\n{self.at_s}\n"

    def signed(self, private_key: Ed25519PrivateKey) -> str:
        """The note, signed with the key of the controller's checkpoints."""
        return sign_note(self.text, self.origin, private_key)


def parse_claim(text: str) -> ClaimNote:
    """Read the text of a note.

    Raises:
        IntegrityError: ``claim-malformed``.
    """
    lines = text.split("\n")
    if len(lines) == 7 and lines[0] == _HEAD and not lines[6] and lines[1] and lines[4] in set(Phase):
        origin, account, holder, phase, at_s = lines[1:6]
        if _ACCOUNT.fullmatch(account) and _HOLDER.fullmatch(holder) and _SECONDS.fullmatch(at_s):
            return ClaimNote(origin, account, holder, Phase(phase), int(at_s))
    raise IntegrityError(
        "not a claim: an origin, an account, a holder, what is asked for, and the time",
        code="claim-malformed",
        remedy="Use the same version of gatehouse for the controller and the witness.",
    )


def holder_of(journal: str, boot: str) -> str:
    """A name of a journal on a running machine, which neither a copy of its folder nor a copy of the machine has.

    ``journal`` is ``claim.journal_name``; ``boot`` is the kernel's name of this boot, empty for a journal in a database.
    """
    return hashlib.sha256(f"{journal}\n{boot}".encode()).hexdigest()
