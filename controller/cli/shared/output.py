"""Output of every verb: tables for people and JSON for programs (architecture.md §10).

Answers go to standard output, errors and progress to standard error, so ``-o json`` can always be piped. ``NO_COLOR``, ``COLUMNS``
and a standard output that is no terminal are handled by rich; without a terminal, lines are wide enough for whole digests. rich and
pydantic are loaded by what uses them: a process that a controller starts prints one line, and needs neither for it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_PIPE_WIDTH = 200
_END_OF_TIME = 253_402_300_800_000
"""10000-01-01: ``datetime`` cannot show later dates."""


class Output(StrEnum):
    """The form of the output."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("-o", "--output", help="table for people, json for programs.")]
DirectoryOption = Annotated[
    Path, typer.Option("--dir", "-d", envvar="GATEHOUSE_DIR", help="The deployment's directory, where gatehouse.toml is.")
]
HERE = Path()

STYLES = {
    "PASS": "bold green",
    "WARN": "yellow",
    "FAIL": "bold red",
    "SKIP": "dim",
    "INCONCLUSIVE": "yellow",
    "NO_DATA": "yellow",
    "STALE": "yellow",
    "INVALID": "bold red",
    "ERROR": "bold red",
    "MOCK": "cyan",
    "TESTNET_VALIDATING": "cyan",
    "VALIDATED": "green",
    "LIVE_€10": "magenta",
    "RAMPING": "bold magenta",
    "HALTED": "bold white on red",
}
"""One colour per verdict and stage, everywhere."""


def stdout(*, pipe_width: int = _PIPE_WIDTH) -> Console:
    """A console on the present standard output (tests replace it); ``pipe_width`` is its width without a terminal.

    Brackets are text on it: names, reasons and errors come from outside, and `[/red]` in one of them must not end a verb.
    """
    from rich.console import Console

    return Console(width=_width(sys.stdout.isatty(), pipe_width), highlight=False, markup=False, soft_wrap=False)


def stderr() -> Console:
    """A console on standard error, for errors and progress."""
    from rich.console import Console

    return Console(stderr=True, width=_width(sys.stderr.isatty(), _PIPE_WIDTH), highlight=False, markup=False)


def say(line: str) -> None:
    """Print one line for people on standard error, as it is, without loading rich."""
    typer.echo(line, err=True)


def _width(terminal: bool, pipe_width: int) -> int | None:
    return None if terminal or os.environ.get("COLUMNS") else pipe_width


def outcome(rest: str, word: str = "verified", style: str = "bold green") -> Text:
    """A line that begins with what was found, in its colour."""
    from rich.text import Text

    return Text.assemble((word, style), f" {rest}")


def styled(word: str) -> Text:
    """A verdict, stage or position in its colour."""
    from rich.text import Text

    return Text(word, style=STYLES.get(word.partition(" ")[0], ""))


def plain(value: Any) -> Any:
    """A view as JSON values."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def print_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    typer.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, right: Sequence[str] = ()
) -> Table:
    """A table; cells may be rich text or anything with a ``str``. Columns named in ``right`` align right."""
    from rich.table import Table
    from rich.text import Text

    result = Table(title=title, title_justify="left", title_style="bold", header_style="dim", border_style="dim")
    for column in columns:
        result.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        result.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return result


def clock(at_ms: int) -> str:
    """An instant as UTC clock time with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%H:%M:%S.%f")[:-3]


def instant(at_ms: int) -> str:
    """An instant as UTC date and time to the millisecond; as a number if it is after the year 9999."""
    if at_ms >= _END_OF_TIME:
        return f"{at_ms} ms after 1970-01-01"
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def duration(ms: int) -> str:
    """A duration as ``HH:MM:SS``."""
    seconds = max(0, ms) // 1000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def micros(us: int) -> str:
    """A measured duration given in microseconds; -1 means it was not reached."""
    if us < 0:
        return "not reached"
    return f"{us} µs" if us < 1000 else f"{us // 1000}.{us % 1000 // 100} ms"


def short(digest: str) -> str:
    """The first characters of a digest, for tables."""
    return digest[:19] + "…" if len(digest) > 20 else digest
