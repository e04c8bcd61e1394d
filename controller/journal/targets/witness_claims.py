"""Asks a ``gatehouse witness`` for an account, so that a controller on another host is seen (ADR 50).

``runtime.followers.remote_claims`` calls it. C2SP knows no claims: a witness of somebody else answers 404 or 405.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from controller.journal.targets import https

_HELD = re.compile(rb"(held|starting) ([0-9]{1,9})\n")


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim is this controller's, or its end was taken note of."""


@dataclass(frozen=True, slots=True)
class HeldByAnother:
    """Another controller renewed its claim ``age_s`` seconds ago, by the witness's clock."""

    age_s: int


@dataclass(frozen=True, slots=True)
class WitnessStarting:
    """The witness itself has just started and grants new claims in ``left_s`` seconds."""

    left_s: int


@dataclass(frozen=True, slots=True)
class NoClaims:
    """A witness that knows no claims."""


ClaimReply = Claimed | HeldByAnother | WitnessStarting | NoClaims


@dataclass(frozen=True, slots=True)
class ClaimWitness:
    """The address of one witness; ``name`` is that of the checkpoint target."""

    name: str
    url: str

    async def ask(self, note: str) -> ClaimReply:
        """Send one signed claim.

        Raises:
            Unreachable: no answer in time, or an error of the server.
            Refused: any other answer, for example because the two clocks differ.
        """
        answer = await https.send("POST", f"{self.url}/claim", body=note.encode())
        if answer.status == 200:
            return Claimed()
        if answer.status in (404, 405):
            return NoClaims()
        said = _HELD.fullmatch(answer.body) if answer.status == 409 else None
        if said is None:
            raise https.refused(answer)
        seconds = int(said[2])
        return HeldByAnother(seconds) if said[1] == b"held" else WitnessStarting(seconds)
