"""``gatehouse --help`` without loading a verb, typer or rich (ADR 79). ``controller.__main__`` calls it.

``help.json`` has the texts: ``make docs`` takes them from the verbs. The page has the shape that typer gives to every other page of
help, and a test compares the two. What this file cannot draw (a narrow terminal, another encoding) is left to typer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

HELP_FILE = Path(__file__).parent / "help.json"
COMPLETE = "_GATEHOUSE_COMPLETE"
"""Set by a shell that asks how to complete a line."""

_NARROWEST, _WITHOUT_TERMINAL = 60, 80
_BETWEEN_OPTIONS, _BETWEEN = 8, 2
_BOLD, _CYAN, _YELLOW, _DIM = "1", "1;36", "1;33", "2"


def drawn(arguments: Sequence[str]) -> bool:
    """Print the page if that is all that was asked for, and say whether it was."""
    if list(arguments) not in ([], ["--help"]) or COMPLETE in os.environ or os.environ.get("TERM") in {"dumb", "unknown"}:
        return False
    width = _width()
    if width < _NARROWEST or (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        return False
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    with suppress(BrokenPipeError):
        sys.stdout.write(page(width, colours=colours))
        sys.stdout.flush()
    return True


def page(width: int, *, colours: bool = False) -> str:
    """The page for a terminal of ``width`` columns."""
    texts = json.loads(HELP_FILE.read_text(encoding="utf-8"))
    pen = _Pen(width, colours=colours)
    lines = [" " * width, pen.line(texts["usage"], _BOLD), " " * width, *pen.text(texts["about"]), " " * width]
    lines += pen.panel("Options", _options(texts["options"]), _CYAN)
    lines += pen.panel("Commands", _commands(texts["commands"]), _CYAN)
    lines += [" " * width, *pen.text(texts["epilog"]), " " * width]
    return "\n".join(lines) + "\n\n"


Row = tuple[str, str]
"""The left column, filled up to its width, and the words of the right one."""


def _options(options: Sequence[Sequence[str]]) -> list[Row]:
    names, types = (max(len(option[at]) for option in options) for at in (0, 1))
    return [(f"{name:{names + _BETWEEN_OPTIONS}}{kind:{types + _BETWEEN}}", words) for name, kind, words in options]


def _commands(commands: Sequence[Sequence[str]]) -> list[Row]:
    names = max(len(name) for name, _ in commands)
    return [(f"{name:{names + _BETWEEN}}", words) for name, words in commands]


class _Pen:
    def __init__(self, width: int, *, colours: bool) -> None:
        self._width, self._colours = width, colours

    def _in(self, style: str, text: str) -> str:
        return f"\033[{style}m{text}\033[0m" if self._colours else text

    def line(self, text: str, style: str) -> str:
        return self._in(style, f" {text:{self._width - 1}}")

    def text(self, words: str) -> Iterator[str]:
        for line in _wrapped(words, self._width - 2):
            yield f" {line:{self._width - 1}}"

    def panel(self, title: str, rows: Sequence[Row], style: str) -> Iterator[str]:
        """A box of rows; the words on the right go on below themselves."""
        side, inside = self._in(_DIM, "│"), self._width - 4
        yield self._in(_DIM, f"╭─ {title} {'─' * (self._width - len(title) - 5)}╮")
        for left, words in rows:
            room = inside - len(left)
            for at, line in enumerate(_wrapped(words, room)):
                first = self._in(style, left) if at == 0 else " " * len(left)
                yield f"{side} {first}{line:{room}} {side}"
        yield self._in(_DIM, f"╰{'─' * (self._width - 2)}╯")


def _wrapped(words: str, width: int) -> Iterator[str]:
    line = ""
    for word in words.split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _width() -> int:
    """What ``COLUMNS`` says, or else the first of the three standard streams that is a terminal."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit():
        return int(columns)
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            return os.get_terminal_size(descriptor).columns or _WITHOUT_TERMINAL
    return _WITHOUT_TERMINAL
