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
    """One line in its window. ``sample`` is a record to tell the count with, and ``told`` what precedes the count."""

    began: float
    sample: logging.LogRecord
    told: str
    allowed: int
    seen: int = 0

    @property
    def left_out(self) -> int:
        return max(0, self.seen - self.allowed)


class Repeats:
    """Says which records to write, and gives a record with the count for those that were left out. Threads may share it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lines: OrderedDict[Key, _Line] = OrderedDict()
        self._lock = Lock()

    def admit(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """What to write now: the record, unless it is left out, after the counts of lines whose window has ended."""
        text = record.getMessage()
        with self._lock:
            now = self._monotonic()
            told = list(self._ended(now))
            admitted = self._count(_key(record, text), _Line(now, record, text, WRITTEN), told)
            if admitted and record.name.partition(".")[0] not in _OURS:
                several = f"other lines of {record.name}"
                admitted = self._count((record.name, record.levelno), _Line(now, record, several, LIBRARY_LINES), told)
        return [*told, record] if admitted else told

    def ended(self, *, closing: bool = False) -> list[logging.LogRecord]:
        """The counts of lines whose window has ended; of all lines when the log closes."""
        with self._lock:
            return list(self._ended(self._monotonic(), closing=closing))

    def _count(self, key: Key, new: _Line, out: list[logging.LogRecord]) -> bool:
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= MOST:
                out.extend(_summary(self._lines.popitem(last=False)[1], new.began))
            line = self._lines[key] = new
        line.seen += 1
        return line.seen <= line.allowed

    def _ended(self, now: float, *, closing: bool = False) -> Iterator[logging.LogRecord]:
        # Lines are in the order in which their windows began.
        while self._lines:
            key, line = next(iter(self._lines.items()))
            if now - line.began < WINDOW_S and not closing:
                return
            del self._lines[key]
            yield from _summary(line, now)


def _key(record: logging.LogRecord, text: str) -> Key:
    error = record.exc_info[1] if record.exc_info else None
    return record.name, record.levelno, text, repr(getattr(record, "fields", None)), type(error), str(error)


def _summary(line: _Line, now: float) -> Iterator[logging.LogRecord]:
    if line.left_out:
        sample = line.sample
        text = f"{line.told}: repeated {line.left_out} times in the last {now - line.began:.0f} s, not written each time"
        yield logging.LogRecord(sample.name, sample.levelno, sample.pathname, sample.lineno, text, None, None)
