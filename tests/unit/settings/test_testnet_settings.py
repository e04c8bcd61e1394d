"""``[testnet.run]``: where the testnet listens, what it plays and where it keeps its state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.settings.testnet import TestnetSettings

HERE = {"rest": "http://127.0.0.1:8710", "ws": "ws://127.0.0.1:8710/ws", "api_key": "mx0", "secret_file": "s"}


def options(**run: Any) -> str:
    settings = TestnetSettings(**HERE, run=run)  # type: ignore[arg-type]
    assert settings.run is not None
    return " ".join(settings.run.options(Path("/desk"), Path("/desk/var"), settings.rest))


def test_the_testnet_listens_where_the_controller_looks_for_it() -> None:
    assert options().startswith(
        "--host 127.0.0.1 --port 8710 --accounts /desk/secrets/testnet-accounts.toml --state /desk/var/testnet "
    )


def test_files_are_relative_to_the_deployment() -> None:
    text = options(feed="tape", tapes=["a.gz", "/tapes/b.gz"], state="kept", accounts="mine.toml")
    assert "--tape /desk/a.gz --tape /tapes/b.gz" in text
    assert "--accounts /desk/mine.toml --state /desk/kept" in text


def test_generated_symbols_are_listed_with_their_prices() -> None:
    assert "--feed synthetic" in options(feed="synthetic", listed=["ETHUSDT=3000"])
    assert "--list ETHUSDT=3000" in options(feed="synthetic", listed=["ETHUSDT=3000"])


@pytest.mark.parametrize(
    "changed",
    [
        {"rest": "https://127.0.0.1:8710"},
        {"rest": "http://127.0.0.1"},
        {"ws": "ws://127.0.0.1:8711/ws"},
        {"ws": "ws://127.0.0.1:8710/other"},
    ],
)
def test_an_address_that_the_testnet_would_not_have_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"testnet\.run"):
        TestnetSettings(**{**HERE, **changed}, run={})  # type: ignore[arg-type]
    TestnetSettings(**{**HERE, **changed})


def test_an_account_is_the_same_with_and_without_the_table() -> None:
    assert TestnetSettings(**HERE).fingerprint == TestnetSettings(**HERE, run={}).fingerprint  # type: ignore[arg-type]
