"""What the signer itself has signed: a sliding day of buys, a rate of orders, and the file that both and the authority survive in.

The controller's word counts for nothing here: a cancel, a rejection or an order that never filled cannot be proven to the signer,
so every signed buy counts for a day. A restart keeps the count, rounded up.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from controller.signer.protocol import Budget
from exchange.mexc.signer import refused
from exchange.model import Millis
from exchange.wire.numbers import plain

HOUR_MS = 3_600_000
HOURS = 25
"""The hours that count: at least the last 24, whenever the present one began."""

_KEPT_HOURS = 8 * 24
"""The hours that are remembered. A clock that jumps ahead and back must not make signed buys forgotten."""

_ZERO = Decimal(0)
_SHARE = 100
"""The count is saved in steps of this part of the budget, so that most orders need no write."""


@dataclass(slots=True)
class Memory:
    """What the signer remembers across restarts.

    ``grant``: the digest of the last accepted move up; ``grant_seq``: the entry it names; ``cap_eur``: what is left of its cap.
    ``problem`` says why the file cannot be trusted; then nothing is granted, and queries and cancels still work.
    """

    grant: str = ""
    grant_seq: int = 0
    cap_eur: Decimal = _ZERO
    roster_version: int = 0
    buys: dict[int, Decimal] = field(default_factory=dict)
    problem: str = ""


class MemoryFile:
    """The signer's file, mode 0600, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Memory:
        """What was saved last; an empty memory when there is no file, and one with a ``problem`` when it cannot be read."""
        try:
            text = self._path.read_text(encoding="ascii")
        except FileNotFoundError:
            return Memory()
        except (OSError, UnicodeDecodeError) as error:
            return Memory(problem=f"{self._path} cannot be read: {error}")
        try:
            saved = json.loads(text)
            buys = {int(hour): Decimal(amount) for hour, amount in saved["buys"].items()}
            return Memory(
                str(saved["grant"]), int(saved["grant_seq"]), Decimal(saved["cap_eur"]), int(saved["roster_version"]), buys
            )
        except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
            return Memory(problem=f"{self._path} is damaged: {type(error).__name__}")

    def save(self, memory: Memory, *, durable: bool) -> None:
        """Replace the file, unless it has a problem that a person must look at.

        ``durable`` also waits for the disk; without it what is saved survives the process, not the host.

        Raises:
            OSError: it could not be written.
        """
        if memory.problem:
            return
        saved = {
            "grant": memory.grant,
            "grant_seq": memory.grant_seq,
            "cap_eur": plain(memory.cap_eur),
            "roster_version": memory.roster_version,
            "buys": {str(hour): plain(amount) for hour, amount in memory.buys.items()},
        }
        beside = self._path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            json.dump(saved, file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(self._path)


class Buys:
    """Counts the notional of signed buys over a sliding day, in the quote asset."""

    def __init__(self, memory: Memory, file: MemoryFile) -> None:
        self._memory = memory
        self._file = file
        self._signed = dict(memory.buys)

    def check(self, notional: Decimal, budget: Decimal, now: Millis) -> None:
        """Check that one more buy stays within the budget.

        Raises:
            Refused: ``signer-budget``.
        """
        spent = self._spent(now)
        if spent + notional > budget:
            raise refused(
                f"with this buy of {plain(notional)} the buys of a day would be {plain(spent + notional)}; the signer's limit is "
                f"{plain(budget)}",
                "signer-budget",
            )

    def budget(self, limit: Decimal, now: Millis) -> Budget:
        """What counts now, of at most ``limit``."""
        counted = self._since(now, HOURS)
        spent = sum(counted.values(), _ZERO)
        if not counted:
            return Budget(spent, limit, 0, _ZERO)
        oldest = min(counted)
        return Budget(spent, limit, (oldest + HOURS) * HOUR_MS, counted[oldest])

    def _spent(self, now: Millis) -> Decimal:
        return sum(self._since(now, HOURS).values(), _ZERO)

    def _since(self, now: Millis, hours: int) -> dict[int, Decimal]:
        oldest = now // HOUR_MS - hours
        return {hour: amount for hour, amount in self._signed.items() if hour > oldest}

    def add(self, notional: Decimal, budget: Decimal, now: Millis) -> None:
        """Count a buy before it is signed.

        Raises:
            OSError: the count could not be saved.
        """
        hour = now // HOUR_MS
        self._signed = self._since(now, _KEPT_HOURS)
        signed = self._signed[hour] = self._signed.get(hour, _ZERO) + notional
        if signed > self._memory.buys.get(hour, _ZERO):
            self._memory.buys = {**self._signed, hour: signed + budget / _SHARE}
            try:
                self._file.save(self._memory, durable=False)
            except OSError:
                # The next buy has to try to save it again.
                self._memory.buys.pop(hour, None)
                raise


class Rate:
    """At most one order every ``each_ns`` on average, and at most ``burst`` at once."""

    def __init__(self, each_ns: int, burst: int) -> None:
        self._each_ns = each_ns
        self._slack_ns = each_ns * burst
        self._due_ns = 0

    def take(self, now_ns: int) -> None:
        """Count one order. Raises ``Refused`` (``signer-rate``)."""
        due = max(self._due_ns, now_ns - self._slack_ns) + self._each_ns
        if due > now_ns:
            raise refused("the signer has signed too many orders in too short a time", "signer-rate")
        self._due_ns = due
