"""The thin client counts what was answered with success, and the check that traces arrived can fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from exchange.wire.signing import signature
from ops.bench.order_load import load
from ops.bench.order_tracing import check
from tests.support.collectors import Collector

SECRET = "a-secret-of-no-value"


@contextmanager
def venue(refuse_every: int) -> Iterator[tuple[str, list[str]]]:
    """Refuses each order of that number; its address, and the queries that it got."""
    queries: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            queries.append(urlsplit(self.path).query)
            refused = len(queries) % refuse_every == 0
            body = b'{"code":30004,"msg":"no"}' if refused else b'{"symbol":"BTCUSDT","orderId":"C02__1"}'
            self.send_response(400 if refused else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is the library's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", queries
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_only_orders_that_were_answered_with_success_count() -> None:
    with venue(refuse_every=5) as (url, queries):
        found = load(url, "mx0bench", SECRET, 20, 60, 1, "50000.00")
    assert (len(found["took"]), found["refused"], len(queries)) == (16, 4, 20)
    assert "30004" in found["why"][0]


def test_every_order_is_signed_and_has_a_name_of_its_own() -> None:
    with venue(refuse_every=1_000) as (url, queries):
        load(url, "mx0bench", SECRET, 30, 60, 3, "50000.00")
    signed = [query.rpartition("&signature=") for query in queries]
    assert all(sent == signature(SECRET, payload) for payload, _, sent in signed)
    assert len({dict(parse_qsl(query))["newClientOrderId"] for query in queries}) == 30


def test_a_load_ends_after_its_time_with_every_order_answered() -> None:
    with venue(refuse_every=1_000_000) as (url, queries):
        found = load(url, "mx0bench", SECRET, 1_000_000, 0.05, 3, "50000.00")
    assert 3 <= len(found["took"]) == len(queries) < 1_000_000


def test_traces_that_did_not_arrive_fail_the_bench() -> None:
    with pytest.raises(RuntimeError, match="only 0 traces arrived of 3 orders"):
        check(Collector(), 3)
