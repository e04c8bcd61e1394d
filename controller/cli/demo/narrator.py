"""Prints the demo: numbered chapters, commands as an operator types them, progress bars. ``demo.scene`` holds one."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.rule import Rule
from rich.table import Column
from rich.text import Text

from controller.cli.demo.fleet import Fleet, environment, gatehouse
from exchange.errors import DeadlineExceeded

_INDENT = 2
_EVERY_SECONDS = 0.4
_WORD_EVERY_SECONDS = 5.0
_COMMAND_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Look:
    """The progress of something that is waited for, in parts per thousand and in words."""

    done: bool
    permille: int
    words: str


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str


class Narrator:
    """Writes to one console; runs commands in the deployment's directory."""

    def __init__(self, console: Console, fleet: Fleet, directory: Path) -> None:
        self.console = console
        self._fleet = fleet
        self._directory = directory
        self._chapter = 0
        self.began = time.monotonic()

    def chapter(self, title: str) -> None:
        """Begin the next chapter."""
        self._chapter += 1
        self.console.print()
        self.console.print(
            Rule(Text.assemble((f" {self._chapter} ", "bold reverse"), (f" {title} ", "bold")), align="left", style="dim")
        )

    def say(self, text: str | Text) -> None:
        """Print one sentence."""
        self.console.print(Padding(text, (0, 0, 0, _INDENT), expand=False))

    def whole(self, text: Text) -> None:
        """Print a line that people copy, such as a path, without a line break."""
        self.console.print(Text(" " * _INDENT).append(text), soft_wrap=True)

    def show(self, part: RenderableType) -> None:
        """Print a table or a panel."""
        self.console.print(Padding(part, (0, 0, 0, _INDENT), expand=False))

    def good(self, text: str) -> None:
        """Print something that was verified."""
        self.say(Text.assemble(("✔ ", "bold green"), text))

    def command(self, *arguments: str, quiet: bool = False) -> Ran:
        """Run a gatehouse command as an operator does, and print its output and exit code."""
        self.say(Text.assemble(("$ ", "dim"), ("gatehouse " + shlex.join(arguments), "cyan")))
        width = max(60, self.console.width - 2 * _INDENT)
        styled = {"FORCE_COLOR": "1"} if self.console.is_terminal and not self.console.no_color else {}
        ended = subprocess.run(  # noqa: S603 - our own program with our own arguments
            gatehouse(*arguments),
            cwd=self._directory,
            env={**environment(), "COLUMNS": str(width), **styled},
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        ran = Ran(ended.returncode, ended.stdout, ended.stderr)
        shown = ran.stdout if ran.code == 0 else ran.stdout + ran.stderr
        if not quiet or ran.code:
            for line in shown.rstrip().splitlines():
                self.console.print(Text.assemble(" " * _INDENT, Text.from_ansi(line.rstrip())))
        if ran.code:
            self.say(Text(f"exit code {ran.code}", "bold yellow"))
        return ran

    def wait(self, label: str, look: Callable[[], Look], seconds: int) -> None:
        """Watch until ``look`` is done, with a bar and an estimate of the time left.

        Raises:
            DemoFailed: a process ended meanwhile.
            DeadlineExceeded: it was not done in time.
        """
        columns = (
            TextColumn(" " * _INDENT + "{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(24),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn("gone", style="dim"),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn("left", style="dim"),
            TextColumn("{task.fields[words]}", style="dim", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        )
        began = time.monotonic()
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task(label, total=1000, words="")
            spoken = began
            while True:
                self._fleet.check()
                progress_now = look()
                progress.update(task, completed=1000 if progress_now.done else progress_now.permille, words=progress_now.words)
                now = time.monotonic()
                if progress_now.done:
                    break
                if now - began > seconds:
                    raise DeadlineExceeded(
                        f"{label}: not done after {seconds} s ({progress_now.words})",
                        code="demo-timeout",
                        remedy=f"Read the logs in {self._directory}/logs.",
                    )
                if not self.console.is_terminal and now - spoken >= _WORD_EVERY_SECONDS:
                    spoken = now
                    self.say(Text(f"… {label}: {progress_now.words}", "dim"))
                time.sleep(_EVERY_SECONDS)
        self.good(f"{label}: {progress_now.words}, after {time.monotonic() - began:.1f} s")


def relative(path: Path) -> str:
    """A path, relative to the current directory if it is inside."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
