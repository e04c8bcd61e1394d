"""``gatehouse bot-config``: what is printed for each client, for whom, and that no secret is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import ccxt.async_support
import ccxt.pro
import pymexc.base
import pymexc.base_websocket
import pymexc.spot
import pytest

from controller.bootstrap.bot_secrets import made_keys
from controller.cli.bots.clients import ClientName, load_clients
from controller.cli.bots.forms import variable
from controller.settings.deployment import load_settings, read_secret
from exchange.wire.market import KLINES_MAX
from tests.support.cli_kit import Run, printed

SECRETS = ("secrets/bot.secret", "secrets/testnet.secret", "secrets/live.secret")


def written(run: Run, deployment: Path, client: str, bot: str = "maker") -> str:
    shown = run("bot-config", client, bot, "--dir", deployment)
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def module(run: Run, deployment: Path, client: ClientName, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the printed Python defines when it is run."""
    monkeypatch.setenv(variable(client), "the-secret-of-the-bot")
    names: dict[str, object] = {}
    exec(written(run, deployment, client.value), names)
    return names


def gateway_of(deployment: Path) -> str:
    return f"http://127.0.0.1:{load_settings(deployment).gateway.port}"


@pytest.mark.parametrize("client", ClientName)
def test_it_says_who_and_where_and_never_a_secret(run: Run, deployment: Path, client: ClientName) -> None:
    text = written(run, deployment, client.value)
    (bot,) = load_settings(deployment).bots
    assert {bot.key in text, gateway_of(deployment) in text, load_clients()[client].version in text} == {True}
    assert str((deployment / bot.secret_file).resolve()) in text
    assert not any(read_secret(deployment, name) in text for name in SECRETS)


@pytest.mark.parametrize("client", ClientName)
def test_no_address_is_outside_of_the_deployment(run: Run, deployment: Path, client: ClientName) -> None:
    addresses = re.findall(r"(?:https?|wss?)://[^\"/]+", written(run, deployment, client.value))
    assert {address.partition("://")[2] for address in addresses} == {gateway_of(deployment).removeprefix("http://")}


@pytest.mark.parametrize(("client", "library"), [(ClientName.CCXT, ccxt.async_support), (ClientName.CCXT_PRO, ccxt.pro)])
async def test_ccxt_keeps_no_address_of_mexc(
    run: Run, deployment: Path, client: ClientName, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = module(run, deployment, client, monkeypatch)["exchange"]()  # type: ignore[operator]
    try:
        assert isinstance(exchange, library.mexc)  # type: ignore[attr-defined]
        assert "mexc" not in json.dumps(exchange.urls["api"])
        assert exchange.secret == "the-secret-of-the-bot"
    finally:
        await exchange.close()


def test_freqtrades_file_is_json_below_its_comments(run: Run, deployment: Path) -> None:
    text = written(run, deployment, "freqtrade")
    document = json.loads("\n".join(line for line in text.splitlines() if not line.startswith("//")))
    assert document["exchange"]["pair_whitelist"] == ["BTC/USDT"]
    assert "mexc.com" not in json.dumps(document)
    assert "secret" not in document["exchange"]
    assert document["exchange"]["_ft_has_params"] == {"ohlcv_candle_limit": KLINES_MAX}


def test_pymexc_is_pointed_at_the_gateway(run: Run, deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for known in (pymexc.base, pymexc.base_websocket):
        monkeypatch.setattr(known, "SPOT", known.SPOT)
    client = module(run, deployment, ClientName.PYMEXC, monkeypatch)["http"]()  # type: ignore[operator]
    assert client.base_url == gateway_of(deployment)
    assert pymexc.base_websocket.SPOT.startswith("ws://127.0.0.1:")
    client.session.close()


def test_pymexcs_websocket_has_the_gateways_address(run: Run, deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Quiet:
        def __init__(self, **keys: str) -> None:
            self.listenKey, self.endpoint = keys["api_key"], "wss://elsewhere"

    for known in (pymexc.base, pymexc.base_websocket):
        monkeypatch.setattr(known, "SPOT", known.SPOT)
    names = module(run, deployment, ClientName.PYMEXC, monkeypatch)
    monkeypatch.setattr(pymexc.spot, "WebSocket", Quiet)
    (bot,) = load_settings(deployment).bots
    made = names["websocket"]()  # type: ignore[operator]
    assert made.endpoint == f"{gateway_of(deployment).replace('http', 'ws')}/ws?listenKey={bot.key}"


def test_json_names_the_file_and_the_variable(run: Run, deployment: Path) -> None:
    shown = printed(run("bot-config", "freqtrade", "maker", "--dir", deployment, "-o", "json"))
    assert (shown["file"], shown["secret_variable"]) == ("gatehouse.json", "FREQTRADE__EXCHANGE__SECRET")
    assert Path(shown["secret_file"]).is_file()


def test_a_key_that_was_made_here_is_found(run: Run, deployment: Path) -> None:
    run("keys", "bot", "second", "--dir", deployment)
    (made,) = made_keys(deployment, "second")
    text = written(run, deployment, "ccxt", "second")
    assert made.key in text
    assert str(made.path.resolve()) in text


def test_of_several_keys_one_is_chosen_by_name(run: Run, deployment: Path) -> None:
    for _ in range(2):
        run("keys", "bot", "second", "--dir", deployment)
    wanted = made_keys(deployment, "second")[1].key
    refused = run("bot-config", "ccxt", "second", "--dir", deployment)
    assert (refused.exit_code, "--api-key" in refused.stderr) == (2, True)
    assert wanted in run("bot-config", "ccxt", "second", "--api-key", wanted, "--dir", deployment).stdout


def test_a_bot_without_a_key_is_refused_with_the_way_to_one(run: Run, deployment: Path) -> None:
    refused = run("bot-config", "ccxt", "nobody", "--dir", deployment)
    assert refused.exit_code == 2
    assert "gatehouse keys bot nobody" in refused.stderr


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3")])
def test_an_address_that_listens_everywhere_is_shown_as_loopback(run: Run, deployment: Path, host: str, shown: str) -> None:
    path = deployment / "gatehouse.toml"
    head, mark, tail = path.read_text().partition("[gateway]\n")
    path.write_text(head + mark + tail.replace('host = "127.0.0.1"', f'host = "{host}"', 1))
    assert f"http://{shown}:" in written(run, deployment, "ccxt")
