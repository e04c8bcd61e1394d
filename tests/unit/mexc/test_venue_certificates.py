"""A venue's certificate: who is trusted, and what is said of one that is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange import authorities
from exchange.mexc.http import Failure, HttpTransport, Method
from exchange.mexc.reach import Reach
from exchange.mexc.socket import DEFAULT_TIMING, SocketLost, open_stream
from exchange.testnet.conditions.clock import SystemClock
from tests.support.certificates import Issued, issue, showing

STRANGER = "its certificate is refused: self-signed certificate"


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return issue(tmp_path, dt.timedelta(days=1))


@pytest.fixture
def port(issued: Issued) -> Iterator[int]:
    with showing(issued) as port:
        yield port


async def _asked(port: int) -> object:
    transport = HttpTransport(f"https://127.0.0.1:{port}", Reach.LOOPBACK)
    try:
        return await transport.send(Method.GET, "/api/v3/time")
    finally:
        await transport.aclose()


async def _streamed(port: int) -> str:
    with pytest.raises(SocketLost) as lost:
        async with open_stream(f"wss://127.0.0.1:{port}/ws", Reach.LOOPBACK, DEFAULT_TIMING, SystemClock()):
            raise AssertionError("it is open")
    return lost.value.message


async def test_a_request_that_was_refused_for_its_certificate_says_so(port: int) -> None:
    assert await _asked(port) == Failure(STRANGER, never_sent=True)


async def test_a_stream_that_was_refused_for_its_certificate_says_so(port: int) -> None:
    assert STRANGER in await _streamed(port)


async def test_no_variable_of_the_host_adds_an_authority(port: int, issued: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    """REST never looked at it. Streams did: a variable of the host could have let another machine be the venue."""
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.certificate))
    authorities.trusted.cache_clear()
    assert await _asked(port) == Failure(STRANGER, never_sent=True)
    assert STRANGER in await _streamed(port)


def test_another_cause_is_no_refused_certificate() -> None:
    assert authorities.refusal(ConnectionRefusedError("nobody")) == ""
    assert authorities.refusal(None) == ""
