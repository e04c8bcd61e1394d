"""The latch file: a mark survives its process. A halt always counts, a failed journal until another controller has led."""

import threading
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, current_thread

import pytest

from controller.core.events import Armed
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.journal.chain import Entry
from controller.runtime.followers import latchfile as module
from controller.runtime.followers.latchfile import KEPT, SIZE, LatchFile, LatchFileWatch, LatchMark, LatchMarkWriter
from controller.runtime.loop.writer import CommittedBatch
from exchange.model import Millis
from policies.stage import Stage

HALTED, FAILED = LatchMark("enough", 3, halted=True), LatchMark("the disk is full", 3, halted=False)


@pytest.fixture
def latch(tmp_path: Path) -> LatchFile:
    made = LatchFile(tmp_path / "latch")
    assert made.read() is None
    return made


@pytest.mark.parametrize("mark", [HALTED, FAILED])
def test_a_mark_is_read_back_until_it_is_cleared(latch: LatchFile, mark: LatchMark) -> None:
    latch.write(mark)
    assert latch.read() == mark
    latch.clear()
    assert latch.read() is None


def test_a_long_reason_is_cut_and_still_read(latch: LatchFile, tmp_path: Path) -> None:
    latch.write(LatchMark('"ü\\' * 300, 3, halted=True))
    found = latch.read()
    assert found is not None
    assert (found.epoch, found.halted) == (3, True)
    assert (tmp_path / "latch").stat().st_size == SIZE


@pytest.mark.parametrize("content", [b"an older version's words", b"{", b'{"epoch": 1}', b"\xff", b"[1]", b"5", b'{"seq": 1e999}'])
def test_a_mark_that_cannot_be_parsed_means_a_halt(latch: LatchFile, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "latch").write_bytes(content.ljust(SIZE, b"\0"))
    found = latch.read()
    assert found is not None
    assert found.halted
    assert found.means_halt(10**9)


def test_a_file_that_cannot_be_read_means_a_halt(tmp_path: Path) -> None:
    (tmp_path / "latch").mkdir()
    found = LatchFile(tmp_path / "latch").read()
    assert found is not None
    assert found.halted


@pytest.mark.parametrize(
    ("mark", "epoch", "means_halt"), [(HALTED, 9, True), (FAILED, 3, True), (FAILED, 2, True), (FAILED, 4, False)]
)
def test_only_the_mark_of_a_halt_survives_another_leader(mark: LatchMark, epoch: int, *, means_halt: bool) -> None:
    assert mark.means_halt(epoch) is means_halt


def test_a_failing_process_waits_for_a_hung_disk_only_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_WITHIN_S", 0.01)
    answers, written = Event(), Event()

    class Hung(LatchFile):
        def write(self, mark: LatchMark) -> None:
            assert answers.wait(5)
            super().write(mark)
            written.set()

    latch = Hung(tmp_path / "latch")
    LatchMarkWriter(latch, marked=False).failed(FAILED)
    assert not written.is_set()
    answers.set()
    assert written.wait(5)
    assert latch.read() == FAILED


class Found(list[str]):
    """The reasons that a watch reported."""


def watch(latch: LatchFile, writer: LatchMarkWriter) -> tuple[LatchFileWatch, Found]:
    found = Found()
    return LatchFileWatch(latch, writer, found.append), found


def test_a_mark_of_another_process_is_reported_once(latch: LatchFile) -> None:
    watching, found = watch(latch, LatchMarkWriter(latch, marked=False))
    watching.poll()
    latch.write(HALTED)
    watching.poll()
    watching.poll()
    assert found == ["enough"]


