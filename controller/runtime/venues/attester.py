"""Asks the testnet for a signed statement every few seconds, and keeps the last answer. The assembly runs one (ADR 47).

Every question has a new nonce and names our controller, account and journal. What an answer is worth is decided with each tick
(``controller.core.decisions.attestation``).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Protocol

from controller.core.inputs import Asked
from controller.core.state import State
from exchange.errors import GatehouseError
from exchange.ports import Clock, VenueName
from exchange.statement import Challenge, Fault, Refused, read_answer

ASK_EVERY_S = 5.0
"""An answer attests for 30 s, so a few may be lost before there is a gap."""

_NONCE_BYTES = 32

_log = logging.getLogger(__name__)


class AskTestnet(Protocol):
    """The testnet's end of a question."""

    @property
    def account(self) -> str:
        """The public key of our account there."""
        ...

    async def __call__(self, challenge: Challenge) -> bytes:
        """Its reply. Raises ``GatehouseError`` when none comes."""
        ...


class Attester:
    """Asks for statements. ``last`` is the last question and its answer, ``None`` while the policy names no key."""

    def __init__(
        self, ask: AskTestnet, state: Callable[[], State], clock: Clock, token: Callable[[int], str] = secrets.token_hex
    ) -> None:
        """``token`` makes a nonce of so many bytes."""
        self._ask = ask
        self._state = state
        self._clock = clock
        self._token = token
        self._logged = ""
        self.last: Asked | None = None

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(ASK_EVERY_S)

    async def ask(self) -> None:
        """Ask once, if the policy names the testnet's key."""
        state = self._state()
        key = state.policy.testnet.key if state.policy is not None else None
        if key is None:
            self.last = None
            return
        after = state.ledger(VenueName.TESTNET).books.after
        challenge = Challenge(self._token(_NONCE_BYTES), state.controller_id, self._ask.account, state.order_prefix, after)
        asked_at = self._clock.now()
        try:
            reply = await self._ask(challenge)
        except GatehouseError as error:
            self._tell(error.message)
            self.last = Asked(key, asked_at, self._clock.now(), None, error.message)
            return
        found = read_answer(reply, challenge, key)
        self._tell(found.why if isinstance(found, Refused) else "", found.fault if isinstance(found, Refused) else None)
        self.last = Asked(key, asked_at, self._clock.now(), found)

    def _tell(self, why: str, fault: Fault | None = None) -> None:
        """Log a problem once, not every five seconds."""
        if why and why != self._logged:
            fields = {"why": why, "fault": fault.value if fault is not None else "silent"}
            _log.warning("the testnet gave no statement", extra={"fields": fields})
        self._logged = why
