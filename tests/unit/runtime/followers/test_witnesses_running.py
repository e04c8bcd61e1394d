"""Checkpoints while a controller runs: nothing waits for them, a failure alerts and is retried, a contradiction is passed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from controller.authority.keys import generate_key
from controller.core import event_codec
from controller.core import events as e
from controller.core.effects import Alert
from controller.core.state import State
from controller.journal.chain import Entry, Head, Record, genesis_hash, seal
from controller.journal.checkpoint import Checkpoint, checkpoint_public_key, parse_checkpoint
from controller.journal.publishing import Offer
from controller.runtime.followers import checkpoints
from controller.runtime.followers.checkpoints import EVERY_MS, CheckpointPublisher
from controller.runtime.loop.writer import CommittedBatch
from exchange.errors import IntegrityError, Unreachable
from exchange.model import Millis
from policies.stage import Stage

OWNER = "desk"
KEY = generate_key()
MOVED = e.StageChanged(
    from_stage=Stage.MOCK, from_step=0, stage=Stage.HALTED, step=0, cause="halt", reason="because", command_id=""
)
RAISED = e.AlertRaised(alert_kind="checkpoint", title="t", detail="d")


class Clock:
    def __init__(self) -> None:
        self.at = Millis(1_800_000_000_000)

    def now(self) -> Millis:
        return self.at

    def monotonic_ns(self) -> int:
        return 0


class Fake:
    """A target whose behaviour a test sets. ``taken``: the sizes that were published to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: Checkpoint | None = None
        self.fails: Exception | None = None
        self.stuck = False
        self.reads = 0
        self.taken: list[int] = []

    async def read(self) -> Checkpoint | None:
        self.reads += 1
        if self.stuck:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails
        return self.held

    async def publish(self, offer: Offer) -> None:
        self.held = parse_checkpoint(offer.note, checkpoint_public_key(OWNER, KEY))
        if offer.checkpoint.size > 1:
            assert await offer.prove(1)
        self.taken.append(offer.checkpoint.size)


class Scene:
    """A journal in memory and the publisher of its checkpoints."""

    def __init__(self, *targets: Fake) -> None:
        self.clock = Clock()
        self.alerts: list[Alert] = []
        self.contradictions: list[str] = []
        self.entries: list[Entry] = []
        self.head = Head(0, genesis_hash(OWNER), 1)
        self.publisher = CheckpointPublisher(OWNER, KEY, targets, self._leaves, self.clock, self.alerts.append)

    def write(self, event: e.Event) -> None:
        entry = seal(Record(event.kind, event_codec.encode(event)), self.head, epoch=1, at=self.clock.now())
        self.head = Head(entry.seq, entry.hash, 1)
        self.entries.append(entry)
        self.publisher.on_batch(CommittedBatch(((entry, event),), State(), 0, 0, 0))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.publisher.run(self.contradictions.append))
        await asyncio.sleep(0)
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def _leaves(self, after: int, upto: int) -> Iterator[bytes]:
        return (bytes.fromhex(entry.hash[7:]) for entry in self.entries[after:upto])


async def until(wanted: Callable[[], bool]) -> None:
    for _ in range(1000):
        if wanted():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(checkpoints, "LAST_RETRY_S", 0.05)


async def test_every_stage_change_and_every_five_minutes_are_published() -> None:
    target = Fake("near")
    scene = Scene(target)
    async with scene.running():
        scene.write(RAISED)
        await until(lambda: target.taken == [1])
        scene.write(RAISED)
        scene.write(MOVED)
        await until(lambda: target.taken == [1, 3])
        scene.write(RAISED)
        scene.clock.at = Millis(scene.clock.at + EVERY_MS)
        scene.write(RAISED)
        await until(lambda: target.taken == [1, 3, 5])
    assert [status.size for status in scene.publisher.target_statuses] == [5]


