"""What a start concludes from the marks on its host about the journal that it has taken over."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.bootstrap.first_halt import FirstHalt, find_first_halt, halt_of_standby, open_high_water
from controller.core import event_codec
from controller.core.causes import Cause
from controller.core.effects import AlertKind
from controller.core.events import Armed, ControllerStarted, Event
from controller.journal.chain import Record
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.runtime.followers.high_water import mark_elsewhere, read_mark
from controller.runtime.followers.latchfile import LatchFile, LatchMark
from exchange.model import Millis

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


def halt(data: Path, journal: SqliteJournal) -> FirstHalt | None:
    return find_first_halt(data, latch_of(data), journal)


def replaced_by(data: Path, journal: SqliteJournal, *events: Event) -> SqliteJournal:
    """Another journal in the place of this one."""
    journal.close()
    for path in data.glob("journal.db*"):
        path.unlink()
    return opened(data, *events)


def test_an_upgraded_journal_begins_its_marks_in_both_places(data: Path, state_home: Path) -> None:
    with closing(opened(data, BEFORE, Armed())) as journal:
        assert halt(data, journal) is None
        open_high_water(data, journal, None)
        head = journal.head
        outside = mark_elsewhere(state_home, "desk", journal.hash_at(1) or "")
    for path in (data / "high-water", outside):
        mark = read_mark(path)
        assert mark is not None
        assert (mark.seq, mark.hash) == (head.seq, head.hash)


def test_a_journal_with_its_marked_entry_starts(data: Path, journal: SqliteJournal) -> None:
    open_high_water(data, journal, None)
    journal.append([Record("armed", b"{}")], Millis(1))
    assert halt(data, journal) is None


@pytest.mark.parametrize("gone", ["high-water", "marks"])
def test_either_mark_alone_shows_that_the_end_is_missing(data: Path, journal: SqliteJournal, state_home: Path, gone: str) -> None:
    open_high_water(data, journal, None)
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
    open_high_water(data, journal, None)
    with closing(replaced_by(data, journal, MARKED)) as shorter:
        found = halt(data, shorter)
        water = open_high_water(data, shorter, found)
    mark = latch_of(data).read()
    assert mark is not None
    assert (mark.halted, mark.seq) == (True, 0)
    kept = read_mark(data / "high-water")
    assert kept is not None
    assert (kept.seq, water) == (3, water)


def test_a_new_journal_in_the_place_of_one_that_was_marked_halts(data: Path, journal: SqliteJournal) -> None:
    open_high_water(data, journal, None)
    with closing(replaced_by(data, journal)) as empty:
        found = halt(data, empty)
    assert found is not None
    assert "the journal ends at entry 0, and entry 3 of it was written" in found.request.reason


def test_a_mark_that_was_removed_halts_where_one_was_kept(data: Path, journal: SqliteJournal, state_home: Path) -> None:
    open_high_water(data, journal, None)
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
        journal.append([Record(MARKED.kind, event_codec.encode(MARKED))], Millis(1))
    with closing(opened(data)) as journal:
        assert halt(data, journal) is None


def test_a_mark_of_an_entry_that_no_journal_can_have_halts(data: Path, journal: SqliteJournal) -> None:
    (data / "high-water").write_text('{"seq": 99999999999999999999, "hash": "x"}')
    found = halt(data, journal)
    assert found is not None
    assert "entry 99999999999999999999 of it was written" in found.request.reason


def test_a_halt_that_the_journal_shows_demands_nothing_more(data: Path, journal: SqliteJournal) -> None:
    open_high_water(data, journal, None)
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
    open_high_water(data, journal, None)
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
    open_high_water(data, journal, None)
    latch_of(data).put(LatchMark("the disk is full", 0, halted=False))
    assert halt(data, journal) is None
    assert latch_of(data).read() is None
    assert halt_of_standby(latch_of(data), 1, journal.hash_at) == ""
