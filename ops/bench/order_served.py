"""The venues of the bench ``order-path`` and its deployment, in processes of their own; serves until its input ends.

Prints one line: the gateway, the directory, and the address and key of an account at the same venue process that no controller
governs. The controller is a child of this process.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from exchange.testnet.config import AccountConfig, TestnetConfig
from tests.support.rig import quick_policy, rig

DIRECT_KEY, DIRECT_SECRET = "mx0direct", "a-secret-of-no-value"
"""The account that is not governed."""

_POLICY = (
    ("order_rate = { count = 20, per_ms = 1_000 }", "order_rate = { count = 1_000_000, per_ms = 1_000 }"),
    ("open_orders_max = 6", "open_orders_max = 40"),
    ("testnet = 10", "testnet = 40"),
    ("live = 10", "live = 10"),
)


def _policy() -> str:
    text = quick_policy()
    for old, new in _POLICY:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def _with_another(config: TestnetConfig) -> TestnetConfig:
    direct = AccountConfig("direct", DIRECT_KEY, DIRECT_SECRET, {"USDT": Decimal(1_000_000)})
    return replace(config, accounts=(*config.accounts, direct))


async def serve() -> None:
    """Bring the deployment up to TESTNET_VALIDATING and say where it is."""
    with TemporaryDirectory(prefix="g") as folder:
        directory = Path(folder) / "d"
        script = ("-m", "ops.bench.order_stages")
        async with rig(directory, policy=_policy(), script=script, live_venue=_with_another) as built:
            await built.start()
            await built.climb("TESTNET_VALIDATING")
            await built.takes_orders()
            where = {
                "gateway": built.gateway,
                "key": built.bot_key,
                "secret": built.bot_secret,
                "venue": built.live.base_url,
                "directory": str(directory),
            }
            print(json.dumps(where), flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
