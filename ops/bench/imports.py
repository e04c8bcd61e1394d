"""What a start costs: the modules of each process, ``--help``, and a whole deployment on an empty journal (ADR 59).

The peer is ``python -c "import httpx, pydantic"``, which any client of a venue would load. Figures are processor time, because that
is what a busy machine has to find; the whole start also in seconds. Every round starts new processes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.cli.setup.deployment import TESTNET_KEY, Ports, accounts_file, write_deployment
from ops.bench.measure import Contest, Figures, Goal, Line, Round, turns
from ops.bench.processes import cpu_seconds
from tests.support.memory import children_of
from tests.support.rig import free_port

_PEER = "import httpx, pydantic"
_ROOT = "from controller.cli.loading import begin_loading; begin_loading(); import controller.cli.root, "
_PROCESSES = {
    "controller": "controller.cli.run.processes, controller.bootstrap",
    "signer": "controller.cli.run.signer, controller.cli.run.signer_run, controller.signer.process",
    "watchdog": "controller.cli.run.watchdog, controller.cli.run.watchdog_run",
    "testnet": "controller.cli.run.processes, controller.cli.run.testnet_run, controller.cli.run.testnet_options",
}
_STARTED_WITHIN_S = 120.0


def _python(*arguments: str) -> float:
    """Seconds of processor time of a new interpreter."""
    with subprocess.Popen((sys.executable, *arguments), stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


class Deployment:
    """A deployment with a signer, a watchdog and a testnet of its own, whose live venue is a testnet that runs all the time."""

    def __init__(self, directory: Path) -> None:
        ports = Ports(*(free_port() for _ in range(4)))
        write_deployment(directory, ports)
        path = directory / "gatehouse.toml"
        text = path.read_text(encoding="utf-8").replace("[watchdog]", "[signer]\n\n[watchdog]")
        path.write_text(text.replace("[live]", '[testnet.run]\nfeed = "synthetic"\n\n[live]'), encoding="utf-8")
        self._directory, self._data, self._state = directory, directory / "var", directory / "state"
        self._live = ("--port", str(ports.live), "--accounts", str(accounts_file(directory, "live")), "--ephemeral")

    @contextmanager
    def live(self) -> Iterator[None]:
        """The live venue, running."""
        with self._run("live.out", "testnet", *self._live) as venue:
            _until(lambda: _says(self._directory / "live.out", b"testnet at"), self._directory / "live.out")
            yield
            venue.terminate()

    def measure(self) -> dict[str, float]:
        """Start on an empty journal; then kill the controller, and start again while watchdog and testnet still run."""
        for folder in (self._data, self._state):
            shutil.rmtree(folder, ignore_errors=True)
        (self._data / "testnet").mkdir(mode=0o700, parents=True)
        shutil.copy2(self._directory / TESTNET_KEY, self._data / "testnet" / "testnet.key")
        family: list[int] = []
        try:
            with self._run("first.out", "run", "--dir", str(self._directory)) as process:
                served_s, answer_s = self._served("first.out"), self._answers("first.out")
                family = children_of(process.pid)
                used_s = [cpu_seconds(pid) for pid in (process.pid, *family)]
                process.kill()
            with self._run("second.out", "run", "--dir", str(self._directory)) as process:
                again_s = self._served("second.out")
                family += children_of(process.pid)
                process.kill()
        finally:
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return {"served": served_s, "answer": answer_s, "started": sum(used_s), "controller_started": used_s[0], "again": again_s}

    @contextmanager
    def _run(self, output: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        environment = {**os.environ, "XDG_STATE_HOME": str(self._state)}
        self._began = time.monotonic()
        with (
            (self._directory / output).open("wb") as file,
            subprocess.Popen(
                (sys.executable, "-m", "controller", *arguments), stdout=file, stderr=file, env=environment
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def _served(self, output: str) -> float:
        return self._seconds_until(lambda: _says(self._directory / output, b" runs: gateway"), output)

    def _answers(self, output: str) -> float:
        words = {"watchdog.out": b"watchdog at", "testnet.out": b"testnet at"}
        return self._seconds_until(lambda: all(_says(self._data / name, said) for name, said in words.items()), output)

    def _seconds_until(self, reached: Callable[[], bool], output: str) -> float:
        _until(reached, self._directory / output)
        return time.monotonic() - self._began


def _says(path: Path, words: bytes) -> bool:
    return path.exists() and words in path.read_bytes()


def _until(reached: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while not reached():
        if time.monotonic() > deadline:
            raise RuntimeError(log.read_text(encoding="utf-8"))
        time.sleep(0.01)


@contextmanager
def _open(size: float) -> Iterator[Round]:  # noqa: ARG001 - a start has one size
    with TemporaryDirectory(prefix="g") as folder:
        deployment = Deployment(Path(folder) / "d")

        def ours() -> Figures:
            imports = {name: _python("-c", _ROOT + modules) for name, modules in _PROCESSES.items()}
            return {**imports, **deployment.measure(), "help": _python("-m", "controller", "--help")}

        def peer() -> Figures:
            return {"peer": _python("-c", _PEER)}

        with deployment.live():
            yield partial(turns, ours=ours, peer=peer)


_S = "s of processor time"
_SOON = (Goal("≤ 1.5 s", lambda ours, _: ours <= 1.5),)

CONTEST = Contest(
    "starts",
    (
        Line("`gatehouse --help`", _S, "help", "peer", _PEER, (Goal("≤ 0.3 s", lambda ours, _: ours <= 0.3),)),
        *(Line(f"what the {name} imports", _S, name, "peer", _PEER) for name in _PROCESSES),
        Line("a start on an empty journal, the controller", _S, "controller_started", "peer", _PEER),
        Line("a start on an empty journal, all four processes", _S, "started", "peer", _PEER),
        Line("a start on an empty journal, until it serves", "s", "served", "peer", _PEER, _SOON),
        Line("a start on an empty journal, until watchdog and testnet answer", "s", "answer", "peer", _PEER),
        Line("a start after kill -9, until it serves", "s", "again", "peer", _PEER, _SOON),
    ),
    _open,
)
