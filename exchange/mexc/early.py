"""Signatures of new orders that are asked for before their order may leave (ADR 48). ``exchange.mexc.rest`` holds them.

A signature is no effect at the venue. It is read and put into a request only when the order is placed, after its entry is durable
and under the permit that it was asked with. One that cannot be used counts for nothing: the order is signed anew.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from exchange.errors import Refused
from exchange.model import Millis, OrderIntent
from exchange.ports import AskedSignature, EarlySigner, Permit

USABLE_MS = 1_000
"""How old the timestamp of an early signature may be, ms: the venue takes an order for five seconds, and it still has to get there."""


@dataclass(frozen=True, slots=True)
class _Asked:
    intent: OrderIntent
    permit: Permit
    payload: str
    stamped: Millis
    signature: AskedSignature


class EarlySignatures:
    """What was asked for and not used yet, by client id."""

    def __init__(self, signer: EarlySigner) -> None:
        self._signer = signer
        self._asked: dict[str, _Asked] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, intent: OrderIntent, permit: Permit, payload: str, stamped: Millis) -> None:
        """Ask for an order's signature. ``stamped`` is the payload's timestamp."""
        for old in [one for one in self._asked.values() if not _usable(one, stamped)]:
            self.forget(old.intent.client_id)
        with suppress(Refused):
            signature = self._signer.ask_order(intent, payload, permit)
            if signature is not None:
                self._asked[intent.client_id] = _Asked(intent, permit, payload, stamped, signature)

    def query(self, intent: OrderIntent, permit: Permit, now: Millis) -> str | None:
        """The signed query of this order; ``None`` when it must be signed anew. ``now`` is the venue's time.

        Raises:
            Refused: the permit is no longer live.
        """
        asked = self._asked.pop(intent.client_id, None)
        if asked is None:
            return None
        if asked.intent != intent or asked.permit != permit or not _usable(asked, now):
            asked.signature.forget()
            return None
        signature = asked.signature.signature()
        return f"{asked.payload}&signature={signature}" if signature is not None else None

    def forget(self, client_id: str) -> None:
        """Let the signature of this order count for nothing, if there is one."""
        asked = self._asked.pop(client_id, None)
        if asked is not None:
            asked.signature.forget()


def _usable(asked: _Asked, now: Millis) -> bool:
    # A timestamp ahead of the venue's time was made before the venue's clock was measured again.
    return 0 <= now - asked.stamped <= USABLE_MS
