"""Bounds how many refused submissions are journalled, because anybody who reaches the console can send them (ADR 25).

``runtime.api.operator`` asks it. A command with valid signatures that was not submitted before is never affected.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from controller.authority.command import VerifiedCommand
from controller.core.decisions.binding import check_unspent
from controller.core.state import State
from controller.serving.throttle import Rate, Throttle
from exchange.errors import Refused, Unauthorised
from exchange.model import Millis

RATE = Rate(count=6, burst=60, seconds=60)
MOST = 4_096

_log = logging.getLogger(__name__)


class Refusals:
    """The allowance, and the commands that were refused."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._allowed = Throttle(RATE)
        self._refused: dict[tuple[str, frozenset[str]], None] = {}

    def may_journal(self) -> bool:
        """Whether a refusal that cost its sender nothing is journalled."""
        if self._allowed.admit("", Millis(self._monotonic_ns() // 1_000_000)) == 0:
            return True
        _log.warning("a refused submission is not journalled, because there were too many of them")
        return False

    def check(self, state: State, verified: VerifiedCommand) -> None:
        """Refuse a command that was submitted before with the same signatures, when there are too many such.

        Raises:
            Refused: ``too-many-repeats``.
        """
        if (_key(verified) in self._refused or _is_spent(state, verified)) and not self.may_journal():
            raise Refused(
                f"command {verified.command.command_id} was submitted before, too often of late",
                code="too-many-repeats",
                remedy="Look up its outcome in the journal, and propose a new command.",
            )

    def remember(self, verified: VerifiedCommand) -> None:
        """This command was refused with these signatures; with more it may still be accepted."""
        self._refused[_key(verified)] = None
        while len(self._refused) > MOST:
            del self._refused[next(iter(self._refused))]


def _key(verified: VerifiedCommand) -> tuple[str, frozenset[str]]:
    return verified.payload_digest, frozenset(one.key_id for one in (*verified.signatories, *verified.incoming))


def _is_spent(state: State, verified: VerifiedCommand) -> bool:
    try:
        check_unspent(state, verified.command)
    except Unauthorised:
        return True
    return False
