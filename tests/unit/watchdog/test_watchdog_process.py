"""The watchdog's process over a real socket: it hears, it answers, it cancels at a venue, and strangers do not reach it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from controller.watchdog.lease import SECOND, Kind, Phase, Terms
from controller.watchdog.log import first_head, verify_lines
from controller.watchdog.protocol import AbsorbedSent, Answer, BeatSent, GoodbyeSent, Hello, LogAsked, LogLines, Message, Wire
from tests.support.kennel import Books, Kennel, kennel
from tests.support.rig import free_port


class Controller:
    """The other end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self.reader, self.writer = reader, writer
        self.wire = Wire(token, "controller", "watchdog")
        self.seq = 0

    async def meet(self, name: str = "desk") -> None:
        hello = await self.hear()
        assert isinstance(hello, Hello)
        self.writer.write(self.wire.line(Hello(nonce="mine", controller_id=name)))
        self.wire.nonces = hello.nonce + "mine"

    async def hear(self) -> Message:
        line = await asyncio.wait_for(self.reader.readline(), 20)
        if not line:
            raise ConnectionResetError
        return self.wire.read(line)

    async def say(self, message: Message) -> Message:
        self.writer.write(self.wire.line(message))
        return await self.hear()

    async def beat(self, epoch: int = 1, **venues: list[str]) -> Answer:
        self.seq += 1
        return cast(
            "Answer", await self.say(BeatSent(epoch=epoch, seq=self.seq, age_ms=0, venues=venues or {"testnet": ["BTCUSDT"]}))
        )

    async def log(self) -> list[str]:
        lines = await self.say(LogAsked(after=0))
        assert isinstance(lines, LogLines)
        return lines.lines


async def connected(dog: Kennel) -> Controller:
    if isinstance(dog.address, Path):
        reader, writer = await asyncio.open_unix_connection(str(dog.address), limit=1 << 22)
    else:
        reader, writer = await asyncio.open_connection(*dog.address, limit=1 << 22)
    dog.connections.append(writer)
    return Controller(reader, writer, dog.token)


async def test_a_silent_controllers_orders_are_cancelled_and_proven_gone(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books({"BTCUSDT": 3})) as dog:
        controller = await connected(dog)
        await controller.meet()
        assert (await controller.beat()).phase is Phase.WATCHING
        await dog.until(lambda: dog.watchdog.phase is Phase.FIRED)
        assert dog.books.orders == {}
        assert dog.report[0] == "the dead man's switch fired"
        report = verify_lines(await controller.log(), "desk", first_head("desk"))
        assert report.fired_seq == 2


async def test_beats_keep_the_orders_open(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books({"BTCUSDT": 3}), terms=Terms(20 * SECOND, SECOND)) as dog:
        controller = await connected(dog)
        await controller.meet()
        for _ in range(5):
            answer = await controller.beat()
            await asyncio.sleep(0.02)
        assert (answer.phase, answer.beat, answer.served) == (Phase.WATCHING, 5, ["testnet"])
        assert dog.books.cancels == []


async def test_the_answer_says_when_the_open_orders_were_last_read(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books(), terms=Terms(20 * SECOND, SECOND)) as dog:
        controller = await connected(dog)
        await controller.meet()
        assert (await controller.beat()).read_age_ms is None
        for _ in range(1_000):
            answer = await controller.beat()
            if answer.read_age_ms is not None:
                break
            await asyncio.sleep(0.02)
        assert (answer.read_age_ms is None, answer.problem) == (False, "")


@pytest.mark.parametrize("defect", [False, True], ids=["a silent venue", "a defect"])
async def test_it_goes_on_cancelling_through(tmp_path: Path, defect: bool) -> None:
    async with kennel(tmp_path, Books({"BTCUSDT": 1}, failing=4, defect=defect)) as dog:
        controller = await connected(dog)
        await controller.meet()
        await controller.beat()
        await dog.until(lambda: dog.watchdog.phase is Phase.FIRED)
        assert dog.books.orders == {}
        assert "the watchdog cannot read the open orders" in dog.report


