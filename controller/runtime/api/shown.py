"""Evidence that proposals over TCP showed without sealing it; it waits in memory for its signed command (ADR 25).

``runtime.api.operator`` keeps one.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.decisions.draft import SealReply
from controller.core.lifecycle import Position
from exchange.model import Millis
from policies.authority import Verb

REUSED_MS = 60_000
"""For how long the next proposal of the same move shows the same evidence again, so that many proposals use little memory."""

MOST = 1_024


@dataclass(frozen=True, slots=True)
class _Shown:
    seal: SealReply
    at: Millis
    governance_seq: int


class ShownEvidence:
    """The newest evidence shown, at most ``MOST`` bundles."""

    def __init__(self) -> None:
        self._latest: dict[tuple[Verb, Position], _Shown] = {}
        self._texts: dict[str, str] = {}

    def keep(self, verb: Verb, target: Position, seal: SealReply, governance_seq: int, now: Millis) -> SealReply:
        """Remember what a proposal showed; returns what to show instead, when the same move was proposed a moment ago."""
        if not seal.unsealed:
            return seal
        last = self._latest.get((verb, target))
        if last is not None and now - last.at < REUSED_MS and last.governance_seq == governance_seq:
            return last.seal
        self._latest[verb, target] = _Shown(seal, now, governance_seq)
        self._texts[seal.evidence_digest] = seal.unsealed
        while len(self._texts) > MOST:
            del self._texts[next(iter(self._texts))]
        return seal

    def text(self, digest: str) -> str:
        """The canonical text of evidence that was shown; empty when it is not known."""
        return self._texts.get(digest, "")
