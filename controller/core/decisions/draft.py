"""What a decision is made of, and the scratch pad it is made on."""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.effects import Effect, Latch
from controller.core.events import Event
from controller.core.fold.apply import apply
from controller.core.state import State
from exchange.model import Millis
from policies.limit_types import Deny


@dataclass(frozen=True, slots=True)
class Admitted:
    """The order is in; the caller waits for its outcome."""

    client_id: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """The bot used this id before; here is the first order, and there is no second."""

    client_id: str


@dataclass(frozen=True, slots=True)
class CommandReply:
    """What became of a command. ``code`` is empty when it was applied; ``result`` is the canonical result of its gate, if any.

    ``applies_at``: it was not applied yet, but will be judged again and applied then, unless somebody vetoes it.
    """

    code: str = ""
    message: str = ""
    remedy: str = ""
    exit_code: int = 0
    result: str = ""
    applies_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class SealReply:
    """The evidence sealed for a proposal; empty where no gate guards the edge."""

    evidence_digest: str
    result: str


Reply = Admitted | Repeated | Deny | CommandReply | SealReply | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Events to remember, effects to carry out afterwards, the state with the events applied, and the answer for whoever asked."""

    after: State
    events: tuple[Event, ...]
    effects: tuple[Effect, ...]
    reply: Reply


class Draft:
    """Collects a decision. Every event is folded at once, so later reasoning in the same decision sees it."""

    def __init__(self, before: State, now: Millis) -> None:
        self.after = before
        self.now = now
        self._events: list[Event] = []
        self._effects: list[Effect] = []

    def emit(self, event: Event) -> None:
        """Decide that this happened."""
        self._events.append(event)
        self.after = apply(self.after, event, self.now)

    def do(self, effect: Effect) -> None:
        """Decide that this must be carried out once the events are durable; a latch goes before all else."""
        self._effects.insert(0 if isinstance(effect, Latch) else len(self._effects), effect)

    def done(self, reply: Reply = None) -> Decision:
        """The finished decision."""
        return Decision(self.after, tuple(self._events), tuple(self._effects), reply)
