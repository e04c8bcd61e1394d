"""Permits to place new orders: short, renewed by the writer, and revoked at once by a latch (architecture.md §3).

A venue client checks its permit before it signs an order. Every check asks the office that issued it, so a revocation takes effect
without a message.

Two things stop every order. The latch is the writer's: it falls with a halt and only the writer opens it. A suspension belongs to
who made it, on any thread, and ends when the same one lifts it. It serves a halt that the writer has not decided yet, and a writer
that is late.

A latched office issues no permit, but a person may still sell what gatehouse bought (``gatehouse flatten``). Such a sale has a
permit of its own kind: for one order, named by its client id, for two seconds. The writer grants it, and the next latch revokes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, RLock

from exchange.ports import Clock
from exchange.threads import OwnThread

LIFETIME_NS = 5_000_000_000
"""How long a permit lives unless the writer renews it (architecture.md §3)."""


@dataclass(frozen=True, slots=True)
class IssuedPermit:
    """One permit. The office that issued it decides whether it is live."""

    office: PermitOffice
    epoch: int
    serial: int

    def is_live(self) -> bool:
        """Whether it may be used now."""
        return self.office.honours(self)

    def leave(self, write: Callable[[], None]) -> bool:
        """Write the first bytes of an order if this may be used now; see ``PermitOffice.leave``."""
        return self.office.leave(self.is_live, write)

    @property
    def deadline_ns(self) -> int:
        """The monotonic instant at which it ends unless it is renewed; 0 when it may not be used now. The signer checks it."""
        return self.office.deadline_ns(self)


_LEAVING_S = 0.5
"""How long a latch waits for an order that is being written by another thread. Writing one takes some 50 µs."""

EXIT_LIFETIME_NS = 2_000_000_000
"""How long a permit for one sale lives at most."""


@dataclass(frozen=True, slots=True)
class IssuedExitPermit:
    """A permit for one sale of the controller's own. The office that issued it decides whether it is live."""

    office: PermitOffice
    epoch: int
    client_id: str

    def is_live(self) -> bool:
        """Whether it may be used now."""
        return self.office.honours_exit(self)

    def leave(self, write: Callable[[], None]) -> bool:
        """Write the first bytes of a sale if this may be used now; see ``PermitOffice.leave``."""
        return self.office.leave(self.is_live, write)

    @property
    def deadline_ns(self) -> int:
        """The monotonic instant at which it ends; 0 when it may not be used now. The signer checks it."""
        return self.office.exit_deadline_ns(self)


