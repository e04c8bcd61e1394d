"""Keeps one process of our own running beside the controller: the watchdog, and the testnet of a deployment that has one here."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread

from controller.core.effects import Alert, AlertKind
from controller.notifying.ahead import Ahead, command

LOOK_EVERY_S = 0.25
AGAIN_AFTER_S, AGAIN_AFTER_MOST_S = 0.5, 30.0
"""The pause before a new process; it doubles while processes end within ``STEADY_S``."""
STEADY_S = 60.0


class Supervisor(Thread):
    """Starts ``gatehouse`` with ``arguments`` whenever no such process runs. A thread, because the event loop may be what hangs.

    The process has a session of its own and outlives this one. ``is_running`` also finds one that an earlier controller started.
    ``ahead`` is a process that was started ahead with these arguments: it is the first, if one is needed.
    """

    def __init__(
        self,
        name: str,
        kind: AlertKind,
        arguments: Sequence[str],
        output: Path,
        is_running: Callable[[], bool],
        notify: Callable[[Alert], object],
        ahead: Ahead | None = None,
    ) -> None:
        super().__init__(name=f"{name}'s process", daemon=True)
        self._what, self._kind = name, kind
        self._command = command(arguments)
        self._ahead = ahead
        self._output = output
        self._is_running = is_running
        self._notify = notify
        self._ending = Event()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that was started here last, if it runs; else 0."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def end(self) -> None:
        """Start no process any more."""
        self._ending.set()

    def run(self) -> None:
        """Start a process whenever none runs, until ``end``."""
        pause_s = AGAIN_AFTER_S
        while not self._ending.is_set():
            # One that an earlier controller started may still run: it serves this controller too.
            if self._is_running():
                self._drop()
                self._ending.wait(LOOK_EVERY_S)
                continue
            began = time.monotonic()
            code = self._run_once()
            if self._ending.is_set():
                return
            lived_s = time.monotonic() - began
            pause_s = AGAIN_AFTER_S if lived_s > STEADY_S else min(pause_s * 2, AGAIN_AFTER_MOST_S)
            detail = f"it lived {lived_s:.0f} s and ended with {code}; a new one starts in {pause_s:g} s; see {self._output.name}"
            self._notify(Alert(self._kind, f"the {self._what} ended", detail))
            self._ending.wait(pause_s)
        self._drop()

    def _drop(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.drop()

    def _run_once(self) -> int | str:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.begin():
            self._process = ahead.process
            return self._ended(ahead.process)
        try:
            with self._output.open("ab") as output:
                process = self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
        except OSError as error:
            return str(error)
        return self._ended(process)

    def _ended(self, process: subprocess.Popen[bytes]) -> int | str:
        while (code := process.poll()) is None and not self._ending.wait(LOOK_EVERY_S):
            pass
        return code if code is not None else "still running"
