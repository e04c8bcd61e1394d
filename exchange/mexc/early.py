"""Signatures of new orders that are asked for before their order may leave (ADR 48). ``exchange.mexc.rest`` holds them.

A signature is no effect at the venue. It is read and put into a request only when the order is placed, after its entry is durable
and under the permit that it was asked with. One that cannot be used counts for nothing: the order is signed anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.model import Millis, OrderIntent
from exchange.ports import AskedOrder, EarlySigner, Permit

USABLE_MS = 1_000
"""How old an early signature's timestamp may be: the venue takes an order for five seconds, and it still has to get there."""


@dataclass(frozen=True, slots=True)
class _Asked:
    intent: OrderIntent
    permit: Permit
    at: Millis
    order: AskedOrder


class EarlySignatures:
    """What was asked for and not used yet, by client id."""

    def __init__(self, signer: EarlySigner) -> None:
        self._signer = signer
        self._asked: dict[str, _Asked] = {}

    def ask(self, intent: OrderIntent, recv_window: int, at: Millis, permit: Permit) -> None:
        """Ask for the signature of an order with this stamp, in the venue's time."""
        if self._asked:
            for old in [one for one in self._asked.values() if not _usable(one, at)]:
                self.forget(old.intent.client_id)
        order = self._signer.ask_order(intent, recv_window, at, permit)
        if order is not None:
            self._asked[intent.client_id] = _Asked(intent, permit, at, order)

    def query(self, intent: OrderIntent, permit: Permit, now: Millis) -> str | None:
        """The signed query of this order; ``None`` when it must be signed anew. ``now`` is the venue's time.

        Raises:
            Refused: the permit is no longer live.
        """
        asked = self._asked.pop(intent.client_id, None)
        if asked is None:
            return None
        if asked.intent != intent or asked.permit != permit or not _usable(asked, now):
            asked.order.forget()
            return None
        return asked.order.signed_query()

    def forget(self, client_id: str) -> None:
        """Let the signature of this order count for nothing, if there is one."""
        asked = self._asked.pop(client_id, None)
        if asked is not None:
            asked.order.forget()


def _usable(asked: _Asked, now: Millis) -> bool:
    # A timestamp ahead of the venue's time was made before the venue's clock was measured again.
    return 0 <= now - asked.at <= USABLE_MS
