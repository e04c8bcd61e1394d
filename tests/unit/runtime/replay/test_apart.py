"""A replay is somebody else's program: it gets the market and nothing else, and what it prints is read with suspicion."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from controller.runtime.replay.apart import ReplayFailed, decide_again, read_decisions
from exchange.model import Millis
from gates.series import Decision
from gates.signals import DECISIONS_MOST

MARKET = [b'{"at":1000}\n', b'{"at":2000}\n']


class Bot:
    """The files of a bot, which is a shell script."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.scratch = folder / "bot", folder / "root"
        self.folder.mkdir()
        self.scratch.mkdir()

    async def replayed(self, script: str, within_s: float = 60) -> tuple[Decision, ...]:
        (self.folder / "bot.sh").write_text(script)
        return await decide_again(["sh", "bot.sh"], self.folder, self.scratch, MARKET, within_s=within_s)

    async def fails(self, script: str, within_s: float = 60) -> str:
        with pytest.raises(ReplayFailed) as failed:
            await self.replayed(script, within_s)
        return str(failed.value)

    async def says(self, question: str) -> str:
        """The one line that a command prints in there."""
        return await self.fails(f'cat >/dev/null; answer=$({question} 2>&1 | tail -1); echo "$answer" >&2; exit 3')


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    return Bot(tmp_path)


async def test_it_reads_the_market_and_its_decisions_are_read(bot: Bot) -> None:
    found = await bot.replayed('while read -r line; do echo "${line#*:}" | tr -d "}" | sed "s/$/ BTCUSDT BUY/"; done')
    assert found == (Decision(Millis(1000), "BTCUSDT", "BUY"), Decision(Millis(2000), "BTCUSDT", "BUY"))


async def test_it_sees_no_file_of_the_deployment(bot: Bot, tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("the orders")
    assert "No such file" in await bot.says(f"cat {tmp_path}/journal.db")
    assert "exit code 3: bin bot dev" in await bot.says("echo $(ls /)")


async def test_it_reaches_no_network(bot: Bot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        asked = f'python3 -c "import socket; socket.create_connection((\\"127.0.0.1\\", {port}), 2)"'
        assert "Network is unreachable" in await bot.says(asked)


async def test_it_has_no_environment(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_LIVE_SECRET", "secret")
    assert "secret" not in await bot.says("echo $(env)")


@pytest.mark.parametrize("path", ["/usr/bin/own", "/bot/own", "/dev/own/own"])
async def test_it_changes_no_file(bot: Bot, path: str) -> None:
    said = await bot.says(f"touch {path}")
    assert "Read-only" in said or "No such file" in said


async def test_it_has_no_power_over_its_root(bot: Bot) -> None:
    said = await bot.says("python3 -c 'import os; os.chroot(\"/tmp\")'")
    assert "Operation not permitted" in said


async def test_it_makes_no_namespaces_of_its_own(bot: Bot) -> None:
    assert "Operation not permitted" in await bot.says("unshare --user true")


async def test_one_that_does_not_end_is_ended(bot: Bot) -> None:
    assert await bot.fails("sleep 100", within_s=1) == "the replay took longer than 1 s"


async def test_one_that_prints_without_end_is_ended(bot: Bot) -> None:
    assert await bot.fails("yes '1 BTCUSDT BUY'") == "the replay printed more than 640,000 bytes"


async def test_one_that_fails_says_why(bot: Bot) -> None:
    assert await bot.fails("cat >/dev/null; echo no model here >&2; exit 7") == "the replay ended with exit code 7: no model here"


async def test_one_that_reads_nothing_decides_what_it_prints(bot: Bot) -> None:
    assert await bot.replayed("exec <&-; echo 5 BTCUSDT SELL") == (Decision(Millis(5), "BTCUSDT", "SELL"),)


async def test_a_recording_that_cannot_be_read_is_an_error(bot: Bot, tmp_path: Path) -> None:
    def broken() -> object:
        yield MARKET[0]
        raise OSError("the disk is gone")

    (bot.folder / "bot.sh").write_text("cat >/dev/null")
    with pytest.raises(ReplayFailed, match="the disk is gone"):
        await decide_again(["sh", "bot.sh"], bot.folder, bot.scratch, broken())  # type: ignore[arg-type]


async def test_nothing_of_it_is_left(bot: Bot) -> None:
    await bot.fails("sleep 4242 & sleep 4242", within_s=1)
    assert not list(bot.scratch.iterdir())
    assert running("sleep", "4242") == 0


def running(*command: str) -> int:
    """How many processes run this command."""
    wanted, found = b"".join(one.encode() + b"\0" for one in command), 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += path.read_bytes() == wanted
    return found


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"NaN BTCUSDT BUY\n", "line 1 of the replay is not `TIME SYMBOL SIDE`"),
        (b"1 BTCUSDT BUY\n2 BTCUSDT HOLD\n", "line 2 of the replay is not"),
        (b"1 BTCUSDT BUY\n\xff\n", "line 2 of the replay is not"),
        (b"2 BTCUSDT BUY\n1 BTCUSDT SELL\n", "line 2 of the replay is of an earlier time"),
        (b"1 A BUY\n" * (DECISIONS_MOST + 1), "more than 10,000 decisions"),
    ],
    ids=["not-a-time", "not-a-side", "not-text", "backwards", "too-many"],
)
def test_anything_else_is_refused(answer: bytes, why: str) -> None:
    with pytest.raises(ReplayFailed, match=why):
        read_decisions(answer)


def test_an_empty_answer_is_no_decision() -> None:
    assert read_decisions(b"\n\n") == ()