async def test_only_the_whole_log_can_be_absorbed(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books()) as dog:
        controller = await connected(dog)
        await controller.meet()
        await controller.beat()
        await dog.until(lambda: dog.watchdog.phase is Phase.FIRED)
        answer = cast("Answer", await controller.say(AbsorbedSent(epoch=1, seq=1, hash="sha256:00")))
        assert answer.phase is Phase.FIRED
        answer = cast("Answer", await controller.say(AbsorbedSent(epoch=1, seq=answer.head_seq, hash=answer.head_hash)))
        assert answer.phase is Phase.WATCHING


async def test_a_process_started_by_run_ends_with_its_controllers_goodbye(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books(), terms=Terms(20 * SECOND, SECOND, attached=True)) as dog:
        controller = await connected(dog)
        await controller.meet()
        await controller.beat()
        await controller.say(GoodbyeSent(epoch=1))
        await asyncio.wait_for(dog.running, 20)


async def test_a_stop_waits_for_the_proof_and_a_second_one_does_not(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books(failing=10**6)) as dog:
        controller = await connected(dog)
        await controller.meet()
        await controller.beat()
        await dog.until(lambda: dog.watchdog.phase is Phase.FIRING)
        dog.watchdog.stop()
        assert not dog.watchdog.ended.is_set()
        dog.watchdog.stop()
        await asyncio.wait_for(dog.running, 20)


async def test_a_removed_socket_is_bound_again(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books()) as dog:
        path = cast("Path", dog.address)
        path.unlink()
        await dog.until(path.is_socket)
        controller = await connected(dog)
        await controller.meet()


async def test_the_socket_is_private(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books()) as dog:
        assert cast("Path", dog.address).stat().st_mode & 0o077 == 0


async def test_another_deployments_controller_is_not_heard(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books()) as dog:
        controller = await connected(dog)
        await controller.meet("other")
        with pytest.raises(ConnectionResetError):
            await controller.beat()
        assert dog.watchdog.phase is Phase.WAITING


async def test_over_tcp_both_sides_need_the_token(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books(), address=("127.0.0.1", free_port()), token="0123456789abcdef") as dog:
        controller = await connected(dog)
        await controller.meet()
        assert (await controller.beat()).phase is Phase.WATCHING
        stranger = await connected(dog)
        stranger.wire.token = "wrong"
        stranger.writer.write(stranger.wire.line(Hello(nonce="n", controller_id="desk")))
        await stranger.reader.readline()
        assert await asyncio.wait_for(stranger.reader.read(), 20) == b""


async def test_over_tcp_a_repeated_line_ends_the_connection(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books(), address=("127.0.0.1", free_port()), token="0123456789abcdef") as dog:
        controller = await connected(dog)
        await controller.meet()
        line = controller.wire.line(BeatSent(epoch=1, seq=1, age_ms=0, venues={}))
        controller.writer.write(line)
        await controller.hear()
        controller.writer.write(line)
        with pytest.raises(ConnectionResetError):
            await controller.hear()


@pytest.mark.parametrize("line", [b"- {}\n", b"- []\n", b"nothing\n", b"\xff\xfe\n", b'- {"type":"beat"}\n', b"x" * (1 << 21)])
async def test_what_is_no_message_ends_the_connection(tmp_path: Path, line: bytes) -> None:
    async with kennel(tmp_path, Books()) as dog:
        controller = await connected(dog)
        await controller.meet()
        controller.writer.write(line)
        with suppress(ConnectionError):
            assert await asyncio.wait_for(controller.reader.read(), 20) == b""
        assert (await (await _met(dog)).beat()).beat == 1


async def _met(dog: Kennel) -> Controller:
    controller = await connected(dog)
    await controller.meet()
    return controller


async def test_a_new_process_goes_on_cancelling_for_one_that_was_killed(tmp_path: Path) -> None:
    async with kennel(tmp_path, Books(failing=10**6)) as dog:
        controller = await _met(dog)
        await controller.beat()
        await dog.until(lambda: dog.watchdog.phase is Phase.FIRING)
    async with kennel(tmp_path, Books({"BTCUSDT": 2})) as dog:
        await dog.until(lambda: dog.watchdog.phase is Phase.FIRED)
        assert dog.books.orders == {}
        assert Kind.EMPTY.value in "".join(await (await _met(dog)).log())
