"""``Decision`` and its replies, and the ``Draft`` that collects a decision. Every module of decisions uses it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.decisions.held import NOTHING, Held, settled
from controller.core.effects import Effect, Latch
from controller.core.events import Event, Reconciled, Sampled
from controller.core.fold.apply import apply
from controller.core.state import State
from exchange.model import Millis
from policies.limit_types import Deny


@dataclass(frozen=True, slots=True)
class Admitted:
    """The order is admitted; the caller waits for the venue's answer."""

    client_id: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """The bot sent this order before, under this client id. ``client_id`` names it; no second order is placed."""

    client_id: str


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The outcome of a command. ``code`` is empty when it was applied; ``result`` is the canonical result of its gate, if any.

    ``applies_at``: the command waits. At this time it is judged again and applied, unless it is vetoed before.
    """

    code: str = ""
    message: str = ""
    remedy: str = ""
    exit_code: int = 0
    result: str = ""
    applies_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class SealReply:
    """The evidence of a proposal. All fields are empty when no gate guards the edge.

    ``unsealed``: its canonical text, when it was asked for without sealing it, and it passed; no other can ever be used.
    """

    evidence_digest: str
    result: str
    unsealed: str = ""


Reply = Admitted | Repeated | Deny | CommandReply | SealReply | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Events for the journal, effects to carry out afterwards, the state with the events applied, and the reply for the caller.

    ``held`` are the measurements that are held back after it, and ``measured`` those of them that it made itself, with their time.
    """

    after: State
    events: tuple[Event, ...]
    effects: tuple[Effect, ...]
    reply: Reply
    held: Held = NOTHING
    measured: tuple[Event, ...] = ()


class Draft:
    """Collects a decision. Every event is folded at once, so later steps of the same decision see it.

    What is ``held`` back is folded in from the beginning. Without ``held`` nothing is held back: every measurement is journalled.
    """

    def __init__(self, before: State, now: Millis, held: Held | None = None) -> None:
        self.after = before if held is None else held.over(before, now)
        self.now = now
        self._before = before
        self._held = held
        self._due = False
        self._events: list[Event] = []
        self._effects: list[Effect] = []

    def emit(self, event: Event) -> None:
        """Add an event and apply it to ``after``."""
        self._events.append(event)
        self.after = apply(self.after, event, self.now)

    def do(self, effect: Effect) -> None:
        """Add an effect, to be carried out once the events are durable. A latch goes before all other effects."""
        self._effects.insert(0 if isinstance(effect, Latch) else len(self._effects), effect)

    def hold_nothing(self) -> None:
        """Let the journal get what is held back, whatever this decision brings."""
        self._due = True

    def done(self, reply: Reply = None) -> Decision:
        """Return the finished decision."""
        new, effects, held = tuple(self._events), tuple(self._effects), self._held
        if held is None:
            return Decision(self.after, new, effects, reply)
        if not new and not self._due:
            return Decision(self._before, (), effects, reply, held)
        if effects or self._due:
            known = held.all_written(new, self.now, self._before)
            return Decision(self.after, (*held.events(self.now), *new), effects, reply, known)
        written, kept, after = settled(self._before, held, new, self.after, self.now)
        shown = (event for event in new if isinstance(event, Sampled | Reconciled)) if kept else ()
        measured = tuple(event.model_copy(update={"taken_at": self.now}) for event in shown)
        return Decision(after, written, (), reply, kept, measured)
