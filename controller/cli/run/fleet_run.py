"""Reads the deployments of a fleet, each on a thread of its own, and serves their page. ``run.fleet`` calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread

from controller.cli.shared.client import OperatorClient
from controller.console.fleet import Heard, create_fleet_app
from controller.console.schema import StatusView
from controller.console.server import serving
from exchange.errors import GatehouseError, UsageError

READ_EVERY_S = 1.0
ANSWER_WITHIN_S = 3.0


class Listener:
    """One deployment. One that hangs makes only itself old."""

    def __init__(self, directory: Path, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._directory = directory
        self._monotonic_ns = monotonic_ns
        self._said: tuple[StatusView, int] | None = None
        self._problem = ""
        self._ending = Event()
        self._thread = Thread(target=self._run, name=f"fleet: {directory}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def end(self) -> None:
        """Read no more."""
        self._ending.set()

    def heard(self) -> Heard:
        """What is known of it now."""
        said = self._said
        age = None if said is None else max(0, self._monotonic_ns() - said[1]) // 1_000_000
        return Heard(str(self._directory), said[0] if said else None, age, self._problem)

    def _run(self) -> None:
        while not self._ending.is_set():
            asked = self._monotonic_ns()
            try:
                with OperatorClient(self._directory, answer_within_s=ANSWER_WITHIN_S) as client:
                    # As old as the question: what the answer says may have been so only then.
                    self._said = client.status(), asked
                self._problem = ""
            except GatehouseError as error:
                self._problem = error.message
            self._ending.wait(READ_EVERY_S)


async def serve(directories: Sequence[Path], host: str, port: int, announce: Callable[[str], None]) -> None:
    """Run until cancelled; ``announce`` gets the address.

    Raises:
        UsageError: the address is not of loopback: this page asks for no token.
        ConfigError: ``cannot-listen``.
    """
    _require_loopback(host)
    listeners = [Listener(one) for one in dict.fromkeys(directories)]
    for one in listeners:
        one.start()
    try:
        app = create_fleet_app(lambda: [one.heard() for one in listeners])
        async with serving(app, host, port, name="fleet page") as bound:
            announce(f"http://{f'[{host}]' if ':' in host else host}:{bound}")
            await asyncio.Event().wait()
    finally:
        for one in listeners:
            one.end()


def _require_loopback(host: str) -> None:
    try:
        here = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        here = False
    if not here:
        raise UsageError(
            f"{host} is not an address of this machine alone, and the fleet page asks for no token",
            code="usage",
            remedy="Use 127.0.0.1, and open it from elsewhere through `ssh -L 8705:127.0.0.1:8705 USER@HOST`.",
        )
