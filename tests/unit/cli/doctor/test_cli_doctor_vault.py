"""``gatehouse doctor`` asks the vault of this environment whether it is open and how long its token counts: the real client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.authority import vault as authority_vault
from tests.support.cli_kit import Run, printed
from tests.support.vault_server import running_vault


@dataclass
class Vault:
    """What the vault says about itself and the token; ``left_s`` is ``None`` for a token without an end."""

    initialized: bool = True
    sealed: bool = False
    left_s: int | None = 12 * 3600 + 60
    renewable: bool = True
    status: int = 200

    def answer(self, path: str, _: bytes) -> tuple[int, dict[str, Any]]:
        if path == "/v1/sys/seal-status":
            return 200, {"initialized": self.initialized, "sealed": self.sealed}
        assert path == "/v1/auth/token/lookup-self"
        if self.status != 200:
            return self.status, {"errors": ["permission denied"]}
        ends = None if self.left_s is None else "2026-12-24T18:00:00Z"
        return 200, {"data": {"ttl": self.left_s or 0, "expire_time": ends, "renewable": self.renewable}}


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    found = Vault()
    with running_vault(found.answer) as address:
        monkeypatch.setenv("VAULT_ADDR", address)
        monkeypatch.setenv("VAULT_TOKEN", "token")
        yield found


def row_of(run: Run, deployment: Path) -> dict[str, Any] | None:
    rows = printed(run("doctor", "--dir", deployment, "-o", "json"))
    return next((row for row in rows if row["check"] == "vault"), None)


@pytest.mark.parametrize(
    ("changes", "verdict", "found", "fix"),
    [
        ({}, "PASS", "its token is good for 12 hours and can be renewed", ""),
        ({"left_s": None}, "PASS", "its token does not end", ""),
        ({"left_s": 1_260}, "WARN", "ends in 21 minutes", "vault token renew"),
        ({"left_s": 1_260, "renewable": False}, "WARN", "ends in 21 minutes", "vault login"),
        ({"status": 403}, "FAIL", "does not accept the token", "vault login"),
        ({"sealed": True}, "FAIL", "is sealed: no key in it can sign", "vault operator unseal"),
        ({"initialized": False}, "FAIL", "is not initialised", "vault operator init"),
        ({"status": 500}, "FAIL", "does not answer", "vault status"),
    ],
    ids=["open", "no end", "soon", "soon for good", "refused", "sealed", "new", "broken"],
)
def test_the_vault_and_its_token_are_judged(
    run: Run, deployment: Path, vault: Vault, changes: dict[str, Any], verdict: str, found: str, fix: str
) -> None:
    for name, value in changes.items():
        setattr(vault, name, value)
    row = row_of(run, deployment)
    assert row is not None
    assert row["verdict"] == verdict
    assert found in row["found"]
    assert fix in row["fix"]


def test_without_a_token_it_fails(
    run: Run, deployment: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("HOME", str(tmp_path))
    row = row_of(run, deployment)
    assert row is not None
    assert (row["verdict"], "there is no token" in row["found"]) == ("FAIL", True)


def test_a_vault_that_does_not_answer_fails(run: Run, deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    row = row_of(run, deployment)
    assert row is not None
    assert (row["verdict"], "does not answer" in row["found"]) == ("FAIL", True)


def test_an_environment_without_a_vault_has_no_row(run: Run, deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    assert row_of(run, deployment) is None


def test_a_vault_that_gatehouse_cannot_sign_with_has_no_row(
    run: Run, deployment: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority_vault, "find_spec", lambda _: None)
    assert row_of(run, deployment) is None
