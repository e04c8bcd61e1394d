"""Starts the watchdog's process beside the controller and starts it again when it ends. ``run`` calls it (ADR 27).

The process has a session of its own, so that nothing that ends the controller ends it. It outlives the controller, cancels what is
left, and ends by itself. A watchdog on another host is not started here.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from threading import Event, Thread

from controller.bootstrap.read import Deployment
from controller.core.effects import Alert, AlertKind
from controller.runtime.followers.heartbeat import Heartbeat, Ties
from controller.settings.deployment import read_secret
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.watchdog.log import is_locked
from policies.stage import Environment

OUTPUT_FILE = "watchdog.out"
LOOK_EVERY_S = 0.25
AGAIN_AFTER_S, AGAIN_AFTER_MOST_S = 0.5, 30.0
"""The pause before a new process; it doubles while processes end within ``STEADY_S``."""
STEADY_S = 60.0


def ties_of(deployment: Deployment, redactor: Redactor) -> Ties | None:
    """How the controller reaches its watchdog; ``None`` when the settings have none. Raises ``ConfigError`` without its token."""
    settings = deployment.settings.watchdog
    if not settings.enabled:
        return None
    token = read_secret(deployment.directory, settings.token_file) if settings.token_file else ""
    redactor.register(token)
    production = deployment.settings.environment is Environment.PRODUCTION
    return Ties(settings.where(deployment.data), token, settings.lease_s, settings.is_required(production=production))


def keep_watchdog(deployment: Deployment, alerts: Alerts, stack: AsyncExitStack) -> None:
    """Keep a watchdog running on this host, if the settings have one here. ``stack`` ends the keeping, never the watchdog."""
    settings = deployment.settings.watchdog
    if not settings.enabled or settings.address:
        return
    loop = asyncio.get_running_loop()
    supervisor = _Supervisor(deployment.directory, deployment.data, lambda alert: loop.call_soon_threadsafe(alerts.notify, alert))
    supervisor.start()
    stack.callback(supervisor.end)


def say_goodbye_at_the_end(heartbeat: Heartbeat | None, nothing_left: asyncio.Event, stack: AsyncExitStack) -> None:
    """Tell the watchdog that nobody has to be watched any more, if the controller ended with ``nothing_left`` open.

    A controller that fails, or that is hurried out with orders open, says nothing: the watchdog then cancels what it left.
    """
    if heartbeat is None:
        return

    async def goodbye() -> None:
        if nothing_left.is_set():
            await heartbeat.goodbye()

    stack.push_async_callback(goodbye)


class _Supervisor(Thread):
    """Keeps one watchdog process. A thread, because the event loop may be what hangs."""

    def __init__(self, directory: Path, data: Path, notify: Callable[[Alert], object]) -> None:
        super().__init__(name="watchdog's process", daemon=True)
        self._command = (sys.executable, "-m", "controller", "watchdog", "--dir", str(directory.resolve()), "--attached")
        self._data = data
        self._notify = notify
        self._ending = Event()

    def end(self) -> None:
        """Start no process any more."""
        self._ending.set()

    def run(self) -> None:
        """Start a process whenever none runs, until ``end``."""
        pause_s = AGAIN_AFTER_S
        while not self._ending.is_set():
            # One that an earlier controller started may still run: it hears this controller too.
            if is_locked(self._data):
                self._ending.wait(LOOK_EVERY_S)
                continue
            began = time.monotonic()
            code = self._run_once()
            if self._ending.is_set():
                return
            lived_s = time.monotonic() - began
            pause_s = AGAIN_AFTER_S if lived_s > STEADY_S else min(pause_s * 2, AGAIN_AFTER_MOST_S)
            detail = f"it lived {lived_s:.0f} s and ended with {code}; a new one starts in {pause_s:g} s; see {OUTPUT_FILE}"
            self._notify(Alert(AlertKind.WATCHDOG, "the watchdog ended", detail))
            self._ending.wait(pause_s)

    def _run_once(self) -> int | str:
        try:
            with (self._data / OUTPUT_FILE).open("ab") as output:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
        except OSError as error:
            return str(error)
        while (code := process.poll()) is None and not self._ending.wait(LOOK_EVERY_S):
            pass
        return code if code is not None else "still running"
