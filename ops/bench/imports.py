"""What a start costs: the modules of each process, ``--help``, and a whole deployment on an empty journal (ADR 59).

The peer is ``python -c "import httpx, pydantic"``, which any client of a venue would load. Figures are processor time, because that
is what a busy machine has to find; the whole start also in seconds. Every round starts new processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.cli.setup.deployment import Ports, write_deployment
from ops.bench.measure import Contest, Figures, Goal, Line, Round, turns
from tests.support.memory import children_of
from tests.support.rig import free_port

_PEER = ("-c", "import httpx, pydantic")
_ROOT = "import sys; sys.modules.setdefault('httpx._main', None); import controller.cli.root, "
_PROCESSES = {
    "controller": "controller.cli.run.processes, controller.bootstrap",
    "signer": "controller.cli.run.signer, controller.cli.run.signer_run, controller.signer.process",
    "watchdog": "controller.cli.run.watchdog, controller.cli.run.watchdog_run",
    "testnet": "controller.cli.run.processes, controller.cli.run.testnet_run, controller.cli.run.testnet_options",
}
_STARTED_WITHIN_S = 120.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def _python(*arguments: str) -> float:
    """Seconds of processor time of a new interpreter."""
    with subprocess.Popen((sys.executable, *arguments), stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def _used(pid: int) -> float:
    """Seconds of processor time of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def write(directory: Path) -> None:
    """A deployment with a signer, a watchdog and a testnet of its own."""
    write_deployment(directory, Ports(*(free_port() for _ in range(4))))
    path = directory / "gatehouse.toml"
    text = path.read_text(encoding="utf-8").replace("[watchdog]", "[signer]\n\n[watchdog]")
    path.write_text(text.replace("[live]", '[testnet.run]\nfeed = "synthetic"\n\n[live]'), encoding="utf-8")


def start(directory: Path) -> dict[str, float]:
    """Start the deployment on its empty journal, measure until it serves and until all its processes answer, and end it."""
    log, data = directory / "log", directory / "var"
    environment = {**os.environ, "XDG_STATE_HOME": str(directory / "state")}
    command = (sys.executable, "-m", "controller", "run", "--dir", str(directory))
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    family: list[int] = []
    try:
        _until(lambda: _says(log, b" runs: gateway"), log)
        ready_s = time.monotonic() - began
        _until(lambda: _says(data / "watchdog.out", b"watchdog at") and _says(data / "testnet.out", b"testnet at"), log)
        answer_s = time.monotonic() - began
        family = children_of(process.pid)
        used_s = [_used(pid) for pid in (process.pid, *family)]
        return {"ready_s": ready_s, "answer_s": answer_s, "started": sum(used_s), "controller_started": used_s[0]}
    finally:
        process.terminate()
        process.wait()
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


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
    numbers = count()
    with TemporaryDirectory(prefix="g") as folder:

        def ours() -> Figures:
            directory = Path(folder) / str(next(numbers))
            write(directory)
            figures = {name: _python("-c", _ROOT + modules) for name, modules in _PROCESSES.items()}
            return {**figures, **start(directory), "help": _python("-m", "controller", "--help")}

        def peer() -> Figures:
            return {"peer": _python(*_PEER)}

        yield partial(turns, ours=ours, peer=peer)


_NAME = "import httpx, pydantic"
_S = "s of processor time"

CONTEST = Contest(
    "starts",
    (
        Line("`gatehouse --help`", _S, "help", "peer", _NAME, (Goal("≤ 0.3 s", lambda ours, _: ours <= 0.3),)),
        *(Line(f"what the {name} imports", _S, name, "peer", _NAME) for name in _PROCESSES),
        Line("start on an empty journal, the controller's part", _S, "controller_started", "peer", _NAME),
        Line("start on an empty journal, all four processes", _S, "started", "peer", _NAME),
        Line(
            "start on an empty journal, until it serves",
            "s",
            "ready_s",
            "peer",
            _NAME,
            (Goal("≤ 1.5 s", lambda ours, _: ours <= 1.5),),
        ),
        Line("start on an empty journal, until watchdog and testnet answer", "s", "answer_s", "peer", _NAME),
    ),
    _open,
)
