"""Holds the real account at every witness of the settings, so that a controller on another host does not arm (ADR 50).

``controller.bootstrap`` makes it, asks before the start is journalled, and renews. A copied folder shares the settings, so it asks
the same witnesses.

An answer is needed once: before it, ``problem`` keeps every order from the real venue. A witness that is silent later only raises
an alert. That another controller holds the account is a refused start, or a halt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.core.effects import Alert, AlertKind
from controller.journal.checkpoint import origin_of
from controller.journal.claim_note import LEASE_S, RENEW_S, ClaimNote, Phase
from controller.journal.targets.witness_claims import (
    Claimed,
    ClaimReply,
    HeldByAnother,
    NoClaims,
    WitnessStarting,
)
from exchange.errors import GatehouseError, Refused
from exchange.ports import Clock

ASK_AGAIN_S = 2.0
_NS = 1_000_000_000
_ROUNDING_S = 1.5
"""A witness answers in whole seconds, and its answer takes a moment."""


class Asked(Protocol):
    """One witness; ``journal.targets.witness_claims.ClaimWitness``."""

    @property
    def name(self) -> str:
        """Its name for people."""
        ...

    async def ask(self, note: str) -> ClaimReply:
        """Send one signed claim. Raises ``GatehouseError``."""
        ...


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: the controller, its account, and its journal on this machine (``claim_note.holder_of``)."""

    controller_id: str
    account: str
    holder: str
    private_key: Ed25519PrivateKey

    def note(self, phase: Phase, at_s: int) -> str:
        """A signed claim."""
        origin = origin_of(self.controller_id)
        return ClaimNote(origin, self.account, self.holder, phase, at_s).signed(self.private_key)


class RemoteClaims:
    """The claim of one account at every witness. ``notify`` gets its alerts."""

    def __init__(
        self, claimant: Callable[[], Claimant], witnesses: Sequence[Asked], clock: Clock, notify: Callable[[Alert], object]
    ) -> None:
        """Ask nobody yet. ``claimant`` is called once, by ``acquire``: before a start opens its journal there may be no file."""
        self._claimant, self._witnesses, self._clock, self._notify = claimant, tuple(witnesses), clock, notify
        self._unanswered = {one.name: "it was not asked yet" for one in witnesses}
        self._silent_since_ns: dict[str, int] = {}
        self._alerted: set[str] = set()
        self._claims_as: Claimant | None = None

    @property
    def problem(self) -> str:
        """Why no order may go to the real venue: a witness that has not granted the account. Empty when all have."""
        return "; ".join(f"{name} has not granted this account yet: {why}" for name, why in self._unanswered.items())

    async def acquire(self, on_waiting: Callable[[str], None] = lambda _: None) -> None:
        """Claim the account at a start. Where another one held it, wait until that claim is renewed or ends.

        ``on_waiting`` gets a line for people whenever a witness has to be asked again.

        Raises:
            Refused: ``account-claimed``; another controller renewed its claim.
        """
        await asyncio.gather(*(self._acquire(one, on_waiting) for one in self._witnesses))

    async def run(self, on_lost: Callable[[str], None]) -> None:
        """Renew until cancelled. ``on_lost`` gets the reason when another controller holds the account."""
        async with asyncio.TaskGroup() as group:
            for witness in self._witnesses:
                group.create_task(self._renew(witness, on_lost), name=f"claim at {witness.name}")
            group.create_task(asyncio.Event().wait())

    async def release(self) -> None:
        """Give the account back. Call it when no part of this controller can act any more; a silent witness delays nothing."""
        await asyncio.gather(*(self._try(one, Phase.RELEASE) for one in self._witnesses if one.name not in self._unanswered))

    async def _acquire(self, witness: Asked, on_waiting: Callable[[str], None]) -> None:
        began_ns = self._clock.monotonic_ns()
        first_age_s: float | None = None
        while True:
            match await self._try(witness, Phase.NEW):
                case HeldByAnother(age_s):
                    waited_s = (self._clock.monotonic_ns() - began_ns) / _NS
                    if first_age_s is None:
                        first_age_s = age_s - waited_s
                    if age_s - waited_s < first_age_s - _ROUNDING_S:
                        raise _claimed(witness.name, age_s)
                    left = f"it ends after {LEASE_S} s unless that is renewed"
                    on_waiting(f"{witness.name}: another controller claimed this account {age_s} s ago; {left}")
                case WitnessStarting(left_s):
                    # The start goes on: until the witness has answered, ``problem`` keeps orders from the real venue.
                    self._unanswered[witness.name] = f"it has just started and grants new claims in {left_s} s"
                    return
                case _:
                    return
            await asyncio.sleep(ASK_AGAIN_S)

    async def _renew(self, witness: Asked, on_lost: Callable[[str], None]) -> None:
        lost = False
        while True:
            await asyncio.sleep(ASK_AGAIN_S if witness.name in self._unanswered else RENEW_S)
            try:
                if witness.name in self._unanswered:
                    await self._acquire(witness, lambda _: None)
                elif isinstance(reply := await self._try(witness, Phase.RENEW), HeldByAnother):
                    raise _claimed(witness.name, reply.age_s)
            except Refused as error:
                # After a resume no order may leave while another one holds the account, so it is claimed anew first.
                self._unanswered[witness.name] = error.message
                if not lost:
                    on_lost(error.message)
                lost = True
            else:
                lost = lost and witness.name in self._unanswered

    async def _try(self, witness: Asked, phase: Phase) -> ClaimReply | None:
        try:
            reply = await witness.ask(self._who().note(phase, self._clock.now() // 1000))
        except GatehouseError as error:
            self._silent(witness.name, error.message)
            return None
        if isinstance(reply, Claimed | NoClaims):
            self._unanswered.pop(witness.name, None)
        self._silent_since_ns.pop(witness.name, None)
        self._alerted.discard(witness.name)
        return reply

    def _who(self) -> Claimant:
        if self._claims_as is None:
            self._claims_as = self._claimant()
        return self._claims_as

    def _silent(self, name: str, why: str) -> None:
        """Say once that a witness is silent: at a start at once, later when the claim there has ended."""
        now_ns = self._clock.monotonic_ns()
        if name in self._unanswered:
            self._unanswered[name] = why
        elif now_ns - self._silent_since_ns.setdefault(name, now_ns) < LEASE_S * _NS:
            return
        if name not in self._alerted:
            self._alerted.add(name)
            detail = f"it does not answer, so it cannot keep another host from this account: {why}"
            self._notify(Alert(AlertKind.CHECKPOINT, name, detail))


def _claimed(witness: str, age_s: int) -> Refused:
    return Refused(
        f"another controller trades on this account: {witness} says that it renewed its claim {age_s} s ago. One of the "
        "two is a copy, or both were given one account",
        code="account-claimed",
        remedy="Stop the other controller first, or give this one an account of its own. Nothing was cancelled.",
    )
