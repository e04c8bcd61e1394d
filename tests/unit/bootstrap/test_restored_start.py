"""What a start concludes after a restore: it halts, and says what the copy lacks; what else contradicts ends the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.bootstrap.first_halt import MarkPlaces, open_high_water
from controller.bootstrap.restored import follow_restored, halt_of_restored, require_checkpoint_key, verified_as_restored
from controller.core import event_codec
from controller.core.causes import Cause
from controller.core.events import Armed, ControllerStarted
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.journal.chain import Record
from controller.journal.checkpoint import Anchor, take_checkpoint
from controller.journal.merkle import MerkleTree
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.journal.verify import VerifyReport, verify_journal
from controller.runtime.followers.high_water import MarkOwner
from controller.runtime.followers.latchfile import LatchFile
from controller.runtime.loop.writer import CommittedBatch
from controller.runtime.recovery.old_roster import OldRoster, read_old_roster, write_old_roster
from controller.runtime.recovery.restored import FILE_NAME, RestoredMark, read_restored, write_restored
from exchange.errors import ConfigError
from exchange.model import Millis
from policies.stage import Stage
from policies.values import replace

STARTED = ControllerStarted(epoch=1, gatehouse_version="1", high_water=True)


def written(path: Path, count: int) -> SqliteJournal:
    journal = open_journal(path, "desk")
    for event in (STARTED, *(Armed() for _ in range(count - 1))):
        journal.append([Record(event.kind, event_codec.encode(event))], Millis(1))
    return journal


def checkpoint_of(journal: SqliteJournal, size: int, *, of: str = "desk") -> Anchor:
    tree = MerkleTree()
    for entry in journal.read(limit=size):
        tree.append(entry.hash)
    return Anchor("the target", take_checkpoint(of, tree))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "var").mkdir()
    return tmp_path / "var"


@pytest.fixture
def copy(data: Path) -> Iterator[SqliteJournal]:
    """The journal as it was copied, of three entries."""
    with closing(written(data / "journal.db", 3)) as journal:
        yield journal


@pytest.fixture
def original(tmp_path: Path) -> Iterator[SqliteJournal]:
    """The journal that went on, to five entries."""
    with closing(written(tmp_path / "original.db", 5)) as journal:
        yield journal


def marked(data: Path, journal: SqliteJournal) -> RestoredMark:
    mark = RestoredMark("copy.age", journal.head.seq, journal.head.hash, Millis(1_000), Millis(2_000))
    write_restored(data, mark)
    return mark


def places(data: Path, elsewhere: Path | None = None) -> MarkPlaces:
    return MarkPlaces(data, elsewhere, MarkOwner("desk", frozenset({str(data.parent)}), frozenset()))


def verified(data: Path, *anchors: Anchor, mark: RestoredMark | None) -> tuple[VerifyReport, tuple[Anchor, ...]]:
    def verify(*, checkpoints: tuple[Anchor, ...]) -> VerifyReport:
        return verify_journal(data / "journal.db", "desk", monotonic_ns=lambda: 0, checkpoints=checkpoints)

    return verified_as_restored(verify, anchors, mark)


def batch(journal: SqliteJournal, stage: Stage) -> CommittedBatch:
    entry = next(journal.read())
    state = replace(State(), position=Position(stage))
    return CommittedBatch(((entry, Armed()),), state, 0, 0, 0)


def test_a_restored_journal_halts_once(data: Path, copy: SqliteJournal) -> None:
    marked(data, copy)
    halt = halt_of_restored(places(data), LatchFile(data / "latch"), copy, ())
    assert halt is not None
    assert halt.request.cause is Cause.RESTORED
    assert "ends at entry 3, written at 1970-01-01 00:00:01 UTC" in halt.request.reason
    latch = LatchFile(data / "latch").read()
    assert latch is not None
    assert latch.halted


def test_a_journal_that_was_not_restored_does_not_halt(data: Path, copy: SqliteJournal) -> None:
    assert halt_of_restored(places(data), LatchFile(data / "latch"), copy, ()) is None


def test_a_later_checkpoint_says_how_much_is_lost(data: Path, copy: SqliteJournal, original: SqliteJournal) -> None:
    mark, later = marked(data, copy), checkpoint_of(original, 5)
    report, lost = verified(data, later, mark=mark)
    assert (report.first_problem, lost) == (None, (later,))
    halt = halt_of_restored(places(data), LatchFile(data / "latch"), copy, lost)
    assert halt is not None
    assert (halt.request.cause, halt.stays) == (Cause.RESTORED_OLDER, True)
    assert "the target knows 2 later entries" in halt.request.reason


def test_without_a_mark_a_later_checkpoint_is_a_problem(data: Path, copy: SqliteJournal, original: SqliteJournal) -> None:
    report, lost = verified(data, checkpoint_of(original, 5), mark=None)
    assert report.first_problem is not None
    assert lost == ()


def test_a_checkpoint_of_the_copied_part_has_to_agree(data: Path, copy: SqliteJournal, tmp_path: Path) -> None:
    mark = marked(data, copy)
    with closing(open_journal(tmp_path / "other.db", "desk")) as other:
        other.append([Record("armed", b"{}") for _ in range(3)], Millis(9))
        report, lost = verified(data, checkpoint_of(other, 3), mark=mark)
    assert report.first_problem is not None
    assert lost == ()


def test_a_mark_of_this_host_says_what_is_lost(data: Path, copy: SqliteJournal, original: SqliteJournal, tmp_path: Path) -> None:
    elsewhere = tmp_path / "state"
    open_high_water(places(tmp_path / "old", elsewhere), original, None)
    marked(data, copy)
    halt = halt_of_restored(places(data, elsewhere), LatchFile(data / "latch"), copy, ())
    assert halt is not None
    assert (halt.request.cause, halt.stays) == (Cause.RESTORED_OLDER, False)
    assert "knows 2 later entries" in halt.request.reason


@pytest.mark.parametrize(("witnessed", "waits"), [(0, True), (3, False)])
def test_a_checkpoint_outside_the_folder_proves_the_roster(data: Path, copy: SqliteJournal, witnessed: int, waits: bool) -> None:
    marked(data, copy)
    write_old_roster(data, OldRoster(confirmed=False))
    halt = halt_of_restored(places(data), LatchFile(data / "latch"), copy, (), witnessed)
    assert halt is not None
    assert (read_old_roster(data) is not None) == waits == ("gatehouse backup confirm" in halt.request.reason)


def test_lost_entries_leave_the_roster_in_doubt(data: Path, copy: SqliteJournal, original: SqliteJournal) -> None:
    marked(data, copy)
    write_old_roster(data, OldRoster(confirmed=False))
    halt_of_restored(places(data), LatchFile(data / "latch"), copy, (checkpoint_of(original, 5),), witnessed=5)
    assert read_old_roster(data) == OldRoster(confirmed=False)


def test_a_mark_that_cannot_be_read_halts(data: Path, copy: SqliteJournal) -> None:
    (data / FILE_NAME).write_text("{")
    halt = halt_of_restored(places(data), LatchFile(data / "latch"), copy, ())
    assert halt is not None
    assert "cannot be read" in halt.request.reason


@pytest.mark.parametrize(
    ("stage", "stays", "kept"), [(Stage.HALTED, False, False), (Stage.MOCK, False, True), (Stage.HALTED, True, True)]
)
def test_the_mark_goes_once_the_halt_is_durable(data: Path, copy: SqliteJournal, stage: Stage, stays: bool, kept: bool) -> None:
    marked(data, copy)
    known = (checkpoint_of(copy, 3),) if stays else ()
    halt = halt_of_restored(places(data), LatchFile(data / "latch"), copy, known)
    followers = []
    follow_restored(data, halt, followers.append)
    for follower in followers:
        follower(batch(copy, stage))
    assert (read_restored(data) is not None) == kept


def test_a_restored_deployment_makes_no_new_checkpoint_key(data: Path, copy: SqliteJournal) -> None:
    require_checkpoint_key(data)
    marked(data, copy)
    with pytest.raises(ConfigError) as caught:
        require_checkpoint_key(data)
    assert caught.value.code == "no-checkpoint-key"
