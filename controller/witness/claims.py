"""Which controller holds which account, as a witness knows it; no I/O (ADR 50). ``witness.app`` asks it.

A claim lives as long as it is renewed. The witness keeps it in memory: after its own start it grants no new claim for one lease,
because the holder may be alive and not have renewed yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.journal.claim_note import LEASE_S, ClaimNote, Phase, parse_claim
from controller.journal.note import NoteKey, open_note
from exchange.errors import IntegrityError

MOST_BYTES = 4096
MOST_SKEW_S = 300
"""How far the clocks of the controller and the witness may differ. An older request may be a repetition by somebody else."""
MOST_CLAIMS = 10_000

_LEASE_NS = LEASE_S * 1_000_000_000


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """What the witness answers: an HTTP status, and a line of text."""

    status: int
    line: str


@dataclass(frozen=True, slots=True)
class _Held:
    origin: str
    holder: str
    renewed_ns: int


class ClaimBook:
    """The claims of a witness. ``started_ns`` is when it began to listen, on the same monotonic clock as ``now_ns`` below."""

    def __init__(self, logs: Mapping[str, NoteKey], started_ns: int) -> None:
        self._logs, self._started_ns = logs, started_ns
        self._held: dict[str, _Held] = {}

    def ask(self, body: bytes, *, now_ns: int, now_s: int) -> ClaimAnswer:
        """Answer one request.

        200 ``claimed`` or ``released``; 409 ``held AGE`` (another holder renewed it so many seconds ago) or ``starting LEFT``;
        400, 403 and 404 as for a checkpoint; 425 for a time that is too far from the witness's.
        """
        try:
            claim = parse_claim(body.decode().partition("\n\n")[0] + "\n")
        except (IntegrityError, UnicodeDecodeError) as error:
            return ClaimAnswer(400, str(error))
        return self._refusal(body.decode(), claim, now_s) or self._answer(claim, now_ns)

    def _refusal(self, note: str, claim: ClaimNote, now_s: int) -> ClaimAnswer | None:
        key = self._logs.get(claim.origin)
        if key is None:
            return ClaimAnswer(404, "this log is not known")
        try:
            open_note(note, key)
        except IntegrityError as error:
            return ClaimAnswer(403, error.message)
        if abs(claim.at_s - now_s) > MOST_SKEW_S:
            return ClaimAnswer(425, f"the request says {claim.at_s} s, and it is {now_s} s here: set the clocks")
        return None

    def _answer(self, claim: ClaimNote, now_ns: int) -> ClaimAnswer:
        held = self._live(claim.account, now_ns)
        if held is not None and (held.origin, held.holder) != (claim.origin, claim.holder):
            return ClaimAnswer(409, f"held {(now_ns - held.renewed_ns) // 1_000_000_000}")
        if claim.phase is Phase.RELEASE:
            self._held.pop(claim.account, None)
            return ClaimAnswer(200, "released")
        starting_ns = self._started_ns + _LEASE_NS - now_ns
        if held is None and claim.phase is Phase.NEW and starting_ns > 0:
            return ClaimAnswer(409, f"starting {-(-starting_ns // 1_000_000_000)}")
        self._held[claim.account] = _Held(claim.origin, claim.holder, now_ns)
        return ClaimAnswer(200, "claimed")

    def _live(self, account: str, now_ns: int) -> _Held | None:
        if len(self._held) >= MOST_CLAIMS:
            self._held = {name: one for name, one in self._held.items() if now_ns - one.renewed_ns < _LEASE_NS}
        held = self._held.get(account)
        return held if held is not None and now_ns - held.renewed_ns < _LEASE_NS else None
