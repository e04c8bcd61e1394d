"""A start: verify the journal, fold it, take it over. What does not add up stops it; nothing is repaired (architecture.md §7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.core import event_codec
from controller.core.decide import decide
from controller.core.effects import Effect
from controller.core.fold.apply import apply
from controller.core.inputs import Boot
from controller.core.state import State
from controller.journal.chain import Entry, Record
from controller.journal.port import Journal, JournalReader
from controller.runtime.followers.recent import KEEP_ENTRIES, RecentHistory
from controller.runtime.recovery.snapshot import SAVE_AFTER, Snapshot
from exchange.ports import Clock


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state after the start was journalled, what the start asks to be done, and how many entries had to be folded."""

    state: State
    effects: tuple[Effect, ...]
    folded: int

    @property
    def snapshot_seq(self) -> int:
        """The entry after which the newest snapshot was taken; a start that folds much takes one itself."""
        return self.state.seq - (self.folded if self.folded < SAVE_AFTER else 0)


def recover(
    journal: Journal,
    memory: RecentHistory,
    boot: Boot,
    clock: Clock,
    seen: Callable[[Entry], None],
    snapshot: Snapshot | None = None,
) -> Recovered:
    """Fold every entry after ``snapshot``, then decide and journal the start itself. ``seen`` is shown each of them, old and new.

    Raises:
        IntegrityError: an entry this version cannot read, or a journal of another deployment.
        ConfigError: the documents on disk cannot be adopted.
    """
    state, folded = refold(journal, memory, seen, snapshot)
    return begin(journal, state, memory, boot, clock, seen, folded=folded)


def refold(
    journal: JournalReader, memory: RecentHistory, seen: Callable[[Entry], None], snapshot: Snapshot | None = None
) -> tuple[State, int]:
    """The state after the last entry, and how many entries had to be folded for it.

    Raises:
        IntegrityError: an entry this version cannot read.
    """
    state = resumed(journal, memory, snapshot)
    began = state.seq
    for entry in journal.read(began):
        event = event_codec.decode(entry.kind, entry.body)
        state = apply(state, event, entry.at)
        memory.remember(entry, event, state)
        seen(entry)
    return state, state.seq - began


def resumed(journal: JournalReader, memory: RecentHistory, snapshot: Snapshot | None) -> State:
    """The state a fold goes on from, with ``memory`` as it was then."""
    if snapshot is None:
        return State()
    recent = journal.read(max(0, snapshot.seq - KEEP_ENTRIES), min(snapshot.seq, KEEP_ENTRIES))
    memory.restore(snapshot.kept, ((entry, event_codec.decode(entry.kind, entry.body)) for entry in recent))
    return snapshot.state


def begin(
    journal: Journal, state: State, memory: RecentHistory, boot: Boot, clock: Clock, seen: Callable[[Entry], None], *, folded: int
) -> Recovered:
    """Decide and journal the start itself, on the ``state`` after the journal's last entry.

    Raises:
        IntegrityError: a journal of another deployment.
        ConfigError: the documents on disk cannot be adopted.
    """
    now = max(clock.now(), state.at)
    decision = decide(state, boot, now)
    entries = journal.append([Record(event.kind, event_codec.encode(event)) for event in decision.events], now)
    for entry, event in zip(entries, decision.events, strict=True):
        memory.remember(entry, event, decision.after)
        seen(entry)
    return Recovered(decision.after, decision.effects, folded)