class PermitOffice:
    """Issues one permit at a time. While latched it issues none; the writer unlatches it after a signed resume or reset."""

    def __init__(self, clock: Clock, epoch: int) -> None:
        self._clock = clock
        self._epoch = epoch
        self._serial = 0
        self._deadline_ns = 0
        self._latched_because = ""
        self._suspensions: dict[str, str] = {}
        self._suspending = Lock()
        self._leaving = RLock()
        self._thread = OwnThread("the permit office")
        self._latched_ns = -1
        self._exit_client_id = ""
        self._exit_deadline_ns = 0
        self._conditions: tuple[Callable[[], str], ...] = ()

    @property
    def latched_because(self) -> str:
        """Why no permit is issued; empty while the office is not latched."""
        return self._latched_because

    @property
    def suspended_because(self) -> str:
        """Why no permit counts although none is revoked; empty while nobody suspends them."""
        return "; ".join((*self._suspensions.values(), *filter(None, (condition() for condition in self._conditions))))

    def suspended_by(self, who: str) -> str:
        """Why ``who`` suspends the permits now; empty when it does not. Any thread may call it."""
        return self._suspensions.get(who, "")

    def require(self, condition: Callable[[], str]) -> None:
        """Let no permit count while ``condition`` names a reason. It is asked for every permit, so it must be quick.

        Unlike a suspension it needs nobody who runs at the right moment: a process that was stopped is judged when it goes on.
        """
        self._conditions = (*self._conditions, condition)

    def suspend(self, who: str, because: str) -> None:
        """Let no permit count until ``who`` lifts this. Any thread may call it; it needs no lock that the event loop holds."""
        with self._suspending:
            self._suspensions = {**self._suspensions, who: because or who}
        self._let_it_leave()

    def lift(self, who: str) -> None:
        """End the suspension that ``who`` made, if there is one. Any thread may call it."""
        with self._suspending:
            self._suspensions = {one: because for one, because in self._suspensions.items() if one != who}

    def latch(self, reason: str) -> int:
        """Revoke every permit and issue no more. Returns the instant of the latch, monotonic nanoseconds."""
        self.lapse()
        self._latched_because = reason or "latched"
        self._let_it_leave()
        self._latched_ns = self._clock.monotonic_ns()
        return self._latched_ns

    def unlatch(self) -> None:
        """Allow issuing again. Only the writer calls it, after the journal holds the command that allows it."""
        self._thread.check()
        self._latched_because = ""

    def renew(self, most_ns: int | None = None) -> None:
        """Extend the current permit, or issue a new one when it has expired. Does nothing while latched.

        ``most_ns`` is the monotonic instant at which the permit ends at the latest; its lease allows no more
        (``controller.journal.lease``).
        """
        self._thread.check()
        if self._latched_because:
            return
        now = self._clock.monotonic_ns()
        if self._deadline_ns <= now:
            self._serial += 1
        self._deadline_ns = now + LIFETIME_NS if most_ns is None else min(now + LIFETIME_NS, most_ns)

    def lapse(self) -> None:
        """Revoke every permit without latching: the next renewal issues a new one."""
        self._deadline_ns = 0
        self._exit_deadline_ns = 0

    def leave(self, is_live: Callable[[], bool], write: Callable[[], None]) -> bool:
        """Call ``write`` if ``is_live`` says yes, and return what it said.

        A latch or a suspension of another thread returns only when no order is between the two, so an order that leaves has left
        before the instant of the latch. ``write`` must not wait.
        """
        with self._leaving:
            if not is_live():
                return False
            write()
            return True

    def _let_it_leave(self) -> None:
        # Its own limit keeps a stop from waiting for ever behind a thread that a debugger or a dead disk holds.
        if self._leaving.acquire(timeout=_LEAVING_S):
            self._leaving.release()

    def current(self) -> IssuedPermit:
        """The current permit; it may have expired."""
        return IssuedPermit(self, self._epoch, self._serial)

    def honours(self, permit: IssuedPermit) -> bool:
        """Whether ``permit`` may be used now."""
        return (
            not self._latched_because
            and not self._suspensions
            and permit.epoch == self._epoch
            and permit.serial == self._serial
            and self._clock.monotonic_ns() < self._deadline_ns
            and not any(condition() for condition in self._conditions)
        )

    def grant_exit(self, client_id: str, *, decided_ns: int, until_ns: int) -> None:
        """Allow one sale, also while latched. Only the writer calls it, after the journal holds the order.

        ``decided_ns`` is when deciding that order began. A latch after it means that the sale was stopped meanwhile, so it is not
        allowed.
        """
        self._thread.check()
        if self._latched_ns < decided_ns:
            self._exit_client_id = client_id
            self._exit_deadline_ns = min(decided_ns + EXIT_LIFETIME_NS, until_ns)

    def exit_permit(self, client_id: str) -> IssuedExitPermit:
        """The permit for one sale; it is live only if the writer has granted it."""
        return IssuedExitPermit(self, self._epoch, client_id)

    def honours_exit(self, permit: IssuedExitPermit) -> bool:
        """Whether a permit for one sale may be used now. A latch revokes it, and a suspension stops it; an older latch does not."""
        return (
            not self._suspensions
            and permit.epoch == self._epoch
            and permit.client_id == self._exit_client_id
            and self._clock.monotonic_ns() < self._exit_deadline_ns
        )

    def deadline_ns(self, permit: IssuedPermit) -> int:
        """When ``permit`` ends unless it is renewed; 0 when it may not be used now."""
        return self._deadline_ns if self.honours(permit) else 0

    def exit_deadline_ns(self, permit: IssuedExitPermit) -> int:
        """When a permit for one sale ends; 0 when it may not be used now."""
        return self._exit_deadline_ns if self.honours_exit(permit) else 0
