"""Logs as JSON lines, written by a separate thread so that a full pipe never blocks the writer. The command line opens them.

A line is ``{"at": ms, "level", "logger", "message"}`` and, if present, ``"fields"`` and ``"error"``. Control characters are
escaped by JSON, so that text of a bot or a venue cannot forge a line or control a terminal; registered secrets are replaced. A line
that repeats is written a few times a minute and then counted (``telemetry.repeats``).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler, QueueListener
from queue import Empty, Full, Queue
from typing import Any, TextIO

from controller.telemetry.redact import Redactor
from controller.telemetry.repeats import LONGEST, Repeats

QUEUE = 10_000
QUIET_S = 5.0
"""How often counts of repeated lines are looked for while nothing is written."""

_NOISY = ("httpx", "httpcore", "websockets", "uvicorn", "transitions", "urllib3")


_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""The priorities of syslog, by the level of a record."""


def priority_prefix(stream: TextIO, level: str) -> str:
    """``<N>`` before a line that the systemd journal reads, so that it knows the priority; empty elsewhere.

    systemd names the journal's device and inode in JOURNAL_STREAM (systemd.exec(5)).
    """
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return ""
    return f"<{_PRIORITIES.get(level, 6)}>" if named and named == f"{found.st_dev}:{found.st_ino}" else ""


class JsonLines(logging.Formatter):
    """Formats a record as one line of ASCII JSON. ``extra={"fields": {...}}`` becomes ``fields``.

    ``journal``: the systemd journal reads the lines, and each begins with its priority.
    """

    def __init__(self, redactor: Redactor, *, journal: bool = False) -> None:
        super().__init__()
        self._redactor = redactor
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, without a newline."""
        line: dict[str, Any] = {
            "at": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redactor.text(record.getMessage())[:LONGEST],
        }
        if fields := getattr(record, "fields", None):
            line["fields"] = self._redactor.scrub(fields)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = {
                "type": type(error).__name__,
                "trace": self._redactor.text("".join(traceback.format_exception(error)))[:LONGEST],
            }
        prefix = f"<{_PRIORITIES.get(line['level'], 6)}>" if self._journal else ""
        return prefix + json.dumps(line, ensure_ascii=True, separators=(",", ":"))


class _BoundedHandler(QueueHandler):
    """Queues records without waiting, and drops those that do not fit. Repeated ones are counted before they reach the queue."""

    def __init__(self, queue: Queue[logging.LogRecord], repeats: Repeats) -> None:
        super().__init__(queue)
        self._repeats = repeats

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        for one in self._repeats.admit(record):
            with suppress(Full):
                self.queue.put_nowait(one)


class _Listener(QueueListener):
    """Writes what is queued, and the counts of repeated lines when nothing is. Stops also when its queue is full."""

    def __init__(self, queue: Queue[logging.LogRecord], writer: logging.Handler, repeats: Repeats) -> None:
        super().__init__(queue, writer)
        self._waiting = queue
        self._repeats = repeats

    def dequeue(self, block: bool) -> logging.LogRecord:  # noqa: FBT001 - the signature of the base class
        while True:
            try:
                return self._waiting.get(block, timeout=QUIET_S)
            except Empty:
                if not block:
                    raise
                for record in self._repeats.ended():
                    self.handle(record)

    def enqueue_sentinel(self) -> None:
        self._waiting.put(self._sentinel)  # type: ignore[attr-defined]


@dataclass
class Logs:
    """The process's logs while they are open."""

    _handler: _BoundedHandler
    _listener: _Listener
    _repeats: Repeats

    def close(self) -> None:
        """Write what is queued and what was counted, and release the root logger."""
        logging.getLogger().removeHandler(self._handler)
        self._listener.stop()
        for record in self._repeats.ended(closing=True):
            self._listener.handle(record)


def open_logs(
    redactor: Redactor,
    *,
    level: int = logging.INFO,
    stream: TextIO | None = None,
    capacity: int = QUEUE,
    monotonic: Callable[[], float] = time.monotonic,
) -> Logs:
    """Send every logger of the process to ``stream`` (standard error by default) as JSON lines."""
    writer = logging.StreamHandler(stream or sys.stderr)
    writer.setFormatter(JsonLines(redactor, journal=bool(priority_prefix(stream or sys.stderr, "info"))))
    queue: Queue[logging.LogRecord] = Queue(capacity)
    repeats = Repeats(monotonic)
    handler = _BoundedHandler(queue, repeats)
    listener = _Listener(queue, writer, repeats)
    listener.start()
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    return Logs(handler, listener, repeats)
