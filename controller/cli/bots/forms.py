"""The text that a client needs to trade through the gateway. Pure: ``bot-config`` prints it, and ``make bots`` runs bots with it.

No text has the secret. Each client reads it from the environment variable that ``variable`` names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from controller.cli.bots.clients import Client, ClientName
from exchange.wire.market import KLINES_MAX

_SECRET = "GATEHOUSE_BOT_SECRET"  # noqa: S105 - the name of a variable
_FREQTRADE_SECRET = "FREQTRADE__EXCHANGE__SECRET"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Access:
    """Where the gateway is and who the bot is. ``gateway`` is ``http://host:port``; ``pairs`` are as ``BTC/USDT``."""

    gateway: str
    bot: str
    key: str
    pairs: tuple[str, ...]

    @property
    def stream(self) -> str:
        """The address of the gateway's websocket."""
        return self.gateway.replace("http", "ws", 1) + "/ws"


def variable(client: ClientName) -> str:
    """The environment variable from which this client takes the bot's secret."""
    return _FREQTRADE_SECRET if client is ClientName.FREQTRADE else _SECRET


def file_name(client: ClientName) -> str:
    """The file that the text is pasted into; the recipes use this name."""
    return "gatehouse.json" if client is ClientName.FREQTRADE else "gatehouse_bot.py"


def configuration(client: Client, access: Access, secret_path: str) -> str:
    """What to paste for this client, with a head that says what it is and where the secret is."""
    mark = "//" if client.name is ClientName.FREQTRADE else "#"
    head = [
        f"{client.title} {client.version} as the bot {access.bot}, through gatehouse's gateway: {file_name(client.name)}.",
        "The secret is not in here. Before you start the bot:",
        f'  export {variable(client.name)}="$(cat {secret_path})"',
    ]
    return "".join(f"{mark} {line}\n" for line in head) + _FORMS[client.name](access)


def _api(access: Access) -> dict[str, object]:
    """Every address that ccxt's MEXC client has, so that none is MEXC's. On start it asks for contracts; the gateway has none."""
    gateway = access.gateway
    spot = {"public": gateway, "private": gateway}
    return {
        "spot": spot,
        "spot2": spot,
        "contract": {"public": f"{gateway}/api/v1/contract", "private": f"{gateway}/api/v1/private"},
        "broker": {"private": f"{gateway}/api/v3/broker"},
        "ws": {"spot": access.stream, "swap": access.stream},
    }


def _api_lines(access: Access) -> str:
    """The same as lines of Python."""
    return f"""GATEWAY, STREAM = "{access.gateway}", "{access.stream}"
SPOT = {{"public": GATEWAY, "private": GATEWAY}}
CONTRACT = {{"public": f"{{GATEWAY}}/api/v1/contract", "private": f"{{GATEWAY}}/api/v1/private"}}
API = {{"spot": SPOT, "spot2": SPOT, "contract": CONTRACT, "broker": {{"private": f"{{GATEWAY}}/api/v3/broker"}}}}
API["ws"] = {{"spot": STREAM, "swap": STREAM}}
"""


def _freqtrade(access: Access) -> str:
    # ccxt believes in 1,000 candles in a reply. freqtrade steps by what it is told, and every second page would be missing.
    document = {
        "dry_run": False,
        "exchange": {
            "name": "mexc",
            "key": access.key,
            "pair_whitelist": list(access.pairs),
            "_ft_has_params": {"ohlcv_candle_limit": KLINES_MAX},
            "ccxt_config": {"urls": {"api": _api(access)}},
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _ccxt(access: Access) -> str:
    return _ccxt_module(access, "ccxt.async_support")


def _ccxt_pro(access: Access) -> str:
    return _ccxt_module(access, "ccxt.pro")


def _ccxt_module(access: Access, module: str) -> str:
    return f"""import os

import {module} as ccxt

{_api_lines(access)}

def exchange() -> ccxt.mexc:
    return ccxt.mexc({{"apiKey": "{access.key}", "secret": os.environ["{_SECRET}"], "urls": {{"api": API}}}})
"""


def _pymexc(access: Access) -> str:
    return f"""import os

import pymexc.base
import pymexc.base_websocket
from pymexc import spot

pymexc.base.SPOT = "{access.gateway}"
pymexc.base_websocket.SPOT = STREAM = "{access.stream}"
KEYS = {{"api_key": "{access.key}", "api_secret": os.environ["{_SECRET}"]}}


def http() -> spot.HTTP:
    return spot.HTTP(**KEYS)


def websocket() -> spot.WebSocket:
    socket = spot.WebSocket(**KEYS)
    socket.endpoint = f"{{STREAM}}?listenKey={{socket.listenKey}}"
    return socket
"""


def _lumibot(access: Access) -> str:
    return f"""import os

{_api_lines(access)}BROKER = {{"exchange_id": "mexc", "sandbox": False, "urls": {{"api": API}}}}
BROKER |= {{"apiKey": "{access.key}", "secret": os.environ["{_SECRET}"]}}
"""


def _hummingbot(access: Access) -> str:
    return f"""import os

from hummingbot.connector.exchange.mexc import mexc_constants
from hummingbot.connector.exchange.mexc.mexc_exchange import MexcExchange

mexc_constants.REST_URL = "{access.gateway}/api/"
mexc_constants.WSS_URL = "{access.stream}"


def connector(*pairs: str) -> MexcExchange:
    return MexcExchange("{access.key}", os.environ["{_SECRET}"], trading_pairs=list(pairs))
"""


_FORMS: Mapping[ClientName, Callable[[Access], str]] = MappingProxyType(
    {
        ClientName.FREQTRADE: _freqtrade,
        ClientName.CCXT: _ccxt,
        ClientName.CCXT_PRO: _ccxt_pro,
        ClientName.PYMEXC: _pymexc,
        ClientName.LUMIBOT: _lumibot,
        ClientName.HUMMINGBOT: _hummingbot,
    }
)
