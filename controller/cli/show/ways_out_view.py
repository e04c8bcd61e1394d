"""The ways out of a halt in the order in which they help, as commands that can be pasted. ``status`` and ``explain`` use it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from controller.cli.shared.output import HERE
from controller.console.flatten import WayOutView
from policies.authority import Verb

_ORDER = (Verb.REBASELINE, Verb.FLATTEN, Verb.RESUME, Verb.RESET)
"""Accept balances first, for nothing leads up while they differ; then get rid of the risk; then go on, or begin anew."""


def way_out_lines(ways: Sequence[WayOutView], directory: Path) -> list[Text]:
    """One line for each way: the open ones first, numbered in the order in which they help, then those that are refused now."""
    ordered = sorted(ways, key=lambda way: (bool(way.refused), _ORDER.index(way.verb)))
    lines = []
    for number, way in enumerate(ordered, 1):
        command = pasteable(way.command, directory)
        line = way.line.replace(way.command, command)
        lines.append(Text(f"{'–' if way.refused else f'{number}.'} {line}", "yellow" if way.refused else "green"))
    return lines


def pasteable(command: str, directory: Path) -> str:
    """A command with the deployment's key files in place of KEY, where there are some, and with the deployment's folder."""
    keys = iter(sorted((directory / "keys").glob("*.key")))
    words = [shlex.quote(str(next(keys, "KEY"))) if word == "KEY" else word for word in command.split()]
    return " ".join([*words, *(["--dir", shlex.quote(str(directory))] if directory != HERE else [])])
