"""The gateway's keys: the journal lists them, and the secret's file must match the issued digest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from controller.bootstrap.bot_secrets import bot_secret, made_keys, make_bot_key
from controller.core.decisions.bot_keys import secret_digest
from controller.core.state import BotKeyState
from controller.gateway.port import BotKey
from controller.runtime.api.keyring import Keyring
from exchange.errors import ConfigError
from exchange.model import Millis

KEY = "somebotkey"
ISSUED = BotKeyState("bot", KEY, secret_digest(KEY, "secret"), Millis(1))


@dataclass
class Secrets:
    """Secrets by key, and how often one was read."""

    by_key: dict[str, str] = field(default_factory=lambda: {KEY: "secret"})
    reads: int = 0

    def secret_of(self, _: str, key: str) -> str:
        self.reads += 1
        if key not in self.by_key:
            raise ConfigError("the secret is missing", code="no-secret", remedy="Put it there.")
        return self.by_key[key]


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def issued() -> dict[str, BotKeyState]:
    return {KEY: ISSUED}


@pytest.fixture
def ring(secrets: Secrets, issued: dict[str, BotKeyState]) -> Keyring:
    return Keyring(lambda: issued, secrets.secret_of)


def test_an_issued_key_with_its_secret_opens_the_gateway(ring: Keyring) -> None:
    assert ring.find(KEY) == BotKey("bot", KEY, "secret")
    assert ring.problem(KEY) == ""


def test_a_valid_secret_is_not_read_again(ring: Keyring, secrets: Secrets) -> None:
    for _ in range(3):
        ring.find(KEY)
    assert secrets.reads == 1


def test_a_revoked_key_is_refused_although_its_secret_is_valid(ring: Keyring, issued: dict[str, BotKeyState]) -> None:
    assert ring.find(KEY) is not None
    issued[KEY] = replace(ISSUED, revoked=True)
    assert ring.find(KEY) is None


def test_a_key_that_is_not_issued_is_refused_although_it_has_a_secret(ring: Keyring, secrets: Secrets) -> None:
    secrets.by_key["otherbotkey"] = "secret"
    assert ring.find("otherbotkey") is None
    assert secrets.reads == 0


def test_a_key_with_a_new_secret_refuses_the_old_one_at_once(
    ring: Keyring, secrets: Secrets, issued: dict[str, BotKeyState]
) -> None:
    assert ring.find(KEY) is not None
    issued[KEY] = replace(ISSUED, secret_digest=secret_digest(KEY, "other"))
    assert ring.find(KEY) is None
    assert "not the one that was issued" in ring.problem(KEY)
    secrets.by_key[KEY] = "other"
    assert ring.find(KEY) == BotKey("bot", KEY, "other")


def test_a_key_works_as_soon_as_its_secret_exists(ring: Keyring, secrets: Secrets) -> None:
    del secrets.by_key[KEY]
    assert ring.find(KEY) is None
    assert ring.problem(KEY) == "the secret is missing. Put it there."
    secrets.by_key[KEY] = "secret"
    assert ring.find(KEY) is not None


def test_the_secret_of_one_key_does_not_prove_another(secrets: Secrets) -> None:
    copied = BotKeyState("bot", "copybotkey", ISSUED.secret_digest, Millis(1))
    secrets.by_key["copybotkey"] = "secret"
    assert Keyring(lambda: {copied.key: copied}, secrets.secret_of).find("copybotkey") is None


@pytest.fixture
def directory_secret(tmp_path: Path) -> Callable[[str, str], str]:
    class _Settings:
        bots = ()

    return partial(bot_secret, tmp_path, _Settings())  # type: ignore[arg-type]


def test_a_key_created_here_is_found_and_listed(tmp_path: Path, directory_secret: Callable[[str, str], str]) -> None:
    made = make_bot_key(tmp_path, "one-bot")
    other = make_bot_key(tmp_path, "one-bot-more")
    assert directory_secret("one-bot", made.key) == made.path.read_text().strip()
    assert [one.key for one in made_keys(tmp_path, "one-bot")] == [made.key]
    assert made.key != other.key


def test_a_secret_that_others_can_read_is_not_used(tmp_path: Path, directory_secret: Callable[[str, str], str]) -> None:
    made = make_bot_key(tmp_path, "one-bot")
    made.path.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        directory_secret("one-bot", made.key)
