"""A signer that runs as a service says that it goes on, while it waits for a controller and while it waits for a request."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from controller.notifying.service_manager import ServiceManager
from controller.signer.process import listen
from controller.signer.service import SignerService


@dataclass(frozen=True)
class Heard(ServiceManager):
    """Notes what would be sent, and wakes who waits for it."""

    watchdog_us: int = 200_000
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def _send(self, *lines: str) -> None:
        with self.changed:
            self.lines.extend(lines)
            self.changed.notify_all()

    def wait_for(self, line: str, times: int = 1) -> None:
        """Wait until this line was said so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.lines.count(line) >= times, 20)


class Echo:
    """Answers a request with itself."""

    def answer(self, request: bytes) -> bytes:
        return request


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    manager = Heard()
    arguments = (tmp_path / "signer.sock", cast("SignerService", Echo()), manager)
    threading.Thread(target=listen, args=arguments, daemon=True).start()
    manager.wait_for("WATCHDOG=1")
    return manager


def test_a_signer_without_a_controller_goes_on(heard: Heard) -> None:
    assert heard.lines[:2] == ["READY=1", "STATUS=no controller is connected"]
    heard.wait_for("WATCHDOG=1", 3)


def test_a_signer_with_a_quiet_controller_goes_on_and_answers(heard: Heard, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as controller:
        controller.connect(str(tmp_path / "signer.sock"))
        heard.wait_for("STATUS=a controller is connected")
        heard.wait_for("WATCHDOG=1", heard.lines.count("WATCHDOG=1") + 3)
        controller.send(b"sign this")
        assert controller.recv(100) == b"sign this"
    heard.wait_for("STATUS=no controller is connected", 2)
