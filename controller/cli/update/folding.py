"""Reads a whole journal with this version of gatehouse: the chain, and what each entry means. ``checks`` calls it.

It takes no lock and writes nothing, so the controller of another version can run meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from controller.cli.journal.checkpoints import public_key_of
from controller.cli.journal.files import opened, place_in, progressing
from controller.core import event_codec
from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import Entry
from controller.journal.verify import VerifyReport, verify_journal
from controller.settings.deployment import load_settings
from exchange.errors import GatehouseError, IntegrityError

VERSIONS_MOST = 20


@dataclass(slots=True)
class Folded:
    """How far this version came. ``reached`` is the state there. ``problem`` is the error of the first entry that it cannot read or
    fold, and ``at`` the number of that entry.

    ``versions`` are those that started a controller on this journal, oldest first, at most ``VERSIONS_MOST``.
    """

    reached: State = State()
    problem: GatehouseError | None = None
    at: int = 0
    versions: list[str] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        """Fold one entry. Raises ``IntegrityError``, with which ``verify_journal`` ends the walk there."""
        try:
            event = event_codec.decode(entry.kind, entry.body)
            self.reached = apply(self.reached, event, entry.at)
        except GatehouseError as error:
            self.problem, self.at = error, entry.seq
            raise IntegrityError(error.message, code=error.code, remedy=error.remedy) from error
        if isinstance(event, e.ControllerStarted) and event.gatehouse_version not in self.versions[-1:]:
            self.versions = [*self.versions, event.gatehouse_version][-VERSIONS_MOST:]


def fold_deployment(directory: Path) -> tuple[Folded, VerifyReport]:
    """Verify and fold the journal of a deployment, in one pass.

    With an archive missing the report names it, and nothing is folded: the entries in it come before the others.

    Raises:
        JournalError: there is no journal, or it cannot be opened.
        ConfigError: as ``load_settings`` and ``read_secret``.
    """
    folded = Folded()
    with opened(directory) as reader, progressing("reading", reader.head.seq - reader.readable_after) as step:
        whole = not reader.missing

        def inspect(entry: Entry) -> None:
            if whole:
                folded.take(entry)
            step(entry)

        report = verify_journal(
            place_in(directory),
            load_settings(directory).controller_id,
            monotonic_ns=time.monotonic_ns,
            inspect=inspect,
            key=public_key_of(directory),
        )
    return folded, report
