"""What of ``requirements.lock`` an installed gatehouse needs: no test tool, no linter. ``ops.deb`` and ``ops.image`` use it.

The lock has one list for everything. uv writes below each package what wants it ("via"), so the part that follows from the
dependencies of ``pyproject.toml`` is read off the lock, and versions and hashes stay the same.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

EXTRAS = ("demo", "hsm", "vault", "postgres")
"""Every extra but ``dev``: a server may not have a network to add one later."""

_PINNED = re.compile(r"([a-z0-9][a-z0-9._-]*)==")
_VIA = re.compile(r" +#(?: via)? +([A-Za-z0-9._-]+)$")


def runtime_lock(root: Path, extras: Iterable[str] = EXTRAS) -> str:
    """The lines of the lock for gatehouse with these extras."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {_name(one) for one in (*project["dependencies"], *_optional(project, extras))}
    blocks = _blocks((root / "requirements.lock").read_text(encoding="utf-8"))
    needed = wanted & blocks.keys()
    if missing := wanted - needed:
        raise SystemExit(f"requirements.lock does not have {', '.join(sorted(missing))}: run `make lock`")
    while more := {name for name, block in blocks.items() if name not in needed and _via(block) & needed}:
        needed |= more
    return "".join(blocks[name] for name in sorted(needed))


def _optional(project: dict[str, dict[str, list[str]]], extras: Iterable[str]) -> list[str]:
    return [one for extra in extras for one in project["optional-dependencies"][extra]]


def _blocks(text: str) -> dict[str, str]:
    blocks, current = dict[str, str](), ""
    for line in text.splitlines(keepends=True):
        if found := _PINNED.match(line):
            current = _name(found[1])
        if current:
            blocks[current] = blocks.get(current, "") + line
    return blocks


def _via(block: str) -> set[str]:
    return {_name(found[1]) for line in block.splitlines() if (found := _VIA.match(line))}


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;! ]", requirement)[0]).lower()
