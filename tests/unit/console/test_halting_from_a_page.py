"""HALT from a page: who may, and what a foreign page or another user of the machine cannot do."""

from __future__ import annotations

import asyncio
import os
import socket

import httpx
import pytest

from controller.console.app import create_app
from controller.console.peer import find_owner, is_own, owner_of
from controller.console.server import serving
from tests.support.operator_port import FakePort

ORIGIN = {"origin": "http://127.0.0.1:8701"}


async def halt(port: FakePort, *, may: bool = True, headers: dict[str, str] | None = None, **form: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(port, local=False, may_halt=lambda _: may))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8701") as client:
        return await client.post("/halt", data=form or {"reason": "smoke"}, headers=ORIGIN if headers is None else headers)


async def test_the_form_halts_and_says_who_asked() -> None:
    port = FakePort()
    response = await halt(port, reason="smoke in the room")
    assert (port.halted, port.halted_by) == (["smoke in the room"], ["console page"])
    assert "The halt is accepted" in response.text


async def test_another_user_of_the_machine_cannot_halt() -> None:
    port = FakePort()
    response = await halt(port, may=False)
    assert response.status_code == 403
    assert port.halted == []
    assert "gatehouse halt" in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {**ORIGIN, "sec-fetch-site": "cross-site"},
        {**ORIGIN, "sec-fetch-site": "same-site"},
        {**ORIGIN, "host": "evil.example"},
        {**ORIGIN, "content-type": "text/plain"},
    ],
)
async def test_a_form_of_another_page_does_not_halt(headers: dict[str, str]) -> None:
    port = FakePort()
    assert (await halt(port, headers=headers)).status_code in {400, 403, 421}
    assert port.halted == []


async def test_a_link_does_not_halt() -> None:
    port = FakePort()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(port, local=False, may_halt=lambda _: True)), base_url="http://127.0.0.1"
    ) as client:
        assert (await client.get("/halt?reason=x")).status_code == 405
    assert port.halted == []


@pytest.mark.parametrize(("reason", "kept"), [("", "no reason was written"), ("a\x00\u202eb", "a  b"), ("x" * 900, "x" * 200)])
async def test_a_bad_reason_holds_no_halt_up(reason: str, kept: str) -> None:
    port = FakePort()
    await halt(port, reason=reason)
    assert port.halted == [kept]


async def test_a_halt_over_a_real_connection_of_this_user_is_taken() -> None:
    port = FakePort()
    async with serving(create_app(port, local=False), "127.0.0.1", 0) as number, httpx.AsyncClient() as client:
        address = f"http://127.0.0.1:{number}"
        response = await client.post(f"{address}/halt", data={"reason": "now"}, headers={"origin": address})
    assert response.status_code == 200
    assert port.halted == ["now"]


async def test_the_owner_of_a_connection_is_its_user() -> None:
    served: asyncio.Future[tuple[tuple[str, int], tuple[str, int]]] = asyncio.get_running_loop().create_future()

    closed = asyncio.Event()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.set_result((writer.get_extra_info("peername"), writer.get_extra_info("sockname")))
        await closed.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with socket.socket() as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, server.sockets[0].getsockname())
        peer, here = await served
        assert owner_of(peer, here) == os.geteuid()
        assert is_own(peer, here)
    closed.set()
    server.close()
    assert owner_of(("127.0.0.1", 1), here) is None
    assert not is_own(("192.0.2.1", 5), here)
    assert not is_own(None, here)


LINE = " 0: 0100007F:1F90 0100007F:21FD {state} 00000000:00000000 00:00000000 00000000 {uid} 0 {inode} 1 0 20 4 30 10 -1"


@pytest.mark.parametrize(
    ("state", "uid", "inode", "owner"),
    [("01", "1000", "77", 1000), ("01", "0", "0", None), ("04", "0", "77", None), ("06", "0", "0", None)],
)
def test_a_socket_that_is_closing_has_no_owner(state: str, uid: str, inode: str, owner: int | None) -> None:
    """The kernel shows root as the owner of a socket that its process has left."""
    table = ["  sl  local_address rem_address   st", LINE.format(state=state, uid=uid, inode=inode)]
    assert find_owner(table, "0100007F:1F90", "0100007F:21FD") == owner
    assert find_owner(table, "0100007F:1F91", "0100007F:21FD") is None
