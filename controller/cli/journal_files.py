"""Reading a deployment's journal file from the command line, with progress where it may take long."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from controller.authority.keys import load_key
from controller.cli.output import stderr
from controller.events import decode
from controller.journal.chain import Entry
from controller.journal.checkpoint import Publication, checkpoint_key, parse_checkpoint, publish, sign_checkpoint, take_checkpoint
from controller.journal.merkle import MerkleTree
from controller.journal.note import NoteKey
from controller.journal.place import Place
from controller.journal.port import StoredJournal
from controller.journal.verify import VerifyReport, verify_journal
from controller.settings import journal_place, load_settings
from exchange.errors import ConfigError, IntegrityError, UsageError

_POLL_SECONDS = 0.5


def place_in(directory: Path) -> Place:
    """Where a deployment's journal is."""
    return journal_place(directory, load_settings(directory))


@contextmanager
def opened(directory: Path) -> Iterator[StoredJournal]:
    """The journal, open for reading."""
    reader = place_in(directory).read()
    try:
        yield reader
    finally:
        reader.close()


def verify_deployment(directory: Path, checkpoints: Sequence[Path], key_text: str | None) -> VerifyReport:
    """Verify a deployment's journal down to the meaning of every entry.

    Raises:
        IntegrityError: ``journal-broken``, naming the first entry that is wrong.
    """
    place = place_in(directory)
    anchors = [parse_checkpoint(_text(file), _note_key(key_text)) for file in checkpoints]
    with opened(directory) as reader:
        total = reader.head.seq
    with _progress() as progress:
        task = progress.add_task("verifying", total=total)

        def inspect(entry: Entry) -> None:
            decode(entry.kind, entry.body)
            progress.advance(task)

        controller_id = load_settings(directory).controller_id
        report = verify_journal(place, controller_id, monotonic_ns=time.monotonic_ns, checkpoints=anchors, inspect=inspect)
    if report.first_problem is not None:
        problem = report.first_problem
        raise IntegrityError(
            f"{problem.message} ({problem.fault}; {report.entries} entries before it are good)",
            code="journal-broken",
            remedy="Halt, keep the file as it is for inquiry, and restore the journal from a verified backup.",
        )
    return report


def last_entries(directory: Path, limit: int, kinds: frozenset[str]) -> list[Entry]:
    """The last entries, oldest first; of some kinds only, if any are named."""
    with opened(directory) as reader:
        after = 0 if kinds else max(0, reader.head.seq - limit)
        return list(deque((entry for entry in reader.read(after) if not kinds or entry.kind in kinds), maxlen=limit))


def follow_entries(directory: Path, kinds: frozenset[str]) -> Iterator[Entry]:
    """Entries as they are appended, for ever."""
    with opened(directory) as reader:
        after = reader.head.seq
        while True:
            for entry in reader.read(after):
                after = entry.seq
                if not kinds or entry.kind in kinds:
                    yield entry
            time.sleep(_POLL_SECONDS)


def signed_checkpoint(directory: Path, key: Path, witnesses: Sequence[Path]) -> tuple[str, str, tuple[Publication, ...]]:
    """A signed checkpoint of the journal as it is now, the public key's text, and who took it."""
    private = load_key(key)
    tree = MerkleTree()
    with opened(directory) as reader, _progress() as progress:
        controller_id = reader.controller_id
        task = progress.add_task("hashing", total=reader.head.seq)
        for entry in reader.read():
            tree.append(entry.hash)
            progress.advance(task)
    public = checkpoint_key(controller_id, private)
    note = sign_checkpoint(take_checkpoint(controller_id, tree), private)
    return note, public.text, publish(note, controller_id, public, witnesses)


@contextmanager
def progressing(what: str, total: int) -> Iterator[Callable[[Entry], Entry]]:
    """A function to pass entries through, which moves a bar of ``total``."""
    with _progress() as progress:
        task = progress.add_task(what, total=total)

        def step(entry: Entry) -> Entry:
            progress.advance(task)
            return entry

        yield step


def _progress() -> Progress:
    console = stderr()
    columns = ("[dim]{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _note_key(text: str | None) -> NoteKey:
    if text is None:
        raise UsageError("a checkpoint needs the key it is signed with", code="usage", remedy="Add --checkpoint-key TEXT.")
    return NoteKey.parse(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", code="file-unreadable", remedy="Give a checkpoint file.") from None
