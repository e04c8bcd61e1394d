"""A log line that repeats is written a few times and then counted; no other line is lost."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from controller.telemetry import logs as subject
from controller.telemetry.logs import Logs, open_logs
from controller.telemetry.redact import Redactor
from controller.telemetry.repeats import LIBRARY_LINES, MOST, WINDOW_S, WRITTEN, Repeats
from tests.support.crowd import eventually

OURS = logging.getLogger("controller.test")


class Log:
    """The logs of this process, written into memory, with a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.stream = io.StringIO()
        self.open: Logs = open_logs(Redactor(), stream=self.stream, monotonic=lambda: self.now)

    def lines(self) -> list[dict[str, Any]]:
        """Everything that was written, after closing."""
        self.open.close()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines()]


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield Log()
    root.handlers, root.level = handlers, level


def test_a_line_that_repeats_is_written_a_few_times_and_then_counted(log: Log) -> None:
    for _ in range(10_000):
        OURS.error("it failed again")
    log.now += 42
    assert log.messages() == ["it failed again"] * WRITTEN + [
        "it failed again: repeated 9997 times in the last 42 s, not written each time"
    ]


def test_the_count_has_the_level_and_the_logger_of_its_line(log: Log) -> None:
    for _ in range(WRITTEN + 1):
        OURS.critical("it failed again")
    last = log.lines()[-1]
    assert (last["level"], last["logger"]) == ("critical", "controller.test")


def test_after_a_minute_the_count_is_written_and_the_line_too(log: Log) -> None:
    for _ in range(5):
        OURS.error("it failed again")
    log.now += WINDOW_S
    OURS.error("it failed again")
    assert log.messages()[WRITTEN:] == [
        "it failed again: repeated 2 times in the last 60 s, not written each time",
        "it failed again",
    ]


def test_a_line_that_comes_rarely_is_always_written(log: Log) -> None:
    for _ in range(20):
        OURS.error("it failed again")
        log.now += WINDOW_S
    assert log.messages() == ["it failed again"] * 20


def test_lines_about_different_orders_are_all_written(log: Log) -> None:
    for number in range(2 * MOST):
        OURS.error("order %s was rejected", number)
    assert log.messages() == [f"order {number} was rejected" for number in range(2 * MOST)]


@pytest.mark.parametrize("name", ["fields", "error", "level", "logger"])
def test_lines_that_differ_in_one_respect_are_not_the_same(log: Log, name: str) -> None:
    for number in range(20):
        match name:
            case "fields":
                OURS.error("rejected", extra={"fields": {"order": number}})
            case "error":
                OURS.error("rejected", exc_info=ValueError(number))
            case "level":
                OURS.log(logging.INFO + number, "rejected")
            case "logger":
                logging.getLogger(f"controller.test{number}").error("rejected")
    assert len(log.lines()) == 20


def test_texts_of_a_library_that_differ_are_limited_together(log: Log) -> None:
    for number in range(10_000):
        logging.getLogger("asyncio").error("socket.accept() out of system resource: raddr=%s", number)
    lines = log.messages()
    assert len(lines) == LIBRARY_LINES + 1
    assert lines[-1] == f"other lines of asyncio: repeated {10_000 - LIBRARY_LINES} times in the last 0 s, not written each time"


def test_the_memory_for_counting_is_bounded() -> None:
    repeats = Repeats(lambda: 0.0)
    for number in range(3 * MOST):
        repeats.admit(logging.LogRecord("controller.x", logging.INFO, "", 0, f"line {number}", None, None))
    assert len(repeats._lines) <= MOST


def test_the_count_of_a_line_that_is_forgotten_early_is_written(log: Log) -> None:
    for _ in range(5):
        OURS.error("it failed again")
    for number in range(MOST):
        OURS.error("order %s was rejected", number)
    assert "it failed again: repeated 2 times in the last 0 s, not written each time" in log.messages()


async def test_the_count_is_written_although_nothing_else_is_logged(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "QUIET_S", 0.01)
    for _ in range(5):
        OURS.error("it failed again")
    log.now += WINDOW_S
    await eventually(lambda: "repeated 2 times" in log.stream.getvalue())
    log.open.close()


def test_a_record_that_cannot_be_formatted_does_not_disturb_its_caller(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    OURS.error("%d orders", "many")
    assert log.messages() == []
