"""What a start concludes from the marks on its host about the journal that it has taken over."""

import errno
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.bootstrap.first_halt import FirstHalt, MarkPlaces, find_first_halt, halt_of_standby, open_high_water
from controller.core import event_codec
from controller.core.causes import Cause
from controller.core.effects import AlertKind
from controller.core.events import Armed, ControllerStarted, Event
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.journal.chain import Record
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.runtime.followers.high_water import HighWater, MarkOwner, forget_folder, mark_elsewhere, read_mark
from controller.runtime.followers.latchfile import KEPT, LatchFile, LatchMark, latch_elsewhere
from controller.runtime.loop.writer import CommittedBatch
from controller.settings.state_directory import state_directory
from exchange.model import Millis
from policies.stage import Stage
from policies.values import replace

BEFORE = ControllerStarted(epoch=1, gatehouse_version="1")
MARKED = BEFORE.model_copy(update={"high_water": True})


def opened(data: Path, *events: Event) -> SqliteJournal:
    journal = open_journal(data / "journal.db", "desk")
    journal.append([Record(event.kind, event_codec.encode(event)) for event in events], Millis(1))
    return journal


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "gatehouse"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "var").mkdir()
    return tmp_path / "var"


@pytest.fixture
def journal(data: Path) -> Iterator[SqliteJournal]:
    with closing(opened(data, MARKED, Armed(), Armed())) as found:
        yield found


def latch_of(data: Path) -> LatchFile:
    return LatchFile(data / "latch")


def places(data: Path, name: str = "desk", account: str = "sha256:1") -> MarkPlaces:
    """The marks of the deployment in whose folder ``data`` is."""
    return MarkPlaces(data, state_directory(), MarkOwner(name, frozenset({str(data.parent)}), frozenset({account})))


def begin_marks(data: Path, journal: SqliteJournal) -> HighWater:
    return open_high_water(places(data), journal, None)


def halt(data: Path, journal: SqliteJournal) -> FirstHalt | None:
    return find_first_halt(places(data), latch_of(data), journal)


def replaced_by(data: Path, journal: SqliteJournal, *events: Event) -> SqliteJournal:
    """Another journal in the place of this one."""
    journal.close()
    for path in data.glob("journal.db*"):
        path.unlink()
    return opened(data, *events)


def test_an_upgraded_journal_begins_its_marks_in_both_places(data: Path, state_home: Path) -> None:
    with closing(opened(data, BEFORE, Armed())) as journal:
        assert halt(data, journal) is None
        begin_marks(data, journal)
        head = journal.head
        outside = mark_elsewhere(state_home, "desk", journal.hash_at(1) or "")
    for path in (data / "high-water", outside):
        mark = read_mark(path)
        assert mark is not None
        assert (mark.seq, mark.hash) == (head.seq, head.hash)


def test_a_journal_with_its_marked_entry_starts(data: Path, journal: SqliteJournal) -> None:
    begin_marks(data, journal)
    journal.append([Record("armed", b"{}")], Millis(1))
    assert halt(data, journal) is None


@pytest.mark.parametrize("gone", ["high-water", "marks"])
def test_either_mark_alone_shows_that_the_end_is_missing(data: Path, journal: SqliteJournal, state_home: Path, gone: str) -> None:
    begin_marks(data, journal)
    for path in (data / "high-water", *(state_home / "marks").iterdir()):
        if gone in path.parts:
            path.unlink()
    with closing(replaced_by(data, journal, MARKED, Armed())) as shorter:
        found = halt(data, shorter)
    assert found is not None
    assert found.request.cause is Cause.INTEGRITY
    assert "the journal ends at entry 2, and entry 3 of it was written" in found.request.reason
    assert found.alert is not None
    assert (found.alert.kind, found.alert.detail) == (AlertKind.CHECKPOINT, found.request.reason)


def test_the_halt_is_in_the_latch_file_until_the_journal_holds_it(data: Path, journal: SqliteJournal) -> None:
    begin_marks(data, journal)
    with closing(replaced_by(data, journal, MARKED)) as shorter:
        found = halt(data, shorter)
        water = open_high_water(places(data), shorter, found)
    mark = latch_of(data).read()
    assert mark is not None
    assert (mark.halted, mark.seq) == (True, 0)
    kept = read_mark(data / "high-water")
    assert kept is not None
    assert (kept.seq, water) == (3, water)


