"""A running controller with a channel that hangs, one that fails and one that works, and the command line that shows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from tests.support.receivers import Receiver, receiving, until
from tests.support.rig import Rig, rig

SECRET = "secret-of-the-receiver"
TOKEN = "token-of-the-address-42"
TABLE = """
[[alerts.channels]]
name = "stuck"
to = "webhook"
url_file = "secrets/stuck.url"
secret_file = "secrets/receiver.secret"
private = ["127.0.0.1"]

[[alerts.channels]]
name = "chat"
to = "apprise"
url_file = "secrets/chat.url"
"""


@pytest.fixture
def working() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def hanging() -> Iterator[Receiver]:
    with receiving(hang=Event()) as running:
        yield running


@pytest.fixture
async def deployment(tmp_path: Path, working: Receiver, hanging: Receiver) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment", checkpoints=TABLE) as built:
        folder = built.directory / "secrets"
        folder.mkdir(exist_ok=True)
        for name, text in (
            ("stuck.url", f"http://127.0.0.1:{hanging.port}/{TOKEN}"),
            ("chat.url", f"json://127.0.0.1:{working.port}/{TOKEN}"),
            ("receiver.secret", SECRET),
        ):
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        await built.start()
        await built.armed()
        yield built


def halted(receiver: Receiver) -> bool:
    return any(b"HALTED" in post.body for post in receiver.posts)


async def test_a_halt_is_told_while_another_channel_hangs(deployment: Rig, working: Receiver, hanging: Receiver) -> None:
    began = monotonic()
    assert (await deployment.ask("POST", "/v1/halt", json={"reason": "the test stops it"})).status_code == 200
    applied_s = monotonic() - began
    await asyncio.to_thread(until, lambda: halted(working) and hanging.asked)
    assert hanging.posts == []
    status = await deployment.status()
    assert status["stage"] == "HALTED"
    assert applied_s < 10, "the channel's time limit was waited for"
    (alert,) = [one for one in status["oversight"]["alerts"] if one["kind"] == "halted"]
    assert (alert["severity"], alert["cleared_at_ms"]) == ("critical", None)
    await deployment.until(lambda status: status["oversight"]["alerts"][0]["reached"] == ["chat"])
    await deployment.stop()
    written = b"".join(
        path.read_bytes() for path in deployment.directory.rglob("*") if path.is_file() and path.parent.name != "secrets"
    )
    assert TOKEN.encode() not in written
    assert SECRET.encode() not in written
