"""The venues of the order benches and a deployment, in processes of their own; serves until its input ends.

``python -m ops.bench.order_served [--tls] [--collector URL] [--unwatched]``. Prints one line: the gateway, the directory, the
address and key of an account at the same venue process that no controller governs, and the two processes. The controller is a child
of this process. With ``--tls`` both reach the venue by TLS; the gateway itself serves no TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.cli.setup.deployment import testnet_table
from exchange.testnet.config import AccountConfig, TestnetConfig
from ops.bench.tls_listener import AUTHORITIES, HOST, add_listeners
from tests.support.rig import Rig, quick_policy, rig

DIRECT_KEY, DIRECT_SECRET = "mx0direct", "a-secret-of-no-value"
"""The account that is not governed."""

_POLICY = (
    ("order_rate = { count = 20, per_ms = 1_000 }", "order_rate = { count = 1_000_000, per_ms = 1_000 }"),
    ("open_orders_max = 6", "open_orders_max = 1_000"),
    ("testnet = 10", "testnet = 4_000"),
)
"""What a bench would meet before the machine: the rate, and how much may be open at once."""


def _policy() -> str:
    text = quick_policy()
    for old, new in _POLICY:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def _with_another(config: TestnetConfig) -> TestnetConfig:
    direct = AccountConfig("direct", DIRECT_KEY, DIRECT_SECRET, {"USDT": Decimal(1_000_000)})
    return replace(config, accounts=(*config.accounts, direct))


def _rich(name: str, config: AccountConfig) -> AccountConfig:
    return replace(config, balances={"USDT": Decimal(10_000)}) if name == "testnet" else config


def _by_tls(built: Rig, tls_ports: dict[int, int]) -> str:
    """Let the deployment reach both venues by TLS. Returns the live venue's address."""
    settings = built.directory / "gatehouse.toml"
    text = settings.read_text()
    for venue in (built.testnet, built.live):
        by_tls = f"{HOST}:{tls_ports[venue.port]}"
        text = text.replace(venue.base_url, f"https://{by_tls}").replace(venue.ws_url, f"wss://{by_tls}/ws")
    assert text.count("https://") == text.count("wss://") == 2
    settings.write_text(text)
    return f"https://{HOST}:{tls_ports[built.live.port]}"


def _unattested(built: Rig) -> None:
    """Take the testnet's key out of the policy, so that nobody asks the testnet for statements.

    Books are compared with a statement over the last 256 orders and trades. Faster than that in five seconds no policy lets a bot
    be, but a bench is, and then the comparison fails and halts.
    """
    policy = built.directory / "policy.toml"
    text = policy.read_text()
    named = testnet_table(built.testnet.venue.identity)
    assert named in text
    policy.write_text(text.replace(named, ""))


async def serve(*, tls: bool, collector: str, unwatched: bool) -> None:
    """Bring the deployment up to TESTNET_VALIDATING and say where it is."""
    with TemporaryDirectory(prefix="g") as folder:
        directory = Path(folder) / "d"
        tls_ports = add_listeners(Path(folder)) if tls else {}
        authorities = str(Path(folder) / AUTHORITIES) if tls else ""
        script = ("-m", "ops.bench.order_stages", *(("--unwatched",) if unwatched else ()), "--authorities", authorities)
        traced = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector}/v1/traces"} if collector else {}
        async with rig(
            directory, policy=_policy(), script=script, environment=traced, account=_rich, live_venue=_with_another
        ) as built:
            _unattested(built)
            venue = _by_tls(built, tls_ports) if tls else built.live.base_url
            await built.start()
            await built.climb("TESTNET_VALIDATING")
            await built.takes_orders()
            assert built.process is not None
            where = {
                "gateway": built.gateway,
                "key": built.bot_key,
                "secret": built.bot_secret,
                "venue": venue,
                "authorities": authorities,
                "directory": str(directory),
                "controller": built.process.pid,
                "venues": os.getpid(),
            }
            print(json.dumps(where), flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ops.bench.order_served")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--collector", default="")
    parser.add_argument("--unwatched", action="store_true")
    asyncio.run(serve(**vars(parser.parse_args())))