def test_a_mark_of_this_process_is_not_reported(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    watching, found = watch(latch, writer)
    writer.halted(HALTED)
    writer.failed(FAILED)
    watching.poll()
    assert found == []


def test_a_mark_is_seen_in_a_file_that_was_replaced(latch: LatchFile, tmp_path: Path) -> None:
    watching, found = watch(latch, LatchMarkWriter(latch, marked=False))
    watching.poll()
    (tmp_path / "latch").unlink()
    latch.write(HALTED)
    watching.poll()
    assert found == ["enough"]


def test_a_file_that_cannot_be_read_is_no_mark(latch: LatchFile, tmp_path: Path) -> None:
    watching, found = watch(latch, LatchMarkWriter(latch, marked=False))
    (tmp_path / "latch").unlink()
    with pytest.raises(FileNotFoundError):
        watching.poll()
    assert found == []


def durable_halt() -> CommittedBatch:
    """A batch after which the journal holds the halt."""
    return CommittedBatch((), replace(State(), position=Position(Stage.HALTED)), 0, 0, 0)


class SlowToClear(LatchFile):
    """A latch file on a disk that takes its time to clear it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may_clear = Event()
        self.cleared_by = ""

    def clear(self) -> None:
        assert self.may_clear.wait(5)
        self.cleared_by = current_thread().name
        super().clear()


def test_a_mark_that_is_being_cleared_does_not_halt_again(tmp_path: Path) -> None:
    latch = SlowToClear(tmp_path / "latch")
    latch.read()
    writer = LatchMarkWriter(latch, marked=False)
    watching, found = watch(latch, writer)
    writer.halted(HALTED)
    writer.wait()
    writer.on_batch(durable_halt())
    watching.poll()
    latch.may_clear.set()
    writer.wait()
    watching.poll()
    assert found == []


def test_a_mark_of_another_process_is_reported_after_an_own_one(tmp_path: Path) -> None:
    latch = SlowToClear(tmp_path / "latch")
    latch.read()
    latch.may_clear.set()
    writer = LatchMarkWriter(latch, marked=True)
    watching, found = watch(latch, writer)
    writer.on_batch(durable_halt())
    writer.wait()
    latch.write(HALTED)
    watching.poll()
    assert found == ["enough"]


def test_a_process_that_fails_twice_can_still_write_and_end(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    writer.failed(FAILED)
    writer.halted(HALTED)
    writer.failed(HALTED)
    assert latch.read() == FAILED


def test_a_mark_is_written_when_no_more_threads_can_be_started(latch: LatchFile, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = LatchMarkWriter(latch, marked=False)

    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refuse)
    writer.failed(HALTED)
    assert latch.read() == HALTED


def test_a_mark_is_at_most_three_hundred_bytes_long(latch: LatchFile) -> None:
    latch.write(LatchMark("x" * 900, 3, halted=True))
    found = latch.read()
    assert found is not None
    assert found.reason == "x" * 300


def test_a_mark_is_cut_between_two_letters(latch: LatchFile) -> None:
    latch.write(LatchMark("x" + "ü" * 200, 3, halted=True))
    found = latch.read()
    assert found is not None
    assert found.reason == "x" + "ü" * 149


def test_a_mark_that_cannot_be_parsed_is_shown_as_it_is(latch: LatchFile, tmp_path: Path) -> None:
    (tmp_path / "latch").write_bytes(b"stop\xffX".ljust(SIZE, b"\0"))
    shown = "stop\N{REPLACEMENT CHARACTER}X"
    assert latch.read() == LatchMark(shown, 0, halted=True)
    watching, found = watch(latch, LatchMarkWriter(latch, marked=False))
    watching.poll()
    assert found == [shown]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "latch").mkdir()
    assert LatchFile(tmp_path / "latch").read() == LatchMark("the latch file cannot be read: Is a directory", 0, halted=True)


def test_the_file_has_its_full_size_and_is_private_before_it_is_needed(latch: LatchFile, tmp_path: Path) -> None:
    stat = (tmp_path / "latch").stat()
    assert (stat.st_size, stat.st_mode & 0o777) == (SIZE, 0o600)


def test_a_link_in_the_place_of_the_file_is_not_followed(latch: LatchFile, tmp_path: Path) -> None:
    (tmp_path / "latch").rename(tmp_path / "elsewhere")
    (tmp_path / "latch").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        latch.put(HALTED)
    with pytest.raises(OSError, match="symbolic"):
        latch.open()


def test_a_write_and_a_clearing_never_raise(tmp_path: Path) -> None:
    latch = LatchFile(tmp_path / "missing" / "latch")
    latch.write(HALTED)
    latch.clear()
    with pytest.raises(FileNotFoundError):
        latch.put(HALTED)


def test_a_writer_that_found_a_mark_at_the_start_is_marked(latch: LatchFile) -> None:
    assert LatchMarkWriter(latch, marked=True).marked
    assert not LatchMarkWriter(latch, marked=False).marked


def test_a_mark_that_another_process_wrote_counts_as_known(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    writer.found()
    assert writer.marked


def test_a_halt_is_written_once(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    writer.halted(HALTED)
    writer.halted(FAILED)
    writer.wait()
    assert latch.read() == HALTED
    assert writer.marked


def test_a_failure_replaces_a_mark_of_another_failure(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=True)
    writer.failed(FAILED)
    assert latch.read() == FAILED


def test_a_halt_after_a_cleared_one_is_written_again(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    writer.halted(HALTED)
    writer.on_batch(durable_halt())
    writer.wait()
    assert (latch.read(), writer.marked) == (None, False)
    writer.halted(FAILED)
    writer.wait()
    assert latch.read() == FAILED


def test_a_batch_at_another_stage_clears_nothing(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    writer.halted(HALTED)
    writer.on_batch(replace(durable_halt(), after=State()))
    writer.wait()
    assert (latch.read(), writer.marked) == (HALTED, True)


def test_a_durable_halt_without_a_mark_leaves_the_file_alone(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    latch.write(HALTED)
    writer.on_batch(durable_halt())
    writer.wait()
    assert latch.read() == HALTED


def test_every_change_of_the_file_is_counted_when_it_begins_and_ends(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    before = writer.changes
    writer.halted(HALTED)
    assert writer.changes > before


def test_a_mark_that_only_says_that_the_journal_failed_is_not_reported(latch: LatchFile) -> None:
    watching, found = watch(latch, LatchMarkWriter(latch, marked=False))
    latch.write(FAILED)
    watching.poll()
    assert found == []


def test_the_watching_thread_reports_a_mark_and_ends(latch: LatchFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)
    seen = Event()
    watching = LatchFileWatch(latch, LatchMarkWriter(latch, marked=False), lambda _: seen.set())
    watching.start()
    latch.write(HALTED)
    assert seen.wait(30)
    watching.stop()
    assert not watching._thread.is_alive()


def test_the_watching_thread_outlives_a_file_that_is_gone(
    latch: LatchFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)
    seen, failed = Event(), Event()
    monkeypatch.setattr(module._log, "exception", lambda *_: failed.set())
    (tmp_path / "latch").unlink()
    watching = LatchFileWatch(latch, LatchMarkWriter(latch, marked=False), lambda _: seen.set())
    watching.start()
    assert failed.wait(30)
    latch.write(HALTED)
    assert seen.wait(30)
    watching.stop()


def test_a_watch_that_never_started_can_be_stopped(latch: LatchFile) -> None:
    LatchFileWatch(latch, LatchMarkWriter(latch, marked=False), lambda _: None).stop()


def test_one_thread_changes_the_file_in_the_order_of_the_calls(tmp_path: Path) -> None:
    latch = SlowToClear(tmp_path / "latch")
    writer = LatchMarkWriter(latch, marked=False)
    writer.halted(HALTED)
    writer.on_batch(durable_halt())
    writer.halted(FAILED)
    assert "latch_1" not in {thread.name for thread in threading.enumerate()}
    latch.may_clear.set()
    writer.wait()
    assert (latch.cleared_by, latch.read()) == ("latch_0", FAILED)


def test_a_mark_counts_as_known_during_every_clearing(tmp_path: Path) -> None:
    latch = SlowToClear(tmp_path / "latch")
    latch.may_clear.set()
    writer = LatchMarkWriter(latch, marked=True)
    writer.on_batch(durable_halt())
    writer.wait()
    latch.may_clear.clear()
    writer.found()
    writer.on_batch(durable_halt())
    assert writer.marked
    latch.may_clear.set()
    writer.wait()
    assert not writer.marked


def test_a_clearing_that_could_not_begin_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latch = SlowToClear(tmp_path / "latch")
    writer = LatchMarkWriter(latch, marked=True)

    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    with monkeypatch.context() as patched:
        patched.setattr(writer._executor, "submit", refuse)
        writer.on_batch(durable_halt())
    assert not writer.marked
    writer.found()
    writer.on_batch(durable_halt())
    assert writer.marked
    latch.may_clear.set()


def test_the_watching_thread_keeps_no_process_from_ending(latch: LatchFile) -> None:
    watching, _ = watch(latch, LatchMarkWriter(latch, marked=False))
    assert watching._thread.daemon


def test_a_disk_that_hangs_does_not_keep_the_watch_from_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)
    monkeypatch.setattr(module, "WRITE_WITHIN_S", 0.01)
    opening, answers = Event(), Event()

    class Hung(LatchFile):
        def open(self) -> int:
            opening.set()
            answers.wait(3)
            return super().open()

    latch = Hung(tmp_path / "latch")
    latch.read()
    watching, _ = watch(latch, LatchMarkWriter(latch, marked=False))
    watching.start()
    assert opening.wait(30)
    watching.stop()
    assert watching._thread.is_alive()
    answers.set()
    watching._thread.join(30)


class Rounds:
    """Stands for the event that ends a watch: lets it look once per entry of ``outcomes``, which may be a fault."""

    def __init__(self, outcomes: list[Exception | None]) -> None:
        self.outcomes = outcomes

    def wait(self, _: float) -> bool:
        return not self.outcomes

    def look(self) -> None:
        if (outcome := self.outcomes.pop(0)) is not None:
            raise outcome


@pytest.mark.parametrize(
    ("outcomes", "logged"),
    [([None], 0), ([OSError()], 1), ([OSError(), OSError(), OSError()], 1), ([OSError(), None, OSError(), OSError()], 2)],
)
def test_a_fault_of_the_watch_is_logged_when_it_begins(
    latch: LatchFile, monkeypatch: pytest.MonkeyPatch, outcomes: list[Exception | None], logged: int
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(module._log, "exception", lines.append)
    watching, _ = watch(latch, LatchMarkWriter(latch, marked=False))
    rounds = Rounds([*outcomes])
    monkeypatch.setattr(watching, "_ending", rounds)
    monkeypatch.setattr(watching, "poll", rounds.look)
    watching._run()
    assert len(lines) == logged


def test_a_descriptor_that_cannot_be_closed_stops_no_watch(
    latch: LatchFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching, found = watch(latch, LatchMarkWriter(latch, marked=False))
    watching.poll()
    (tmp_path / "latch").unlink()
    latch.write(HALTED)

    def fail(_: int) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(module.os, "close", fail)
    watching.poll()
    monkeypatch.undo()
    assert found == ["enough"]


def batch_at(stage: Stage, seq: int) -> CommittedBatch:
    entry = Entry(seq, 1, Millis(0), "armed", b"{}", "", f"sha256:{seq:064x}")
    return replace(durable_halt(), entries=((entry, Armed()),), after=replace(State(), position=Position(stage), epoch=4))


def kept_mark(seq: int) -> LatchMark:
    return LatchMark(KEPT, 4, halted=True, seq=seq, hash=f"sha256:{seq:064x}")


@pytest.mark.parametrize("marked", [False, True])
def test_a_halt_keeps_a_mark_of_its_entry_for_as_long_as_it_lasts(latch: LatchFile, *, marked: bool) -> None:
    writer = LatchMarkWriter(latch, marked=marked)
    writer.on_batch(batch_at(Stage.HALTED, 7))
    writer.on_batch(batch_at(Stage.HALTED, 8))
    writer.wait()
    assert (latch.read(), latch.names_entry, writer.marked) == (kept_mark(7), True, False)
    writer.on_batch(batch_at(Stage.MOCK, 9))
    writer.wait()
    assert (latch.read(), latch.names_entry) == (None, False)


def test_a_mark_is_kept_again_at_the_next_halt(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    for seq, stage in ((7, Stage.HALTED), (8, Stage.MOCK), (9, Stage.HALTED)):
        writer.on_batch(batch_at(stage, seq))
    writer.wait()
    assert latch.read() == kept_mark(9)


def test_a_mark_may_name_the_first_entry(latch: LatchFile) -> None:
    latch.put(kept_mark(1))
    assert latch.names_entry


def test_the_kept_mark_of_an_earlier_process_is_cleared_too(latch: LatchFile) -> None:
    latch.put(kept_mark(7))
    writer = LatchMarkWriter(latch, marked=False, kept=True)
    writer.on_batch(batch_at(Stage.HALTED, 8))
    writer.wait()
    assert latch.read() == kept_mark(7)
    writer.on_batch(batch_at(Stage.MOCK, 9))
    writer.wait()
    assert latch.read() is None


def test_a_halt_that_came_meanwhile_is_not_cleared_with_the_kept_mark(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False, kept=True)
    latch.put(HALTED)
    writer.on_batch(batch_at(Stage.MOCK, 9))
    writer.wait()
    assert latch.read() == HALTED


def test_a_second_halt_ends_in_the_mark_of_the_last_entry(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    writer.on_batch(batch_at(Stage.HALTED, 7))
    writer.halted(HALTED)
    writer.on_batch(replace(batch_at(Stage.HALTED, 7), entries=()))
    writer.wait()
    assert latch.read() == kept_mark(7)


def test_a_kept_mark_is_not_reported_and_a_halt_over_it_is(latch: LatchFile) -> None:
    writer = LatchMarkWriter(latch, marked=False)
    watching, found = watch(latch, writer)
    writer.on_batch(batch_at(Stage.HALTED, 7))
    writer.wait()
    watching.poll()
    assert found == []
    latch.write(HALTED)
    watching.poll()
    assert found == ["enough"]
