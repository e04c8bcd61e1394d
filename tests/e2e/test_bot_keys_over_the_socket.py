"""Gateway keys of a running deployment: issued and revoked by signature with effect at once, and never in the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller.bootstrap.bot_secrets import make_bot_key
from controller.core.decisions.bot_keys import key_document, secret_digest
from exchange.orders import WORKING
from exchange.testnet.conditions.faults import FaultKind
from tests.support.rig import SYMBOL, Rig, rig

UNKNOWN_KEY = 10072


def make(deployment: Rig, bot: str) -> tuple[str, str, str]:
    """A key as ``gatehouse keys bot`` makes it: the key, its secret, and the document that is signed to issue it."""
    made = make_bot_key(deployment.directory, bot)
    secret = made.path.read_text().strip()
    return made.key, secret, key_document(bot, made.key, secret_digest(made.key, secret))


async def code(deployment: Rig, key: str, secret: str) -> int:
    """The error code of the gateway for an account query with this key; 0 when it answers."""
    deployment.bot_key, deployment.bot_secret = key, secret
    answer = await deployment.bot("GET", "/api/v3/account")
    return int(answer.json()["code"]) if answer.status_code != 200 else 0


def resting(deployment: Rig) -> int:
    """How many open orders the testnet itself holds."""
    orders = deployment.testnet.venue.engine.orders("testnet", SYMBOL)
    return sum(1 for view in orders if view.report.status in WORKING)


def problems(status: dict[str, Any]) -> dict[str, str]:
    """Why issued keys do not work, by key."""
    return {one["key"]: one["problem"] for one in status["oversight"]["bot_keys"] if not one["revoked"]}


async def test_a_key_works_until_it_is_revoked_and_its_orders_are_cancelled(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.armed()
        key, secret, document = make(deployment, "second-bot")
        assert await code(deployment, key, secret) == UNKNOWN_KEY

        assert (await deployment.command("issue-bot-key", "alice", subject=document)).status_code == 200
        assert await code(deployment, key, secret) == 0
        bought = await deployment.buy(await deployment.resting_price(), "0.0001", "rests")
        assert bought.status_code == 200, bought.text
        assert resting(deployment) == 1

        assert (await deployment.command("revoke-bot-key", "alice", subject=key)).status_code == 200
        assert await code(deployment, key, secret) == UNKNOWN_KEY
        await deployment.until(lambda status: not status["working_orders"])
        assert resting(deployment) == 0

        again = await deployment.ask("POST", "/v1/propose", json={"verb": "issue-bot-key", "reason": "again", "subject": document})
        assert again.json()["error"]["code"] == "bot-key-revoked"
        assert await code(deployment, "testbotkey", (deployment.directory / "bot.secret").read_text()) == 0
        assert secret not in (deployment.directory / "controller.log").read_text()
        assert all(secret not in str(entry) for entry in await deployment.entries())


async def test_a_key_added_to_the_settings_later_needs_a_signature(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        assert problems(await deployment.armed()) == {"testbotkey": ""}
        await deployment.stop()

        secret = deployment.directory / "late.secret"
        secret.write_text("0123456789abcdef")
        secret.chmod(0o600)
        with (deployment.directory / "gatehouse.toml").open("a") as settings:
            settings.write('[[bots]]\nname = "late"\nkey = "latebotkey"\nsecret_file = "late.secret"\n')
        await deployment.start()
        status = await deployment.armed()
        assert await code(deployment, "latebotkey", "0123456789abcdef") == UNKNOWN_KEY
        (alert,) = status["oversight"]["alerts"]
        assert "issue-bot-key" in alert["detail"]

        document = key_document("late", "latebotkey", secret_digest("latebotkey", "0123456789abcdef"))
        assert (await deployment.command("issue-bot-key", "bob", subject=document)).status_code == 200
        assert await code(deployment, "latebotkey", "0123456789abcdef") == 0
        assert (await deployment.command("ack-alert", "bob", subject=alert["id"])).status_code == 200
        oversight = (await deployment.status())["oversight"]
        assert (oversight["alerts"], oversight["acknowledged"]["persons"]) == ([], ["bob"])


async def test_an_issued_key_works_once_the_file_of_its_secret_is_there(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.armed()
        key, secret, document = make(deployment, "second-bot")
        file = deployment.directory / f"bots/second-bot.{key}.secret"
        file.write_text("not the secret that was issued")
        assert (await deployment.command("issue-bot-key", "alice", subject=document)).status_code == 200
        assert await code(deployment, key, secret) == UNKNOWN_KEY
        assert "not the one that was issued" in problems(await deployment.status())[key]
        file.write_text(secret)
        file.chmod(0o644)
        assert "can be read by others" in problems(await deployment.status())[key]
        file.chmod(0o600)
        assert await code(deployment, key, secret) == 0
        assert problems(await deployment.status())[key] == ""


async def test_a_lockout_is_journalled_and_stays_until_it_is_acknowledged(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.armed()
        deployment.live.arm(FaultKind.IP_BANNED, count=1, params={"operation": "query", "retry_after_s": 3})
        status = await deployment.until(lambda status: status["oversight"]["alerts"])
        (alert,) = status["oversight"]["alerts"]
        (entry,) = await deployment.entries("alert-raised")
        assert (alert["id"], alert["kind"], entry["body"]["alert_kind"]) == (f"A-{entry['seq']}", "venue-lockout", "venue-lockout")
        assert (await deployment.command("ack-alert", "bob", subject=alert["id"])).status_code == 200
        assert (await deployment.status())["oversight"]["alerts"] == []
