"""A watchdog's alerts go through the deployment's own channels, because a controller that is silent sends none."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from controller.cli.run.watchdog_run import open_alerts
from controller.cli.setup.deployment import Ports, write_deployment
from controller.runtime.loop.clock import SystemClock
from controller.settings.deployment import Settings, load_settings
from controller.telemetry.redact import Redactor
from tests.support.receivers import Receiver, receiving, until

CHANNELS = """
[[alerts.channels]]
name = "chat"
to = "apprise"
url_file = "secrets/chat.url"

[[alerts.channels]]
name = "pager"
to = "webhook"
url_file = "secrets/pager.url"
secret_file = "secrets/pager.secret"
private = ["127.0.0.1"]
severity = "critical"
step = 2
"""


@pytest.fixture
def chat() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def pager() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def directory(tmp_path: Path, chat: Receiver, pager: Receiver) -> Path:
    """A deployment with two channels."""
    where = tmp_path / "deployment"
    write_deployment(where, Ports(8700, 8701, 8702, 8703))
    path = where / "gatehouse.toml"
    path.write_text(path.read_text() + CHANNELS)
    for name, text in (
        ("chat.url", f"json://127.0.0.1:{chat.port}/"),
        ("pager.url", f"http://127.0.0.1:{pager.port}/"),
        ("pager.secret", "secret-of-the-receiver"),
    ):
        (where / "secrets").mkdir(exist_ok=True)
        (where / "secrets" / name).write_text(text)
        (where / "secrets" / name).chmod(0o600)
    return where


async def said(directory: Path, settings: Settings, title: str) -> None:
    """Open the alerts as a watchdog does, send one, and end."""
    async with AsyncExitStack() as stack:
        tell = open_alerts(directory, settings, SystemClock(), Redactor(), stack)
        tell(title, "the controller is silent")


async def test_every_channel_gets_it_at_once_whatever_its_step(directory: Path, chat: Receiver, pager: Receiver) -> None:
    await said(directory, load_settings(directory), "it cancels every order")
    for receiver in (chat, pager):
        await asyncio.to_thread(
            until, lambda receiver=receiver: any(b"it cancels every order" in post.body for post in receiver.posts)
        )


async def test_a_channel_that_cannot_be_read_is_named_and_the_others_work(
    directory: Path, chat: Receiver, pager: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    (directory / "secrets" / "pager.url").unlink()
    with caplog.at_level(logging.INFO, "gatehouse.alerts"):
        await said(directory, load_settings(directory), "it cancels every order")
    await asyncio.to_thread(until, lambda: any(b"pager" in post.body for post in chat.posts))
    await asyncio.to_thread(until, lambda: any(b"it cancels every order" in post.body for post in chat.posts))
    assert pager.posts == []
    assert "the watchdog cannot use it" in caplog.text


async def test_a_channel_whose_library_does_not_load_is_named(
    directory: Path, chat: Receiver, pager: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with caplog.at_level(logging.INFO, "gatehouse.alerts"):
        await said(directory, load_settings(directory), "it cancels every order")
    await asyncio.to_thread(until, lambda: any(b"it cancels every order" in post.body for post in pager.posts))
    assert chat.posts == []
    assert "Apprise fails with ModuleNotFoundError" in caplog.text
