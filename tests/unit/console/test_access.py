"""The console for other machines: nothing without a token in force, roles, an end, and the name of the person who halts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from controller.console.access import Access, may_halt_by_token, person_of
from controller.console.app import create_app
from controller.console.tokens import DAY_MS, AccessRole, TokenFile
from exchange.errors import ConfigError, UsageError
from exchange.model import Millis
from tests.support.operator_port import NOW, FakePort

HOST = "https://desk.example:8702"
OWN = {"origin": HOST}


class Remote:
    """A console behind tokens, with a clock."""

    def __init__(self, path: Path) -> None:
        self.port = FakePort()
        self.now = NOW
        self.steady = 0
        self.file = TokenFile(path)
        app = create_app(
            self.port,
            local=False,
            hosts=["desk.example"],
            may_halt=may_halt_by_token,
            guard=lambda inner: Access(inner, TokenFile(path), lambda: Millis(self.now), lambda: self.steady),
            halts_as=person_of,
        )
        self.transport = httpx.ASGITransport(app)

    def token(self, role: AccessRole = AccessRole.HALT, person: str = "anna", days: int = 30) -> str:
        return self.file.add(person, role, days, Millis(self.now))[1]

    async def ask(self, token: str, path: str = "/", method: str = "GET", **more: object) -> httpx.Response:
        async with httpx.AsyncClient(transport=self.transport, base_url=HOST) as client:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return await client.request(method, path, headers=headers | OWN, **more)  # type: ignore[arg-type]

    async def halt(self, token: str) -> httpx.Response:
        return await self.ask(token, "/halt", "POST", data={"reason": "from afar"})


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "tokens.json")


@pytest.mark.parametrize("path", ["/", "/v1/status", "/v1/stream", "/metrics", "/livez", "/static/page.js", "/nothing"])
async def test_nothing_is_answered_without_a_token(remote: Remote, path: str) -> None:
    remote.token()
    answer = await remote.ask("", path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert remote.port.view.controller_id not in answer.text


async def test_a_browser_shows_the_token_as_a_password(remote: Remote) -> None:
    basic = base64.b64encode(f"anna:{remote.token()}".encode()).decode()
    async with httpx.AsyncClient(transport=remote.transport, base_url=HOST) as client:
        assert (await client.get("/", headers={"authorization": f"Basic {basic}"})).status_code == 200


@pytest.mark.parametrize("shown", ["Basic !", "Basic " + base64.b64encode(b"\xff:\xff").decode(), "Digest x", "Bearer", "ghc_x"])
async def test_what_is_no_token_is_refused(remote: Remote, shown: str) -> None:
    async with httpx.AsyncClient(transport=remote.transport, base_url=HOST) as client:
        assert (await client.get("/", headers={"authorization": shown})).status_code == 401


async def test_two_tokens_at_once_are_none(remote: Remote) -> None:
    shown = ("authorization", f"Bearer {remote.token()}")
    async with httpx.AsyncClient(transport=remote.transport, base_url=HOST) as client:
        assert (await client.get("/", headers=[shown, shown])).status_code == 401


async def test_a_halt_is_journalled_with_the_person(remote: Remote) -> None:
    assert (await remote.halt(remote.token())).status_code == 200
    assert (remote.port.halted, remote.port.halted_by) == (["from afar"], ["anna"])


@pytest.mark.parametrize("path", ["/halt", "/approvals/submit", "/approvals/check", "/v1/commands", "/v1/propose"])
async def test_an_observer_only_reads(remote: Remote, path: str) -> None:
    token = remote.token(AccessRole.OBSERVER)
    assert (await remote.ask(token, "/orders")).status_code == 200
    answer = await remote.ask(token, path, "POST", data={"reason": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "only-observer")
    assert remote.port.halted == []


async def test_a_form_of_another_site_does_not_halt(remote: Remote) -> None:
    token = remote.token()
    async with httpx.AsyncClient(transport=remote.transport, base_url=HOST) as client:
        headers = {"authorization": f"Bearer {token}", "origin": "https://evil.example"}
        assert (await client.post("/halt", data={"reason": "x"}, headers=headers)).status_code == 403
    assert remote.port.halted == []


async def test_a_revoked_token_ends_at_once(remote: Remote) -> None:
    token = remote.token()
    assert (await remote.ask(token)).status_code == 200
    remote.file.revoke("anna")
    assert (await remote.halt(token)).status_code == 401


async def test_a_token_ends_with_its_time(remote: Remote) -> None:
    token = remote.token(days=1)
    remote.now += DAY_MS - 1
    assert (await remote.ask(token)).status_code == 200
    remote.now += 1
    assert (await remote.ask(token)).status_code == 401


async def test_wrong_tokens_are_limited_and_the_right_one_is_not(remote: Remote) -> None:
    token = remote.token()
    codes = [(await remote.ask(f"ghc_{number}")).status_code for number in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert (await remote.halt(token)).status_code == 200


def test_the_file_holds_no_token_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    grant, token = TokenFile(path).add("anna", AccessRole.HALT, 30, Millis(NOW))
    assert token.removeprefix("ghc_") not in path.read_text()
    assert len(token) >= 4 + 43
    assert path.stat().st_mode & 0o777 == 0o600
    assert TokenFile(path).grants() == (grant,)


@contextmanager
def _refused(code: str) -> Iterator[None]:
    with pytest.raises((ConfigError, UsageError)) as refused:
        yield
    assert refused.value.code == code


@pytest.mark.parametrize("damage", ["{", '{"tokens": [{}]}', "", '{"tokens": [], "more": 1}'])
async def test_a_damaged_file_lets_nobody_in(remote: Remote, tmp_path: Path, damage: str) -> None:
    token = remote.token()
    (tmp_path / "tokens.json").write_text(damage)
    assert (await remote.ask(token)).status_code == 401
    with _refused("access-tokens"):
        TokenFile(tmp_path / "tokens.json").grants()


async def test_a_file_that_others_read_lets_nobody_in(remote: Remote, tmp_path: Path) -> None:
    token = remote.token()
    (tmp_path / "tokens.json").chmod(0o644)
    assert (await remote.ask(token)).status_code == 401


@pytest.mark.parametrize("person", ["", "Anna", "a b", "<b>", "\u202eanna", "x" * 33])
def test_a_name_that_could_mislead_gets_no_token(tmp_path: Path, person: str) -> None:
    with _refused("bad-person"):
        TokenFile(tmp_path / "tokens.json").add(person, AccessRole.HALT, 30, Millis(NOW))


def test_a_token_made_in_the_future_is_not_in_force(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    _, token = TokenFile(path).add("anna", AccessRole.HALT, 30, Millis(NOW))
    held = json.loads(path.read_text())
    held["tokens"][0]["made_at"] = NOW + 2 * DAY_MS
    path.write_text(json.dumps(held))
    assert TokenFile(path).holder(token, Millis(NOW)) is None
