from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.telemetry.health import STUCK_MS, Probe, livez, readyz
from controller.telemetry.logs import open_logs
from controller.telemetry.redact import REMOVED, Redactor


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


def lines_of(*messages: str, secret: str = "", **fields: object) -> list[dict[str, object]]:
    redactor = Redactor()
    redactor.register(secret)
    stream = io.StringIO()
    logs = open_logs(redactor, stream=stream)
    for message in messages:
        logging.getLogger("gatehouse.test").info(message, extra={"fields": fields} if fields else {})
    logs.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_message_with_control_characters_is_one_printable_line() -> None:
    redactor = Redactor()
    stream = io.StringIO()
    logs = open_logs(redactor, stream=stream)
    logging.getLogger("x").warning("bot said: \x1b[2J\r\n%s", '{"level":"critical"}')
    logs.close()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().rstrip("\n").isprintable()
    assert json.loads(stream.getvalue())["message"] == 'bot said: \x1b[2J\r\n{"level":"critical"}'


def test_a_registered_secret_is_replaced_in_messages_fields_and_traces() -> None:
    redactor = Redactor()
    redactor.register("canary-secret")
    stream = io.StringIO()
    logs = open_logs(redactor, stream=stream)
    try:
        int("with canary-secret")
    except ValueError:
        logging.getLogger("x").exception("got canary-secret", extra={"fields": {"a": ["canary-secret"]}})
    logs.close()
    assert "canary-secret" not in stream.getvalue()
    assert json.loads(stream.getvalue())["error"]["type"] == "ValueError"


def test_a_records_fields_are_in_its_line() -> None:
    (line,) = lines_of("order denied", rule="order-notional", seq=12)
    assert line["fields"] == {"rule": "order-notional", "seq": 12}


def test_a_blocked_stream_drops_lines_instead_of_blocking_the_writer() -> None:
    gate = threading.Event()

    class Blocked(io.StringIO):
        def write(self, text: str) -> int:
            gate.wait(5)
            return super().write(text)

    stream = Blocked()
    logs = open_logs(Redactor(), stream=stream, capacity=2)
    for _ in range(10):
        logging.getLogger("x").info("line")
    gate.set()
    logs.close()
    assert 1 <= stream.getvalue().count("\n") <= 3


@given(before=st.text(), after=st.text(), secret=st.text(min_size=6))
def test_no_registered_secret_survives_in_any_text(before: str, after: str, secret: str) -> None:
    redactor = Redactor()
    redactor.register(secret)
    assert secret not in redactor.text(before + secret + after).replace(REMOVED, "")


def test_no_part_remains_of_a_secret_that_contains_another() -> None:
    redactor = Redactor()
    redactor.register("abcdefgh")
    redactor.register("abcdefgh-tail")
    assert redactor.text("x abcdefgh-tail y") == f"x {REMOVED} y"


ALIVE = Probe(ok=True, because="")


def test_only_an_armed_controller_is_ready() -> None:
    assert readyz(ALIVE, armed=True, not_armed_because="").http_status == 200
    probe = readyz(ALIVE, armed=False, not_armed_because="reconciling")
    assert (probe.http_status, probe.because) == (503, "reconciling")


def test_the_controller_is_alive_only_if_the_writer_ran_recently() -> None:
    stuck_ns = STUCK_MS * 1_000_000
    assert livez(1_000, 1_000 + stuck_ns).ok
    assert livez(1_000, 2_001_000 + stuck_ns).because == f"the writer has decided nothing for {STUCK_MS + 2} ms"
    assert not livez(None, 1_000).ok
    assert not livez(1_000, 1_000, "the disk is full").ok


def test_the_controller_is_not_ready_while_the_writer_does_not_run() -> None:
    stuck = livez(1_000, 2_001_000 + STUCK_MS * 1_000_000)
    assert readyz(stuck, armed=True, not_armed_because="").because == stuck.because
