"""Reads requirements.lock, as ``uv pip compile --generate-hashes`` writes it. The audit and the release call it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)\s*(?:;\s*([^\\]+?))?\s*\\?$")
_HASH = re.compile(r"^\s+--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pinned:
    """One package of a lock. ``marker`` says where it is installed, empty for everywhere; ``line`` is where it is written."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    line: int


def normal(name: str) -> str:
    """A package's name as an index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> tuple[Pinned, ...]:
    """Every package of the lock, in its order. Raises ``ValueError`` for a line that is neither a pin, a hash nor a comment."""
    found: list[Pinned] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if pinned := _PINNED.match(line):
            found.append(Pinned(normal(pinned[1]), pinned[2], pinned[3] or "", (), number))
        elif found and (digest := _HASH.match(line)):
            last = found[-1]
            found[-1] = Pinned(last.name, last.version, last.marker, (*last.hashes, digest[1]), last.line)
        elif line.strip() and not line.lstrip().startswith("#"):
            raise ValueError(f"{path}:{number}: {line.strip()[:60]} is neither a pinned package nor a hash")
    return tuple(found)
