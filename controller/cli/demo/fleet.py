"""Starts, watches and ends the demo's processes. Every process has its own group, so none is left running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from controller.cli.setup.deployment import DEFAULT_PORTS, HOST, Ports
from exchange.errors import GatehouseError

_TAIL = 15
_GRACE_SECONDS = 4.0
_HIDDEN = ("GATEHOUSE_",)


class DemoFailed(GatehouseError):
    """A step of the demo failed; the message ends with the log of the failed process."""


@dataclass(slots=True)
class Child:
    """One process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self) -> str:
        """The end of its log."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:])
        return "(no log)"


@dataclass(slots=True)
class Fleet:
    """Every process of one demo, in the order they were started."""

    directory: Path
    children: list[Child] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a process in a group of its own, its output going to ``logs/<name>.log``."""
        logs = self.directory / "logs"
        logs.mkdir(exist_ok=True)
        log = logs / f"{name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603 - our own programs with our own arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=environment(),
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def check(self) -> None:
        """Check that every process still runs. Raises ``DemoFailed`` with the log of the first that ended."""
        for child in self.children:
            code = child.process.poll()
            if code is not None:
                raise failed(f"{child.name} ended with code {code}", child)

    def stop(self) -> None:
        """End every process and its children, the last started first: SIGTERM, then SIGKILL."""
        for child in reversed(self.children):
            _signal(child, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(_GRACE_SECONDS)
        for child in self.children:
            _signal(child, signal.SIGKILL)
            child.process.wait()
        self.children.clear()


def failed(what: str, child: Child) -> DemoFailed:
    """An error with the end of the process's log."""
    return DemoFailed(
        f"{what}; the end of {child.log}:\n{child.tail()}", code="demo-failed", remedy=f"Read the whole log: {child.log}"
    )


def gatehouse(*arguments: str) -> list[str]:
    """A gatehouse command line for this Python interpreter."""
    return [sys.executable, "-P", "-m", "controller", *arguments]


def environment() -> dict[str, str]:
    """This process's environment without gatehouse's variables for another deployment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def free_ports() -> tuple[Ports, list[str]]:
    """The documented ports, or free ones if they are taken. The second part names the changed ports."""
    chosen: dict[str, int] = {}
    moved = []
    for name in ("gateway", "console", "testnet", "live"):
        wanted: int = getattr(DEFAULT_PORTS, name)
        port = wanted if _is_free(wanted) else _free_port()
        chosen[name] = port
        if port != wanted:
            moved.append(f"port {wanted} is taken, so {name} uses {port}")
    return Ports(**chosen), moved


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((HOST, port))
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _signal(child: Child, number: int) -> None:
    # The group outlives its first process if a child still runs.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)
