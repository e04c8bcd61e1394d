from __future__ import annotations

import httpx
import pytest

from controller.console.app import create_app
from controller.console.boundary import SECURITY_HEADERS, host_name
from tests.support.operator_port import FakePort


async def send(method: str, path: str, *, local: bool = False, port: FakePort | None = None, **more: object) -> httpx.Response:
    app = create_app(port or FakePort(), local=local, hosts=("console.example",))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8701") as session:
        return await session.request(method, path, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/", "/v1/status", "/v1/nothing", "/static/console.js"])
async def test_every_answer_has_the_security_headers(path: str) -> None:
    response = await send("GET", path)
    assert {name: response.headers[name] for name, _ in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
    assert "server" not in response.headers
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_an_internal_error_has_the_security_headers() -> None:
    response = await send("GET", "/v1/status", port=FakePort(error=RuntimeError("x")))
    assert response.headers["content-security-policy"] == dict(SECURITY_HEADERS)["content-security-policy"]


def test_the_policy_allows_no_inline_code_and_no_other_host() -> None:
    policy = dict(SECURITY_HEADERS)["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8701", "localhost.evil.example", "", "[::1", "0.0.0.0:8701"]
)
async def test_an_unknown_host_name_is_refused(host: str) -> None:
    response = await send("GET", "/v1/status", headers={"host": host})
    assert response.status_code == 421
    assert response.json()["error"]["code"] == "unknown-host"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "LOCALHOST:8701", "[::1]:8701", "[::1]", "console.example:443"])
async def test_loopback_and_configured_host_names_are_accepted(host: str) -> None:
    assert (await send("GET", "/v1/status", headers={"host": host})).status_code == 200


async def test_two_host_headers_are_refused() -> None:
    response = await send("GET", "/v1/status", headers=[("host", "127.0.0.1"), ("host", "evil.example")])
    assert response.status_code == 421


async def test_the_socket_accepts_any_host_name() -> None:
    assert (await send("GET", "/v1/status", local=True, headers={"host": "gatehouse"})).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:1", "http://127.0.0.1:8701.evil.example"])
async def test_a_command_from_a_foreign_web_page_is_refused(origin: str) -> None:
    port = FakePort()
    response = await send("POST", "/v1/commands", port=port, json={}, headers={"origin": origin})
    assert response.status_code == 403
    assert port.submitted == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"]
)
async def test_a_command_without_the_json_content_type_is_refused(kind: str) -> None:
    port = FakePort()
    response = await send("POST", "/v1/commands", port=port, content=b"{}", headers={"content-type": kind})
    assert response.json()["error"]["code"] == "not-json"
    assert port.submitted == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST"])
async def test_a_read_accepts_only_get(method: str) -> None:
    response = await send(method, "/v1/status", json={})
    assert response.status_code == 405
    assert response.json()["error"]["code"] == "bad-request"


def test_a_host_name_loses_only_its_port() -> None:
    assert [host_name(h) for h in ("a:1", "A", "[::1]:8", "[::1]", "a:b", ":1", "")] == [
        "a",
        "a",
        "[::1]",
        "[::1]",
        "a:b",
        ":1",
        "",
    ]