def test_a_new_journal_in_the_place_of_one_that_was_marked_halts(data: Path, journal: SqliteJournal) -> None:
    begin_marks(data, journal)
    with closing(replaced_by(data, journal)) as empty:
        found = halt(data, empty)
    assert found is not None
    assert "the journal ends at entry 0, and entry 3 of it was written" in found.request.reason


def test_a_mark_that_was_removed_halts_where_one_was_kept(data: Path, journal: SqliteJournal, state_home: Path) -> None:
    begin_marks(data, journal)
    (data / "high-water").unlink()
    for path in (state_home / "marks").iterdir():
        path.unlink()
    found = halt(data, journal)
    assert found is not None
    assert f"{data / 'high-water'}, which names the highest entry of the journal, is gone" in found.request.reason


def test_a_first_start_halts_nothing(data: Path) -> None:
    with closing(opened(data)) as journal:
        assert halt(data, journal) is None


@pytest.mark.parametrize("earlier", [(), (BEFORE, Armed())])
def test_a_start_that_is_killed_once_it_is_journalled_halts_nothing(data: Path, earlier: tuple[Event, ...]) -> None:
    with closing(opened(data, *earlier)) as journal:
        assert halt(data, journal) is None
        assert begin_marks(data, journal).kept
        journal.append([Record(MARKED.kind, event_codec.encode(MARKED))], Millis(1))
    with closing(opened(data)) as journal:
        assert halt(data, journal) is None


def begun_anew(data: Path, *events: Event, name: str = "desk") -> SqliteJournal:
    """A journal with another first entry, in the place of the other one; the mark beside it fits it."""
    for path in (*data.glob("journal.db*"), data / "high-water"):
        path.unlink(missing_ok=True)
    journal = open_journal(data / "journal.db", name)
    journal.append([Record(event.kind, event_codec.encode(event)) for event in events], Millis(2))
    return journal


def test_a_journal_with_another_first_entry_halts(data: Path, journal: SqliteJournal) -> None:
    begin_marks(data, journal).on_batch(halted_at(journal))
    journal.close()
    with closing(begun_anew(data, MARKED, Armed())) as other:
        found = halt(data, other)
    assert found is not None
    assert found.request.cause is Cause.INTEGRITY
    assert "the journal ends at entry 2, and entry 3 of it was written" in found.request.reason
    assert "The journal that ran here before began with another entry" in found.request.reason


@pytest.mark.parametrize("name", ["desk", "other"])
def test_a_folder_is_known_under_another_name_and_account(data: Path, journal: SqliteJournal, name: str) -> None:
    begin_marks(data, journal)
    journal.close()
    with closing(begun_anew(data, MARKED, name=name)) as other:
        assert find_first_halt(places(data, name, "sha256:2"), latch_of(data), other) is not None


@pytest.mark.parametrize(
    ("name", "account", "halts"), [("desk", "sha256:1", True), ("desk", "sha256:2", False), ("other", "sha256:1", False)]
)
def test_in_another_folder_name_and_account_tell_together(
    data: Path, journal: SqliteJournal, tmp_path: Path, name: str, account: str, halts: bool
) -> None:
    begin_marks(data, journal)
    elsewhere = tmp_path / "second" / "var"
    elsewhere.mkdir(parents=True)
    with closing(begun_anew(elsewhere, BEFORE, name=name)) as other:
        found = find_first_halt(places(elsewhere, name, account), latch_of(elsewhere), other)
    assert (found is not None) == halts


def halted_at(journal: SqliteJournal) -> CommittedBatch:
    """The batch of a journal's last entry, HALTED."""
    entries = tuple((entry, Armed()) for entry in journal.read(journal.head.seq - 1))
    return CommittedBatch(entries, replace(State(), position=Position(Stage.HALTED)), 0, 0, 0)


def test_a_halt_in_the_new_journal_ends_the_search_for_the_old(data: Path, journal: SqliteJournal, state_home: Path) -> None:
    begin_marks(data, journal)
    journal.close()
    with closing(begun_anew(data, MARKED)) as other:
        found = halt(data, other)
        water = open_high_water(places(data), other, found)
        assert len(list((state_home / "marks").glob("*.owner"))) == 2
        other.append([Record(Armed.kind, event_codec.encode(Armed()))], Millis(3))
        water.on_batch(halted_at(other))
        latch_of(data).clear()
        assert halt(data, other) is None
        marked = mark_elsewhere(state_home, "desk", other.hash_at(1) or "")
    assert sorted((state_home / "marks").iterdir()) == [marked, marked.with_name(marked.name + ".owner")]


