"""The machine of the private world: processes that keep it busy, and what each part of gatehouse takes of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Resident:
    """A process of gatehouse: its part, its resident memory, and how many descriptors and threads it has."""

    part: str
    pid: int
    megabytes: float
    descriptors: int
    threads: int


@contextmanager
def burning(number: int) -> Iterator[None]:
    """So many processes that compute without a pause, at the priority of everything but MEXC's stand-in."""
    started = [subprocess.Popen(("sh", "-c", "while :; do :; done")) for _ in range(number)]
    try:
        for process in started:
            level(process.pid)
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def favour() -> None:
    """MEXC is another machine: its stand-in, which is this process, is not starved with the rest."""
    os.setpriority(os.PRIO_PROCESS, 0, -10)


def level(pid: int) -> None:
    """Give a process that this one has just started the priority of everything else."""
    os.setpriority(os.PRIO_PROCESS, pid, 0)


def residents() -> Iterator[Resident]:
    """Every process of gatehouse in this namespace."""
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
            pages = int((directory / "statm").read_text().split()[1])
            descriptors, threads = (sum(1 for _ in (directory / name).iterdir()) for name in ("fd", "task"))
        except OSError:
            continue
        if b"controller" in words:
            verb = words[words.index(b"controller") + 1].decode()
            yield Resident({"run": "controller"}.get(verb, verb), int(directory.name), pages * 4096 / 1e6, descriptors, threads)
