"""A desk whose measurements are held back as the writer holds them, beside one that journals each (ADR 42)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from controller.core import event_codec
from controller.core import inputs as i
from controller.core.decide import decide
from controller.core.decisions.draft import Decision
from controller.core.decisions.held import NOTHING, Held
from controller.core.fold.apply import apply
from controller.core.state import Ledger, State
from tests.support.desk import Desk


class HoldingDesk(Desk):
    """A desk that holds measurements back. ``state`` is the fold of its journal; ``now_seen`` is the state with what is held."""

    held: Held

    @classmethod
    def of(cls, desk: Desk) -> HoldingDesk:
        """A copy of a desk that holds back from now on."""
        made = cls.__new__(cls)
        made.__dict__.update(desk.fork().__dict__)
        made.held = NOTHING
        return made

    @property
    def now_seen(self) -> State:
        """What a decision would see now."""
        return self.held.over(self.state, self.now)

    def give(self, input_: i.Input) -> Decision:
        decision = decide(self.state, input_, self.now, self.held)
        folded = self.state
        for event in decision.events:
            assert event_codec.decode(event.kind, event_codec.encode(event)) == event
            folded = apply(folded, event, self.now)
            self.journal.append((event, self.now))
        assert folded == decision.after
        self.state, self.held = decision.after, decision.held
        self.decisions.append(decision)
        return decision

    def die(self) -> None:
        """The process ends, and another one starts from the journal."""
        self.held = NOTHING
        self.boot()


class Pair:
    """The same history twice: every measurement journalled, and held back."""

    def __init__(self, desk: Desk) -> None:
        self.plain, self.holding = desk.fork(), HoldingDesk.of(desk)

    def both(self, act: Callable[[Desk], object]) -> None:
        """Let the same happen to both."""
        act(self.plain)
        act(self.holding)


_BY_NUMBER = {"trades", "ids"}
"""The fields of a ledger that hold numbers of entries."""


def judged(state: State) -> dict[str, object]:
    """What gates, guards, limits and views read of a state, without what counts entries."""
    ledgers = {name: _figures(ledger) for name, ledger in state.ledgers.items()}
    names = (
        "position",
        "armed",
        "guard_level",
        "guard_reason",
        "guard",
        "reducing",
        "breach_window",
        "halt_reason",
        "drill",
        "tally",
        "uncovered",
        "unseen",
    )
    return {"ledgers": ledgers, "open": dict(state.open), **{name: getattr(state, name) for name in names}}


def _figures(ledger: Ledger) -> dict[str, object]:
    return {item.name: getattr(ledger, item.name) for item in fields(ledger) if item.name not in _BY_NUMBER}
