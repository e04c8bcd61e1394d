"""Opens and reads a deployment's journal, with a progress bar for long reads. Every verb that reads the journal calls this."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from controller.cli.shared.output import stderr
from controller.journal.chain import Entry
from controller.journal.location import JournalLocation
from controller.journal.port import StoredJournal
from controller.settings.deployment import journal_location, load_settings

_POLL_SECONDS = 0.5


def place_in(directory: Path) -> JournalLocation:
    """Where a deployment's journal is."""
    return journal_location(directory, load_settings(directory))


@contextmanager
def opened(directory: Path) -> Iterator[StoredJournal]:
    """The journal, open for reading."""
    reader = place_in(directory).read()
    try:
        yield reader
    finally:
        reader.close()


def readable_after(reader: StoredJournal) -> int:
    """The entry after which every entry can be read. If it is not 0, standard error says which are left out."""
    if reader.missing:
        ranges = ", ".join(f"{one.title} ({one.file})" for one in reader.missing)
        stderr().print(f"not searched, because the archive is not here: {ranges}", style="yellow", markup=False)
    return reader.readable_after


def last_entries(directory: Path, limit: int, kinds: frozenset[str]) -> list[Entry]:
    """The last entries, oldest first; of some kinds only, if any are named."""
    with opened(directory) as reader:
        after = max(readable_after(reader) if kinds else reader.readable_after, 0 if kinds else reader.head.seq - limit)
        return list(deque((entry for entry in reader.read(after) if not kinds or entry.kind in kinds), maxlen=limit))


def follow_entries(directory: Path, kinds: frozenset[str]) -> Iterator[Entry]:
    """New entries as they are appended; it does not end."""
    with opened(directory) as reader:
        after = reader.head.seq
        while True:
            for entry in reader.read(after):
                after = entry.seq
                if not kinds or entry.kind in kinds:
                    yield entry
            time.sleep(_POLL_SECONDS)


@contextmanager
def progressing(what: str, total: int) -> Iterator[Callable[[Entry], Entry]]:
    """A function that returns each entry and moves a progress bar of ``total`` steps."""
    with _progress() as progress:
        task = progress.add_task(what, total=total)

        def step(entry: Entry) -> Entry:
            progress.advance(task)
            return entry

        yield step


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A function that moves a progress bar of ``total`` steps by a number of steps."""
    with _progress() as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.advance(task, steps)


def _progress() -> Progress:
    console = stderr()
    columns = ("[dim]{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
