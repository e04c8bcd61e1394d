"""The pages of ``ops/docs/runbooks`` and the commands in them; the tests run what a page says, as it stands there.

A block of commands is fenced with ``sh``. Each line is one command. The comment below a command says how it ends: with which exit
code, where it is not 0, and what it prints, in quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.tidiness import ROOT

RUNBOOKS = ROOT / "ops" / "docs" / "runbooks"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LAST = re.compile(r"^```sh\n(?:(?!^```).*\n)+```\s*\Z", re.MULTILINE)
_EXITS = re.compile(r"exits (\d+)(?: or (\d+))?")
_PRINTS = re.compile(r'"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a page, with the exit codes and the texts that the page announces."""

    command: str
    exits: frozenset[int]
    prints: tuple[str, ...]


def pages() -> list[Path]:
    """Every runbook."""
    return sorted(RUNBOOKS.glob("*.md"))


def steps(text: str) -> list[Step]:
    """The commands of a page, in its order. A command without an announcement is an error."""
    lines = [line for block in _BLOCK.findall(text) for line in block.splitlines() if line.strip()]
    found = []
    for command, announced in zip(lines[::2], lines[1::2], strict=True):
        if command.startswith("#") or not announced.startswith("# "):
            raise ValueError(f"a command and a comment about its end belong together: {command!r}, {announced!r}")
        codes = _EXITS.search(announced)
        exits = frozenset(int(code) for code in codes.groups() if code is not None) if codes else frozenset({0})
        found.append(Step(command, exits, tuple(_PRINTS.findall(announced))))
    return found


def ends_in_commands(text: str) -> bool:
    """Whether the last thing on the page is a block of commands."""
    return _LAST.search(text) is not None
