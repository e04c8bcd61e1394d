"""Looks for a text in the memory and the environment of a running process, and finds its children."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_CHUNK = 1 << 24
_RANGE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r...) \S+ \S+ \S+\s*(.*)")


def holds(pid: int, text: str) -> bool:
    """Whether a text is in any readable memory of a process, or in the environment that it was started with."""
    wanted = text.encode()
    return wanted in Path(f"/proc/{pid}/environ").read_bytes() or _in_memory(pid, wanted)


def _in_memory(pid: int, wanted: bytes) -> bool:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = _RANGE.match(line)
            if found is None or found[4] in {"[vvar]", "[vsyscall]", "[vvar_vclock]"}:
                continue
            at, end, tail = int(found[1], 16), int(found[2], 16), b""
            while at < end:
                try:
                    piece = os.pread(memory.fileno(), min(_CHUNK, end - at), at)
                except OSError:
                    break  # a page that the process itself may not touch
                if not piece:
                    break
                if wanted in tail + piece:
                    return True
                tail, at = piece[-len(wanted) :], at + len(piece)
    return False


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _text(task / "children").split()]


def _text(path: Path) -> str:
    # A thread may end meanwhile; then its children are those of another.
    with suppress(OSError):
        return path.read_text()
    return ""
