"""What the rehearsal's record makes of the bytes at MEXC's door."""

from __future__ import annotations

from tests.support.dress.record import ORDER, TEST, Record


def request(line: str, *, body: str = "", more: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: api.mexc.com\r\n{length}{more}\r\n{body}".encode()


def test_requests_are_counted_however_their_bytes_are_cut() -> None:
    record, sent = Record(), request("POST /api/v3/order?symbol=X") + request("POST /api/v3/order/test?a=b", body="x" * 10)
    hear = record.listener()
    for at in range(0, len(sent), 7):
        hear(sent[at : at + 7])
    assert (record.count(ORDER), record.count(TEST), record.hosts["api.mexc.com"]) == (1, 1, 2)


def test_each_request_belongs_to_the_phase_in_which_it_came() -> None:
    record = Record()
    hear = record.listener()
    record.phase = "MOCK"
    hear(request("GET /api/v3/time"))
    record.phase = "LIVE"
    hear(request("POST /api/v3/order"))
    assert (record.count(ORDER, phase="MOCK"), record.count(ORDER, phase="LIVE"), record.count(ORDER)) == (0, 1, 1)


def test_frames_of_a_stream_are_no_requests() -> None:
    record = Record()
    hear = record.listener()
    hear(request("GET /ws", more="Upgrade: websocket\r\n") + request("POST /api/v3/order"))
    hear(request("POST /api/v3/order"))
    assert (record.streams["api.mexc.com"], record.count(ORDER), record.unread) == (1, 0, 0)


def test_what_is_no_request_is_noted() -> None:
    record = Record()
    record.listener()(b"nonsense\r\n\r\n")
    assert record.unread == 1
