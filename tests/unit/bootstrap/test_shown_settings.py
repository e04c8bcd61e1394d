"""The console shows settings that are named one by one, and never a secret."""

from __future__ import annotations

import json

from controller.bootstrap.shown_settings import shown_settings
from controller.settings.deployment import Settings

CANARY = "canary-7f3a"


def settings() -> Settings:
    return Settings.model_validate(
        {
            "controller_id": "anna-btc",
            "environment": "rehearsal",
            "release": {"name": "bot", "version": "1", "artifact": "sha256:" + "a" * 64},
            "testnet": {
                "rest": f"http://user:{CANARY}@127.0.0.1:8710",
                "ws": f"ws://user:{CANARY}@127.0.0.1:8710/ws",
                "api_key": f"key-{CANARY}",
                "secret_file": f"secrets/{CANARY}",
            },
            "live": {"rest": "https://api.mexc.com", "ws": "wss://wbs.mexc.com/ws", "api_key": f"key-{CANARY}", "secret_file": "x"},
            "bots": ({"name": "demo", "key": "abcd" + CANARY.replace("-", ""), "secret_file": f"secrets/{CANARY}"},),
            "mock_balances": {"USDT": "100"},
            "checkpoints": (
                {"name": "hook", "to": "webhook", "url": f"https://example.org/{CANARY}", "secret_file": f"secrets/{CANARY}"},
            ),
            "journal": f"postgresql://user:{CANARY}@db/gatehouse",
        }
    )


def test_no_secret_and_no_address_that_may_hold_one_is_shown() -> None:
    text = json.dumps([group.model_dump() for group in shown_settings(settings())])
    assert CANARY not in text
    assert CANARY.replace("-", "") not in text


def test_what_a_person_looks_for_is_shown() -> None:
    groups = {group.title: {fact.name: fact.value for fact in group.facts} for group in shown_settings(settings())}
    assert groups["deployment"]["controller_id"] == "anna-btc"
    assert groups["servers"]["console"] == "127.0.0.1 port 8701"
    assert groups["testnet"]["rest"] == "http://127.0.0.1:8710"
    assert groups["checkpoints"] == {"hook": "webhook"}