def test_a_deployment_that_is_made_anew_starts(data: Path, journal: SqliteJournal, state_home: Path) -> None:
    begin_marks(data, journal)
    journal.close()
    forget_folder(state_home, str(data.parent))
    with closing(begun_anew(data, BEFORE)) as other:
        assert halt(data, other) is None


def copied_latch(data: Path, state_home: Path) -> LatchFile:
    return LatchFile(data / "latch", latch_elsewhere(state_home, data.parent))


@pytest.mark.parametrize("mark", [LatchMark("enough", 0, halted=True), LatchMark(KEPT, 1, halted=True, seq=9, hash="sha256:9")])
def test_a_halt_outlives_its_file_in_the_folder(data: Path, journal: SqliteJournal, state_home: Path, mark: LatchMark) -> None:
    begin_marks(data, journal)
    copied_latch(data, state_home).put(mark)
    entry = LatchMark(KEPT, 1, halted=True, seq=1, hash=journal.hash_at(1) or "")
    for attack in (latch_of(data).clear, (data / "latch").unlink, lambda: latch_of(data).put(entry)):
        attack()
        found = find_first_halt(places(data), copied_latch(data, state_home), journal)
        assert found is not None
        copied_latch(data, state_home).put(mark)


def test_a_cleared_latch_file_is_cleared_in_both_places(data: Path, journal: SqliteJournal, state_home: Path) -> None:
    begin_marks(data, journal)
    copied_latch(data, state_home).put(LatchMark("enough", 0, halted=True))
    copied_latch(data, state_home).clear()
    assert find_first_halt(places(data), copied_latch(data, state_home), journal) is None


def test_marks_that_cannot_be_written_are_not_kept(data: Path, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runtime.followers.high_water._write", refuse)
    assert not begin_marks(data, journal).kept
    with closing(begun_anew(data, MARKED.model_copy(update={"unmarked": True}))) as other:
        assert halt(data, other) is None


def refuse(path: Path, *_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_mark_of_an_entry_that_no_journal_can_have_halts(data: Path, journal: SqliteJournal) -> None:
    (data / "high-water").write_text('{"seq": 99999999999999999999, "hash": "x"}')
    found = halt(data, journal)
    assert found is not None
    assert "entry 99999999999999999999 of it was written" in found.request.reason


def test_a_halt_that_the_journal_shows_demands_nothing_more(data: Path, journal: SqliteJournal) -> None:
    begin_marks(data, journal)
    kept = LatchMark("the deployment is HALTED", 1, halted=True, seq=2, hash=journal.hash_at(2) or "")
    latch_of(data).put(kept)
    assert halt(data, journal) is None
    assert latch_of(data).read() == kept
    assert halt_of_standby(latch_of(data), 1, journal.hash_at) == ""


@pytest.mark.parametrize(("seq", "digest"), [(9, "sha256:" + "9" * 64), (2, "sha256:" + "9" * 64)])
def test_a_journal_without_the_halt_of_the_latch_file_halts(data: Path, seq: int, digest: str) -> None:
    latch_of(data).put(LatchMark("the deployment is HALTED", 1, halted=True, seq=seq, hash=digest))
    with closing(opened(data, BEFORE, Armed())) as journal:
        assert halt_of_standby(latch_of(data), 1, journal.hash_at) == "the deployment is HALTED"
        found = halt(data, journal)
    assert found is not None
    assert found.request.cause is Cause.INTEGRITY
    assert f"the journal ends at entry 2, and it does not hold entry {seq}, at which" in found.request.reason
    assert found.alert is not None


def test_a_halt_without_a_journal_names_its_reason(data: Path, journal: SqliteJournal) -> None:
    begin_marks(data, journal)
    latch_of(data).put(LatchMark("enough", 0, halted=True))
    found = halt(data, journal)
    assert found is not None
    assert (found.request.cause, found.request.reason, found.alert) == (
        Cause.JOURNAL,
        "the last process here halted without a journal: enough",
        None,
    )
    assert halt_of_standby(latch_of(data), 1, journal.hash_at) == "enough"


def test_a_failure_before_another_controller_led_is_dropped(data: Path, journal: SqliteJournal) -> None:
    begin_marks(data, journal)
    latch_of(data).put(LatchMark("the disk is full", 0, halted=False))
    assert halt(data, journal) is None
    assert latch_of(data).read() is None
    assert halt_of_standby(latch_of(data), 1, journal.hash_at) == ""
