"""Counts repeated log lines instead of writing them, so that a fault that repeats cannot fill a disk. ``telemetry.logs`` uses it.

Only lines that are the same are counted: logger, level, text, fields and error. Loggers of libraries also have a number of lines a
minute, because their texts contain addresses that differ. Nothing that gatehouse itself says about another order, bot or command is
ever left out.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock

LONGEST = 8_000
"""The log writes so many characters of a text; what follows makes no difference."""

WRITTEN = 3
"""How many times a line is written in a window."""

WINDOW_S = 60.0
MOST = 1_024
"""How many different lines are watched at a time."""

LIBRARY_LINES = 120
"""How many lines a logger of a library may write at one level in a window."""

_OURS = ("controller", "exchange", "gates", "policies", "gatehouse")

Key = tuple[object, ...]


@dataclass
class _Line:
    """One line, or all lines of a library's logger, in its window. ``text`` is what precedes the count."""

    began: float
    logger: str
    level: int
    text: str
    seen: int = 0
    left_out: int = 0

    def summary(self, now: float) -> Iterator[logging.LogRecord]:
        """A record with the count, if something was left out."""
        if self.left_out:
            message = f"{self.text}: repeated {self.left_out} times in the last {now - self.began:.0f} s, not written each time"
            yield logging.LogRecord(self.logger, self.level, "", 0, message, None, None)


class Repeats:
    """Says which records to write, and gives a record with the count for those that were left out. Threads may share it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lines = _Lines()
        self._libraries = _Lines()
        self._lock = Lock()

    def admit(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """What to write now: the record, unless it is left out, after the counts of lines whose window has ended."""
        text = record.getMessage()[:LONGEST]
        with self._lock:
            now = self._monotonic()
            out = self._lines.ended(now) + self._libraries.ended(now)
            library = None
            if record.name.partition(".")[0] not in _OURS:
                new = _Line(now, record.name, record.levelno, f"other lines of {record.name}")
                library = self._libraries.find((record.name, record.levelno), new, out)
                if library.seen >= LIBRARY_LINES:
                    library.left_out += 1
                    return out
            line = self._lines.find(_key(record, text), _Line(now, record.name, record.levelno, text), out)
            if line.seen >= WRITTEN:
                line.left_out += 1
                return out
            line.seen += 1
            if library is not None:
                library.seen += 1
        return [*out, record]

    def ended(self, *, closing: bool = False) -> list[logging.LogRecord]:
        """The counts of lines whose window has ended; of all lines when the log closes."""
        with self._lock:
            now = self._monotonic()
            return self._lines.ended(now, closing=closing) + self._libraries.ended(now, closing=closing)


class _Lines:
    """Lines in the order in which their windows began, at most ``MOST``."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Key, _Line] = OrderedDict()

    def find(self, key: Key, new: _Line, out: list[logging.LogRecord]) -> _Line:
        """The line, or ``new``; the count of a line that has to make room goes to ``out``."""
        if key not in self._lines:
            if len(self._lines) >= MOST:
                out.extend(self._lines.popitem(last=False)[1].summary(new.began))
            self._lines[key] = new
        return self._lines[key]

    def ended(self, now: float, *, closing: bool = False) -> list[logging.LogRecord]:
        out: list[logging.LogRecord] = []
        while self._lines:
            first = next(iter(self._lines.values()))
            if now - first.began < WINDOW_S and not closing:
                break
            self._lines.popitem(last=False)
            out.extend(first.summary(now))
        return out

    def __len__(self) -> int:
        return len(self._lines)


def _key(record: logging.LogRecord, text: str) -> Key:
    error = record.exc_info[1] if record.exc_info else None
    fields = repr(getattr(record, "fields", None))
    return record.name, record.levelno, text, fields[:LONGEST], type(error), str(error)[:LONGEST]
