"""When the market is replayed to the bot, and what is reported of it: the release in force, twice the same, or an error."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from controller.bootstrap.replay import copied
from controller.core import inputs as i
from controller.core.state import State
from controller.runtime.replay.apart import Offer
from controller.runtime.replay.recording import MarketRecording
from controller.runtime.replay.replaying import YOUNG_MS, Replaying
from controller.settings.artifact import artifact_digest
from exchange.errors import ConfigError
from exchange.model import Millis
from gates.series import Decision
from gates.signals import Compared
from policies.authority import Verb
from policies.document import Policy, load_policy
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import EXAMPLES, Desk
from tests.unit.policies.policy_kit import changed, tree_of

DECIDES = "cat >/dev/null; echo 5 BTCUSDT BUY"
RULE = {"id": "replay", "metric": "replay_parity_ratio", "op": ">=", "threshold": "1", "unit": "ratio", "min_samples": 1}


def policy(replay: str, *, asks: bool = True) -> Policy:
    source = (EXAMPLES / "demo.toml").read_text()
    made = load_policy(source + f"\n[performance]\nlooks = 2\nvariants = 5\n\n[performance.replay]\n{replay}\n")
    return changed(made, "gates.validation", [*tree_of(made)["gates"]["validation"], RULE]) if asks else made


OFFERED = policy("offered = true\ntolerance_ms = 2_000")


@pytest.fixture(scope="module")
def validating() -> State:
    return Desk(OFFERED).walk_to(Stage.TESTNET_VALIDATING).state


@dataclass
class Scene:
    """A deployment with a recorded answer and a bot."""

    state: State
    folder: Path
    reports: list[i.SignalsReplayed] = field(default_factory=list)
    reported: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, report: i.SignalsReplayed) -> None:
        self.reports.append(report)
        self.reported.set()

    def replaying(self, script: str = DECIDES, *, command: tuple[str, ...] = ("sh", "bot.sh"), every_s: float = 3_600) -> Replaying:
        bot = self.folder / "bot"
        bot.mkdir()
        (bot / "bot.sh").write_text(script)
        assert self.state.release is not None
        release = replace(self.state.release, artifact=artifact_digest(bot))
        self.state = replace(self.state, release=release)
        recording = MarketRecording(self.folder / "served", lambda: self.state.at)
        recording.open()
        recording.answered("/api/v3/depth", b"", 200, b"{}")
        recording.close()
        offer = Offer(command, partial(copied, bot))
        return Replaying(
            lambda: self.state, self.tell, recording, offer, lambda: self.state.at, every_s=every_s, proposal_waits_s=60
        )


@pytest.fixture
def scene(validating: State, tmp_path: Path) -> Scene:
    return Scene(validating, tmp_path)


async def test_what_the_bot_decides_is_reported_with_what_it_read(scene: Scene) -> None:
    await scene.replaying().refresh()
    (report,) = scene.reports
    assert report.decisions == (Decision(Millis(5), "BTCUSDT", "BUY"),)
    assert report.spans == ((scene.state.at, scene.state.at),)
    assert report.recording.startswith("sha256:")
    assert (report.as_of_seq, report.policy, report.error) == (scene.state.seq, scene.state.policy_digest, "")


async def test_a_bot_that_decides_by_chance_is_an_error(scene: Scene) -> None:
    await scene.replaying("cat >/dev/null; echo $(date +%s%N | cut -c 1-15) BTCUSDT BUY").refresh()
    (report,) = scene.reports
    assert "when it read the same again" in report.error
    assert report.decisions == ()


async def test_another_release_than_the_one_in_force_is_not_replayed(scene: Scene) -> None:
    replaying = scene.replaying()
    (scene.folder / "bot" / "bot.sh").write_text("echo 6 BTCUSDT SELL")
    await replaying.refresh()
    assert "is not the release in force" in scene.reports[0].error


async def test_an_offer_without_a_command_is_an_error(scene: Scene) -> None:
    await scene.replaying(command=()).refresh()
    assert "no `replay`" in scene.reports[0].error


async def test_a_bot_that_is_gone_is_an_error(scene: Scene) -> None:
    replaying = scene.replaying()
    (scene.folder / "bot" / "bot.sh").unlink()
    (scene.folder / "bot").rmdir()
    await replaying.refresh()
    assert "No such file" in scene.reports[0].error


async def test_without_an_offer_nothing_is_replayed(tmp_path: Path) -> None:
    scene = Scene(Desk(policy("offered = false")).walk_to(Stage.TESTNET_VALIDATING).state, tmp_path)
    await scene.replaying().refresh()
    assert scene.reports == []


async def test_a_proposal_that_asks_for_it_waits_for_it(scene: Scene) -> None:
    await scene.replaying().before_proposal(Verb.ADVANCE)
    assert len(scene.reports) == 1


async def test_a_proposal_whose_gate_does_not_ask_waits_for_nothing(scene: Scene) -> None:
    scene.state = replace(scene.state, policy=policy("offered = true\ntolerance_ms = 2_000", asks=False))
    replaying = scene.replaying()
    await replaying.before_proposal(Verb.ADVANCE)
    await replaying.before_proposal(Verb.HALT)
    assert scene.reports == []


@pytest.mark.parametrize(("age_ms", "count"), [(YOUNG_MS - 1, 0), (YOUNG_MS, 1)])
async def test_a_young_replay_serves_a_proposal(scene: Scene, age_ms: int, count: int) -> None:
    tally = scene.state.tally
    assert tally is not None
    known = replace(tally.signals, compared=Compared(Millis(scene.state.at - age_ms), agreed=1))
    scene.state = replace(scene.state, tally=replace(tally, signals=known))
    await scene.replaying().before_proposal(Verb.ADVANCE)
    assert len(scene.reports) == count


async def test_it_is_replayed_now_and_then(scene: Scene) -> None:
    task = asyncio.create_task(scene.replaying(every_s=0.01).run())
    await scene.reported.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("alone", [True, False], ids=["a-file", "a-folder"])
def test_the_copy_has_the_digest_of_what_is_there(tmp_path: Path, alone: bool) -> None:
    bot = tmp_path / "bot"
    bot.mkdir()
    (bot / "bot.sh").write_text(DECIDES)
    path = bot / "bot.sh" if alone else bot
    assert copied(path, tmp_path / "copy") == artifact_digest(path)
    assert (tmp_path / "copy" / "bot.sh").read_text() == DECIDES


def test_a_link_out_of_the_bots_files_is_refused(tmp_path: Path) -> None:
    bot = tmp_path / "bot"
    bot.mkdir()
    (bot / "journal").symlink_to(tmp_path / "journal.db")
    with pytest.raises(ConfigError, match="it is a link"):
        copied(bot, tmp_path / "copy")
