"""Watches a rehearsal: what architecture.md §11 promises, checked after every batch of the writer and every fill of a venue."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import partial

from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.rehearsal.scene import Rehearsal
from controller.runtime.assembly import Assembly
from controller.runtime.loop.writer import CommittedBatch
from exchange.matching.events import FillRecord
from policies.stage import Stage
from tests.support.campaign.promises import Promises


class Broken(AssertionError):
    """A promise that was not kept."""


class Watch:
    """Follows every writer of one rehearsal. ``seen`` counts what was checked; ``problems`` are promises that were broken."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.problems: list[str] = []
        self._folded: State | None = None
        self._admitted: set[str] = set()
        self._commands: set[str] = set()
        self._others = Promises(self._require, self.seen)

    def begin(self, rehearsal: Rehearsal) -> None:
        """Watch this rehearsal from its first start on."""
        rehearsal.controller.on_started = self._started
        for name, venue in rehearsal.venues.items():
            venue.venue.on_fill = partial(self._filled, name)

    def end(self, rehearsal: Rehearsal) -> None:
        """Compare what reached the venues with what was admitted, and look at what is left."""
        self._others.end(self._folded, rehearsal.folder, dict(rehearsal.venues))
        for name, inside in rehearsal.venues.items():
            for account, client_id, received, accepted in inside.venue.saved().receipts:
                self.seen["orders at a venue"] += 1
                if account != name or not client_id.startswith("gh-"):
                    continue
                self._require(client_id in self._admitted, f"1: {client_id} reached {name} and was never admitted")
                self._require(received <= 1, f"1: {client_id} reached {name} {received} times")
                self._require(accepted <= received, f"1: {client_id} was accepted {accepted} times at {name}")

    def _started(self, assembly: Assembly) -> None:
        # A start folds the journal anew, and its state is what the last batch left.
        self._others.started(self._folded, assembly.writer.state)
        self._folded = assembly.writer.state
        self.seen["starts"] += 1
        assembly.writer.add_follower(self._batch)

    def _batch(self, batch: CommittedBatch) -> None:
        folded = self._folded
        assert folded is not None
        for entry, event in batch.entries:
            self._event(folded, event)
            self._others.entry(folded, entry, event)
            folded = apply(folded, event, entry.at)
        self._folded = folded
        self.seen["batches"] += 1
        self._require(folded == batch.after, "5: the fold of the journal is not the running state")
        self._others.batch(folded)

    def _event(self, before: State, event: e.Event) -> None:
        self.seen["events"] += 1
        match event:
            case e.OrderAdmitted():
                stage = before.position.stage
                self._admitted.add(event.client_id)
                selling = before.flatten is not None
                self._require(stage is not Stage.HALTED or selling, f"3: {event.client_id} was admitted while HALTED")
                within = event.side.value == "SELL" or Decimal(event.exposure_eur) <= Decimal(event.cap_eur)
                self._require(
                    within, f"2: {event.client_id} takes the exposure to {event.exposure_eur}, the cap is {event.cap_eur}"
                )
                self._require(before.armed or selling, f"3: {event.client_id} was admitted while not armed")
            case e.CommandAccepted():
                self._require(event.command_id not in self._commands, f"9: {event.command_id} was applied twice")
                self._commands.add(event.command_id)
            case _:
                pass

    def _filled(self, venue: str, record: FillRecord) -> None:
        self.seen["fills"] += 1
        client_id = record.fill.client_id
        self._require(client_id in self._admitted, f"1: {client_id} traded at {venue} before it was admitted")

    def _require(self, kept: bool, problem: str) -> None:
        if not kept and len(self.problems) < 20:
            self.problems.append(f"invariant {problem}")