async def test_a_target_that_hangs_does_not_delay_the_others() -> None:
    stuck, good = Fake("stuck"), Fake("good")
    stuck.stuck = True
    scene = Scene(stuck, good)
    async with scene.running():
        for _ in range(3):
            scene.write(MOVED)
            await until(lambda: good.taken[-1:] == [scene.head.seq])
    assert stuck.reads == 1


async def test_an_unreachable_target_is_retried_with_the_newest_checkpoint() -> None:
    target = Fake("away")
    target.fails = Unreachable("no route", code="target-unreachable", remedy="wait")
    scene = Scene(target)
    async with scene.running():
        scene.write(MOVED)
        await until(lambda: target.reads >= 3)
        assert scene.publisher.target_statuses[0].problem == "no route"
        scene.write(RAISED)
        target.fails = None
        await until(lambda: target.taken == [2])
    assert [(alert.title, alert.detail) for alert in scene.alerts] == [("away", "no route")]
    assert scene.contradictions == []


async def test_an_unexpected_error_alerts_and_is_retried() -> None:
    target = Fake("odd")
    target.fails = ZeroDivisionError()
    scene = Scene(target)
    async with scene.running():
        scene.write(MOVED)
        await until(lambda: target.reads >= 2)
        target.fails = None
        await until(lambda: target.taken == [1])
    assert [alert.detail for alert in scene.alerts] == ["ZeroDivisionError while publishing"]


@pytest.mark.parametrize(("size", "words"), [(9, "knows 9 entries and the journal has 1"), (1, "first 1 entries are not those")])
async def test_another_history_is_reported_and_not_overwritten(size: int, words: str) -> None:
    target = Fake("other")
    target.held = other = Checkpoint("gatehouse/desk", size, bytes(32))
    scene = Scene(target)
    async with scene.running():
        scene.write(MOVED)
        await until(lambda: bool(scene.contradictions))
    assert scene.contradictions[0].startswith("other contradicts the journal: ")
    assert words in scene.contradictions[0]
    assert (target.held, target.taken) == (other, [])


async def test_a_checkpoint_that_another_process_published_is_no_contradiction() -> None:
    target = Fake("shared")
    scene = Scene(target)
    scene.write(RAISED)
    scene.write(RAISED)
    target.held = Checkpoint("gatehouse/desk", 2, scene.publisher.tree.root())
    async with scene.running():
        await until(lambda: target.reads >= 1 and bool(scene.publisher.target_statuses[0].at))
    assert scene.contradictions == []
    assert scene.publisher.target_statuses[0].size == 2


async def test_a_start_reads_every_target_and_notes_the_unreachable_ones() -> None:
    away, good, bad = Fake("away"), Fake("good"), Fake("bad")
    away.fails = Unreachable("no route", code="target-unreachable", remedy="wait")
    good.held = Checkpoint("gatehouse/desk", 3, bytes(32))
    scene = Scene(away, good)
    (anchor,) = await scene.publisher.read_targets()
    assert (anchor.holder, anchor.checkpoint) == ("good", good.held)
    assert [one.problem for one in scene.publisher.target_statuses] == ["no route", ""]
    assert "not read at the start" in scene.alerts[0].detail
    bad.fails = IntegrityError("forged", code="note-forged", remedy="read_targets")
    with pytest.raises(IntegrityError, match="bad: forged"):
        await Scene(good, bad).publisher.read_targets()


async def test_shutdown_publishes_a_last_checkpoint_to_targets_that_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "FINISH_S", 0.2)
    good, stuck = Fake("good"), Fake("stuck")
    scene = Scene(good, stuck)
    async with scene.running():
        scene.write(RAISED)
        await until(lambda: good.taken == [1])
        scene.write(RAISED)
    stuck.stuck = True
    await scene.publisher.finish()
    assert good.taken == [1, 2]


async def test_without_targets_only_the_tree_is_kept() -> None:
    scene = Scene()
    async with scene.running():
        scene.write(MOVED)
    assert scene.publisher.tree.size == 1
