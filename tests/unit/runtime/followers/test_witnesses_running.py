"""Checkpoints while a controller runs: nothing waits for them, failures are told and tried again, contradictions are passed on."""

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
from controller.runtime.followers import checkpoints as witnesses
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
    """A target that does as it is told. ``taken`` are the sizes it was given."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: Checkpoint | None = None
        self.fails: Exception | None = None
        self.stuck = False
        self.asked = 0
        self.taken: list[int] = []

    async def read(self) -> Checkpoint | None:
        self.asked += 1
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
    """A journal in memory and its witnesses."""

    def __init__(self, *targets: Fake) -> None:
        self.clock = Clock()
        self.alerts: list[Alert] = []
        self.contradictions: list[str] = []
        self.entries: list[Entry] = []
        self.head = Head(0, genesis_hash(OWNER), 1)
        self.witnesses = CheckpointPublisher(OWNER, KEY, targets, self._leaves, self.clock, self.alerts.append)

    def write(self, event: e.Event) -> None:
        entry = seal(Record(event.kind, event_codec.encode(event)), self.head, epoch=1, at=self.clock.now())
        self.head = Head(entry.seq, entry.hash, 1)
        self.entries.append(entry)
        self.witnesses.carried(CommittedBatch(((entry, event),), State(), 0, 0, 0))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.witnesses.run(self.contradictions.append))
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
    monkeypatch.setattr(witnesses, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(witnesses, "LAST_RETRY_S", 0.05)


async def test_every_stage_change_is_published_and_little_else_within_five_minutes() -> None:
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
    assert [standing.size for standing in scene.witnesses.standings] == [5]


async def test_a_target_that_hangs_keeps_nobody_waiting() -> None:
    stuck, good = Fake("stuck"), Fake("good")
    stuck.stuck = True
    scene = Scene(stuck, good)
    async with scene.running():
        for _ in range(3):
            scene.write(MOVED)
            await until(lambda: good.taken[-1:] == [scene.head.seq])
    assert stuck.asked == 1


async def test_a_target_that_is_away_is_tried_again_with_what_is_newest_then() -> None:
    target = Fake("away")
    target.fails = Unreachable("no route", code="target-unreachable", remedy="wait")
    scene = Scene(target)
    async with scene.running():
        scene.write(MOVED)
        await until(lambda: target.asked >= 3)
        assert scene.witnesses.standings[0].problem == "no route"
        scene.write(RAISED)
        target.fails = None
        await until(lambda: target.taken == [2])
    assert [(alert.title, alert.detail) for alert in scene.alerts] == [("away", "no route")]
    assert scene.contradictions == []


async def test_an_error_nobody_thought_of_is_told_and_tried_again() -> None:
    target = Fake("odd")
    target.fails = ZeroDivisionError()
    scene = Scene(target)
    async with scene.running():
        scene.write(MOVED)
        await until(lambda: target.asked >= 2)
        target.fails = None
        await until(lambda: target.taken == [1])
    assert [alert.detail for alert in scene.alerts] == ["ZeroDivisionError while publishing"]


@pytest.mark.parametrize(("size", "words"), [(9, "knows 9 entries and the journal has 1"), (1, "first 1 entries are not those")])
async def test_another_history_is_passed_on_and_stays(size: int, words: str) -> None:
    target = Fake("other")
    target.held = other = Checkpoint("gatehouse/desk", size, bytes(32))
    scene = Scene(target)
    async with scene.running():
        scene.write(MOVED)
        await until(lambda: bool(scene.contradictions))
    assert scene.contradictions[0].startswith("other contradicts the journal: ")
    assert words in scene.contradictions[0]
    assert (target.held, target.taken) == (other, [])


async def test_a_checkpoint_taken_by_somebody_else_meanwhile_is_no_contradiction() -> None:
    target = Fake("shared")
    scene = Scene(target)
    scene.write(RAISED)
    scene.write(RAISED)
    target.held = Checkpoint("gatehouse/desk", 2, scene.witnesses.tree.root())
    async with scene.running():
        await until(lambda: target.asked >= 1 and bool(scene.witnesses.standings[0].at))
    assert scene.contradictions == []
    assert scene.witnesses.standings[0].size == 2


async def test_a_start_looks_at_all_and_remembers_who_was_away() -> None:
    away, good, bad = Fake("away"), Fake("good"), Fake("bad")
    away.fails = Unreachable("no route", code="target-unreachable", remedy="wait")
    good.held = Checkpoint("gatehouse/desk", 3, bytes(32))
    scene = Scene(away, good)
    (anchor,) = await scene.witnesses.look()
    assert (anchor.holder, anchor.checkpoint) == ("good", good.held)
    assert [one.problem for one in scene.witnesses.standings] == ["no route", ""]
    assert "not read at the start" in scene.alerts[0].detail
    bad.fails = IntegrityError("forged", code="note-forged", remedy="look")
    with pytest.raises(IntegrityError, match="bad: forged"):
        await Scene(good, bad).witnesses.look()


async def test_the_end_of_a_run_is_published_to_whoever_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "FINISH_S", 0.2)
    good, stuck = Fake("good"), Fake("stuck")
    scene = Scene(good, stuck)
    async with scene.running():
        scene.write(RAISED)
        await until(lambda: good.taken == [1])
        scene.write(RAISED)
    stuck.stuck = True
    await scene.witnesses.finish()
    assert good.taken == [1, 2]


async def test_without_targets_it_only_keeps_the_tree() -> None:
    scene = Scene()
    async with scene.running():
        scene.write(MOVED)
    assert scene.witnesses.tree.size == 1
