"""Signing with a key in a HashiCorp Vault: the real client against the two calls of the transit engine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.envelope import parse_envelope
from controller.authority.keys import public_key
from controller.authority.verify import verify
from tests.support.cli_kit import Run, printed
from tests.support.vault_server import running_vault
from tests.unit.authority.authority_kit import ALICE, BOB, NOW, PROPOSAL, ROSTER


@dataclass
class Vault:
    """What the vault holds and was asked. ``signs_with`` is its newest key, whatever it says that it is."""

    versions: dict[str, Any] = field(default_factory=dict)
    signs_with: Ed25519PrivateKey = ALICE
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        self.asked.append(path)
        if path == "/v1/transit/keys/desk":
            return {"data": {"keys": self.versions}}
        assert path == "/v1/transit/sign/desk"
        made = self.signs_with.sign(base64.b64decode(json.loads(body)["input"]))
        return {"data": {"signature": f"vault:v2:{base64.b64encode(made).decode()}"}}


def published(key: Ed25519PrivateKey) -> dict[str, str]:
    return {"public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode()}


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    found = Vault({"1": published(BOB), "2": published(ALICE)})

    def answer(path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        return found.status, found.answer(path, body) if found.status == 200 else {"errors": ["permission denied"]}

    with running_vault(answer) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        monkeypatch.setenv("VAULT_TOKEN", "token")
        yield found


@pytest.fixture
def proposal(tmp_path: Path) -> Path:
    path = tmp_path / "command.json"
    path.write_text(PROPOSAL.text)
    return path


def code_of(result: Any) -> str:
    return str(printed(result, error=True)["error"]["code"])


def test_a_key_in_a_vault_signs_a_command_like_a_key_file(run: Run, vault: Vault, proposal: Path) -> None:
    assert run("sign", proposal, "--key", "hv:desk").exit_code == 0
    (one,) = verify(proposal.read_text(), ROSTER, NOW).signatories
    assert one.person == "alice"
    assert vault.asked == ["/v1/transit/keys/desk", "/v1/transit/sign/desk"]


def test_the_roster_line_of_a_vault_key_names_its_newest_version(run: Run, vault: Vault) -> None:
    entry = printed(run("keys", "import", "hv:desk", "-o", "json"))
    assert (entry["key"], entry["type"], entry["id"]) == ("hv:desk/2", "ed25519", public_key(ALICE).fingerprint)


def test_an_older_version_of_a_vault_key_does_not_sign(run: Run, vault: Vault, proposal: Path) -> None:
    assert code_of(run("sign", proposal, "--key", "hv:desk/1", "-o", "json")) == "token-unusable"
    assert parse_envelope(proposal.read_text()) == PROPOSAL


def test_a_signature_from_a_vault_is_verified_before_it_is_used(run: Run, vault: Vault, proposal: Path) -> None:
    vault.signs_with = BOB
    assert code_of(run("sign", proposal, "--key", "hv:desk", "-o", "json")) == "bad-signature"
    assert parse_envelope(proposal.read_text()) == PROPOSAL


@pytest.mark.parametrize("keys", [{"1": 1_700_000_000}, {"1": {}}, {"1": {"public_key": "!"}}, {}], ids=str)
def test_a_vault_key_of_another_type_is_reported_as_unusable(run: Run, vault: Vault, keys: dict[str, Any]) -> None:
    vault.versions = keys
    assert code_of(run("keys", "import", "hv:desk", "-o", "json")) == "token-unusable"


def test_a_vault_that_refuses_or_does_not_answer_is_reported(run: Run, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.status = 403
    assert code_of(run("keys", "import", "hv:desk", "-o", "json")) == "token-unusable"
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    assert code_of(run("keys", "import", "hv:desk", "-o", "json")) == "token-unusable"


def test_a_vault_key_of_small_order_is_not_enrolled(run: Run, vault: Vault) -> None:
    vault.versions = {"1": {"public_key": base64.b64encode(bytes(32)).decode()}}
    assert code_of(run("keys", "import", "hv:desk", "-o", "json")) == "unusable-key"
