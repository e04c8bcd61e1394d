"""A standby: it verifies and folds what another controller writes, and leads when the lease is over or to halt."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from controller.core.state import State
from controller.journal.chain import Head, Row
from controller.journal.lease import TERM_NS, Lease
from controller.journal.port import JournalError, JournalLocked, LeasedJournal
from controller.journal.sqlite import SqliteReader, read_journal
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.recovery import follow as module
from controller.runtime.recovery.follow import Follower, Standby
from exchange.errors import IntegrityError
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.shell import SetClock, Shell


class Server:
    """A journal file with a lease, as every connection to it shows it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = Lease(1, "1")
        self.lost_after: int | None = None
        self.edited = 0
        self.down = False
        self.taken: list[Lease | None] = []

    def read(self) -> "Connection":
        if self.down:
            raise JournalError("the server is down", code="journal-unusable", remedy="Start it.")
        return Connection(self)

    def take_over(self, over: Lease | None) -> "Connection":
        if over is not None and over != self.held:
            raise JournalLocked("another writer holds the lease", code="journal-locked", remedy="Wait.")
        self.taken.append(over)
        return self.read()


class Connection:
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.closed = False

    @property
    def head(self) -> Head:
        with self._reading() as reader:
            return reader.head

    def lease(self) -> Lease:
        self._server.read()
        return self._server.held

    def hash_at(self, seq: int) -> str | None:
        lost = self._server.lost_after
        with self._reading() as reader:
            return None if lost is not None and seq > lost else reader.hash_at(seq)

    def rows_after(self, seq: int) -> list[Row]:
        with self._reading() as reader:
            found = [row for page in reader.rows() for row in page if row[0] > seq][:7]
        return [(*row[:4], b'{"x":1}', *row[5:]) if row[0] == self._server.edited else row for row in found]

    def close(self) -> None:
        self.closed = True

    def _reading(self) -> "_Reading":
        return _Reading(self._server.path)


class _Reading:
    def __init__(self, path: Path) -> None:
        self._reader = read_journal(path)

    def __enter__(self) -> SqliteReader:
        return self._reader

    def __exit__(self, *_: object) -> None:
        self._reader.close()


@pytest.fixture(scope="module")
def validating() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


@pytest.fixture
def shell(validating: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setattr(module, "CHECK_EVERY_S", 0.001)
    made = Shell(validating.fork(), tmp_path / "journal.db")
    yield made
    made.journal.close()


class Following:
    """A standby that runs."""

    def __init__(self, shell: Shell) -> None:
        self.server = Server(shell.path)
        self.clock = SetClock(shell.desk.now)
        self.follower = Follower("desk", RecentHistory(), lambda _: None, State(), None)
        self.standby = Standby(
            read=self.server.read,  # type: ignore[arg-type, return-value]
            take_over=self.server.take_over,  # type: ignore[arg-type, return-value]
            follower=self.follower,
            clock=self.clock,
        )
        self.running: asyncio.Task[LeasedJournal] = asyncio.create_task(self.standby.run())

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not wanted():
                if self.running.done():
                    self.running.result()
                await asyncio.sleep(0.001)

    async def caught_up(self, shell: Shell) -> None:
        await self.until(lambda: self.follower.head.seq == shell.journal.head.seq and not self.standby.lag.problem)


@pytest.fixture
async def following(shell: Shell) -> AsyncIterator[Following]:
    made = Following(shell)
    yield made
    made.running.cancel()
    with suppress(asyncio.CancelledError, IntegrityError):
        await made.running


async def test_a_standby_has_the_same_state_as_the_leader(shell: Shell, following: Following) -> None:
    await following.caught_up(shell)
    assert following.follower.state.fingerprint() == shell.desk.state.fingerprint()
    assert following.standby.lag.entries == 0
    assert not following.running.done()


async def test_an_entry_that_was_changed_is_refused(shell: Shell, following: Following) -> None:
    following.server.edited = 5
    with pytest.raises(IntegrityError, match="entry 5") as refused:
        await following.running
    assert refused.value.code == "journal-broken"
    assert following.follower.head.seq < 5


async def test_an_entry_that_was_read_and_is_gone_now_is_an_error(shell: Shell, following: Following) -> None:
    await following.caught_up(shell)
    following.server.lost_after = following.follower.head.seq - 1
    with pytest.raises(IntegrityError, match="is gone") as refused:
        await following.running
    assert refused.value.code == "journal-went-back"


async def test_a_standby_leads_when_the_lease_was_unchanged_for_a_term(shell: Shell, following: Following) -> None:
    await following.caught_up(shell)
    following.clock.ns += TERM_NS - 1
    following.server.held = Lease(1, "2")
    await following.until(lambda: following.standby.lag.quiet_ms == 0)
    following.clock.ns += TERM_NS - 1
    await asyncio.sleep(0.05)
    assert following.server.taken == []
    following.clock.ns += 1
    await following.running
    assert following.server.taken == [Lease(1, "2")]


async def test_a_standby_leads_at_once_when_the_lease_was_given_back(shell: Shell, following: Following) -> None:
    await following.caught_up(shell)
    following.server.held = Lease(1, "")
    await following.running
    assert following.server.taken == [Lease(1, "")]
    assert following.follower.head.seq == shell.journal.head.seq


async def test_to_halt_a_standby_takes_the_journal_from_a_healthy_leader(shell: Shell, following: Following) -> None:
    await following.caught_up(shell)
    following.standby.halt("enough")
    await following.running
    assert following.server.taken == [None]


async def test_a_journal_without_an_entry_that_was_read_is_closed_again(shell: Shell, following: Following) -> None:
    await following.caught_up(shell)
    opened: list[Connection] = []
    take_over = following.server.take_over

    def elsewhere(over: Lease | None) -> Connection:
        following.server.lost_after = 3
        opened.append(take_over(over))
        return opened[-1]

    following.standby._take_over = elsewhere  # type: ignore[assignment]
    following.standby.halt("enough")
    with pytest.raises(IntegrityError, match="is gone"):
        await following.running
    assert [one.closed for one in opened] == [True]


async def test_a_standby_shows_a_server_that_is_down_and_follows_it_later(shell: Shell, following: Following) -> None:
    await following.caught_up(shell)
    following.server.down = True
    await following.until(lambda: following.standby.lag.problem == "the server is down")
    following.server.down = False
    await following.caught_up(shell)
