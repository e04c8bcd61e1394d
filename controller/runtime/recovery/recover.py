"""Recovers the state at a start: fold the journal, then journal the start itself (architecture.md §7).

``controller.bootstrap`` calls it after the journal was verified. A journal that does not make sense stops the start; nothing is
repaired.
"""

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
    """The state after the start was journalled, the effects of the start, and how many entries were folded."""

    state: State
    effects: tuple[Effect, ...]
    folded: int

    @property
    def snapshot_seq(self) -> int:
        """The entry after which the newest snapshot was taken; a start that folds ``SAVE_AFTER`` entries takes one itself."""
        return self.state.seq - (self.folded if self.folded < SAVE_AFTER else 0)


def recover(
    journal: Journal,
    history: RecentHistory,
    boot: Boot,
    clock: Clock,
    on_entry: Callable[[Entry], None],
    snapshot: Snapshot | None = None,
) -> Recovered:
    """Fold every entry after ``snapshot``, then decide and journal the start. ``on_entry`` gets every entry, old and new.

    Raises:
        IntegrityError: this version cannot read an entry, or the journal is of another deployment.
        ConfigError: the documents on disk cannot be adopted.
    """
    state, folded = refold(journal, history, on_entry, snapshot)
    return begin(journal, state, history, boot, clock, on_entry, folded=folded)


def refold(
    journal: JournalReader, history: RecentHistory, on_entry: Callable[[Entry], None], snapshot: Snapshot | None = None
) -> tuple[State, int]:
    """The state after the last entry, and how many entries were folded for it.

    Raises:
        IntegrityError: this version cannot read an entry.
    """
    state = restored_state(journal, history, snapshot)
    last_seq = state.seq
    for entry in journal.read(last_seq):
        event = event_codec.decode(entry.kind, entry.body)
        state = apply(state, event, entry.at)
        history.record(entry, event, state)
        on_entry(entry)
    return state, state.seq - last_seq


def restored_state(journal: JournalReader, history: RecentHistory, snapshot: Snapshot | None) -> State:
    """The state that a fold continues from; fills ``history`` to match it."""
    if snapshot is None:
        return State()
    after = max(0, snapshot.seq - KEEP_ENTRIES, journal.readable_after)
    recent = journal.read(after, max(0, snapshot.seq - after))
    history.restore(snapshot.history, ((entry, event_codec.decode(entry.kind, entry.body)) for entry in recent))
    return snapshot.state


def begin(
    journal: Journal,
    state: State,
    history: RecentHistory,
    boot: Boot,
    clock: Clock,
    on_entry: Callable[[Entry], None],
    *,
    folded: int,
) -> Recovered:
    """Decide and journal the start on ``state``, the state after the journal's last entry.

    Raises:
        IntegrityError: the journal is of another deployment.
        ConfigError: the documents on disk cannot be adopted.
    """
    now = max(clock.now(), state.at)
    decision = decide(state, boot, now)
    entries = journal.append([Record(event.kind, event_codec.encode(event)) for event in decision.events], now)
    for entry, event in zip(entries, decision.events, strict=True):
        history.record(entry, event, decision.after)
        on_entry(entry)
    return Recovered(decision.after, decision.effects, folded)
