"""A running controller whose console is reached by TLS with a token: a halt from there is journalled with the person's name."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from controller.console.tokens import AccessRole, TokenFile
from controller.settings.console import DEFAULT_TOKENS, ConsoleSettings, RemoteConsoleSettings
from controller.settings.console_tls import open_tls
from exchange.errors import ConfigError
from exchange.model import Millis
from tests.support.certificates import Issued, issue
from tests.support.rig import Rig, free_port, rig

TABLE = (
    '[console.remote]\nhost = "127.0.0.1"\nport = {port}\nnames = ["desk.example"]\ncertificate = "{certificate}"\nkey = "{key}"\n'
)


@dataclass
class Reached:
    rig: Rig
    url: str
    tls: ssl.SSLContext
    tokens: TokenFile


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    made = issue(tmp_path, dt.timedelta(days=30))
    made.key.chmod(0o600)
    return made


@pytest.fixture
async def reached(tmp_path: Path, issued: Issued) -> AsyncIterator[Reached]:
    port = free_port()
    table = TABLE.format(port=port, certificate=issued.certificate, key=issued.key)
    async with rig(tmp_path / "deployment", checkpoints=table) as built:
        await built.start()
        await built.armed()
        tls = ssl.create_default_context(cafile=str(issued.certificate))
        yield Reached(built, f"https://127.0.0.1:{port}", tls, TokenFile(built.directory / DEFAULT_TOKENS))


async def test_a_person_with_a_token_halts_from_elsewhere(reached: Reached) -> None:
    _, token = reached.tokens.add("anna", AccessRole.HALT, 1, Millis(int(dt.datetime.now(dt.UTC).timestamp() * 1000)))
    async with httpx.AsyncClient(base_url=reached.url, verify=reached.tls) as client:
        assert (await client.get("/v1/status")).status_code == 401
        client.headers["authorization"] = f"Bearer {token}"
        assert (await client.get("/v1/status")).json()["stage"] == "MOCK"
        headers = {"origin": reached.url}
        assert (await client.post("/halt", data={"reason": "from afar"}, headers=headers)).status_code == 200
    status = await reached.rig.status()
    assert status["stage"] == "HALTED"
    assert "anna, by a token: from afar" in status["halt_reason"]
    await reached.rig.stop()
    kept = b"".join(one.read_bytes() for one in reached.rig.directory.rglob("*") if one.is_file())
    assert token.encode() not in kept


def remote(issued: Issued) -> RemoteConsoleSettings:
    return RemoteConsoleSettings(
        host="127.0.0.1", port=0, names=("desk.example",), certificate=str(issued.certificate), key=str(issued.key)
    )


def test_a_key_that_others_read_stops_the_start(tmp_path: Path, issued: Issued) -> None:
    issued.key.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        open_tls(tmp_path, remote(issued))


@pytest.mark.parametrize("text", ["", "no pem"])
def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path, issued: Issued, text: str) -> None:
    issued.certificate.write_text(text)
    with pytest.raises(ConfigError) as refused:
        open_tls(tmp_path, remote(issued))
    assert refused.value.code == "console-tls"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "desk.example"])
def test_a_console_without_tokens_listens_on_loopback_alone(host: str) -> None:
    with pytest.raises(ValueError, match="asks for no token"):
        ConsoleSettings(host=host)
