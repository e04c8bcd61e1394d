"""An order is signed while its entry becomes durable, and nothing of it reaches the venue before that: by the venue's own books."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from controller.core.inputs import HaltAsked
from controller.journal.chain import Entry, Record
from controller.journal.port import JournalWriteFailed
from exchange.errors import Halted
from exchange.model import Millis
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.leased import LeasedShell, until
from tests.support.shell import Shell, tick
from tests.support.signed_ahead import Way, way


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.tick()
    return desk


@pytest.fixture
async def on_file(live: Desk, tmp_path: Path) -> AsyncIterator[Way]:
    """A journal in a file, and a permit."""
    shell = Shell(live.fork(), tmp_path / "journal.db")
    async with way(shell, tmp_path) as made:
        shell.inbox.fact(tick(shell), shell.clock.monotonic_ns())
        await shell.step()
        yield made
    shell.journal.close()


@pytest.fixture
async def leased(live: Desk, tmp_path: Path) -> AsyncIterator[Way]:
    """A journal across a network, whose writer runs."""
    shell = LeasedShell(live.fork(), tmp_path / "journal.db")
    async with way(shell, tmp_path) as made:
        running = asyncio.create_task(shell.writer.run())
        await shell.tick()
        yield made
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    shell.journal.close()


def during_the_sync(one: Way, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call ``act`` while the next append of an order is under way: the signer has signed, and the entry is not durable."""
    append, orders = one.shell.journal.append, one.orders()

    def hooked(records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        if any(record.kind == "order-admitted" for record in records):
            monkeypatch.undo()
            deadline = time.monotonic() + 20
            while one.signed() == 0 and time.monotonic() < deadline:
                time.sleep(0.001)
            assert (one.signed(), one.orders()) == (1, orders)
            act()
        return append(records, at)

    monkeypatch.setattr(one.shell.journal, "append", hooked)


async def test_an_order_is_signed_once_and_before_its_entry_is_durable(on_file: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    during_the_sync(on_file, lambda: seen.append(on_file.signed()), monkeypatch)
    on_file.buy("one")
    await on_file.shell.step()
    await on_file.settled()
    assert (seen, on_file.signed(), on_file.orders()) == ([1], 1, 1)


async def test_a_stop_between_signature_and_durability_keeps_the_order_here(on_file: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        thread = Thread(target=on_file.shell.permits.suspend, args=("halt", "an operator's halt"))
        thread.start()
        thread.join()

    during_the_sync(on_file, stop, monkeypatch)
    on_file.buy("stopped")
    await on_file.shell.step()
    await on_file.settled()
    assert (on_file.signed(), on_file.orders()) == (1, 0)
    on_file.shell.permits.lift("halt")
    on_file.buy("after")
    await on_file.shell.step()
    await on_file.settled()
    assert (on_file.signed(), on_file.orders()) == (2, 1)


async def test_a_latch_between_signature_and_durability_keeps_the_order_here(leased: Way) -> None:
    shell = leased.shell
    assert isinstance(shell, LeasedShell)
    shell.leased.answers.clear()
    answer = leased.buy("latched")
    await asyncio.wait_for(until(lambda: leased.signed() == 1), 10)
    shell.inbox.fact(HaltAsked(by="operator", reason="enough"), shell.clock.monotonic_ns())
    assert shell.permits.latched_because
    shell.leased.answers.set()
    await asyncio.wait_for(answer, 10)
    await asyncio.wait_for(until(lambda: shell.writer.state.position.stage is Stage.HALTED), 10)
    await leased.settled()
    assert leased.orders() == 0


async def test_a_failed_sync_sends_nothing_and_the_signer_counts_on(on_file: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise JournalWriteFailed("the disk is broken", code="journal-write-failed", remedy="Replace it.")

    during_the_sync(on_file, fail, monkeypatch)
    answer = on_file.buy("lost")
    await on_file.shell.step()
    with pytest.raises(Halted):
        await answer
    await on_file.settled()
    assert (on_file.signed(), on_file.orders()) == (1, 0)
    on_file.signer.restart()
    assert on_file.signed() == 1
    on_file.signer.to_live(journal_seq=42)
    assert on_file.signer.order(on_file.order())
    assert on_file.signed() == 2
