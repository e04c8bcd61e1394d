"""Tells the service manager that started this process how it is: systemd's notification protocol (``sd_notify(3)``).

``gatehouse run``, ``signer``, ``watchdog`` and ``testnet`` use it. Without ``NOTIFY_SOCKET`` in the environment nothing is sent. A
process that is to be restarted when it hangs must say ``WATCHDOG=1`` within ``WATCHDOG_USEC``. It is said here only when the work
itself went on since the last time, so a process that lives and does nothing is restarted too (ADR 70).
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

SEND_WITHIN_S = 0.2
"""A manager that does not read must not hold up the event loop for longer."""

LOOK_AT_LEAST_EVERY_S = 5.0
STARTING_MAY_TAKE_US = 180_000_000
"""How much longer a start may take after each word about what it waits for; one comes at least every 60 s."""

MOST_TEXT = 300


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Where notifications go. ``address`` is empty without a manager; ``watchdog_us`` is 0 when it does not watch."""

    address: str = ""
    watchdog_us: int = 0

    @property
    def look_every_s(self) -> float:
        """How often to look whether the work went on: four times in the time that the manager allows."""
        return min(self.watchdog_us / 4e6, LOOK_AT_LEAST_EVERY_S) if self.watchdog_us else LOOK_AT_LEAST_EVERY_S

    def ready(self, status: str) -> None:
        """What this process is for can be done now."""
        self._send("READY=1", _status(status))

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send(_status(status))

    def alive(self) -> None:
        """The work went on. Only say so when it did."""
        if self.watchdog_us:
            self._send("WATCHDOG=1")

    def starting(self, status: str) -> None:
        """The start waits for something, and may take longer than the manager allows for a start."""
        self._send(f"EXTEND_TIMEOUT_USEC={STARTING_MAY_TAKE_US}", _status(status))

    def stopping(self, status: str) -> None:
        """This process ends by itself now; the manager waits for it as long as for one that it stops."""
        self._send("STOPPING=1", _status(status))

    def _send(self, *lines: str) -> None:
        if not self.address:
            return
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        # A notification that is lost is repeated (alive), or missed by people alone. Nothing is decided here.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SEND_WITHIN_S)
            sender.connect(name)
            sender.send("\n".join(lines).encode())


NONE = ServiceManager()
"""No service manager: a process that a person or a test started."""


def from_environment() -> ServiceManager:
    """The manager that the environment names, which is then taken out of it: a child of this process must not speak for it."""
    address, microseconds = os.environ.pop("NOTIFY_SOCKET", ""), os.environ.pop("WATCHDOG_USEC", "")
    watched = os.environ.pop("WATCHDOG_PID", "")
    if not address.startswith(("/", "@")):
        return NONE
    ours = watched in {"", str(os.getpid())}
    return ServiceManager(address, int(microseconds) if ours and microseconds.isdecimal() else 0)


class Turns:
    """For a process without an event loop: called after each piece of work and each wait, it says WATCHDOG=1 when that is due."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._due_s = 0.0

    def __call__(self) -> None:
        """Work or a wait has ended."""
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + self._manager.look_every_s
            self._manager.alive()


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:MOST_TEXT]}"
