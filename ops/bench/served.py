"""The servers of the order benches, each in a process of its own: prints its port, serves until its input ends.

python -m ops.bench.served testnet|kept|canned
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import running_testnet
from ops.bench.http_peer import CannedServer

SECRET = "a-secret-of-no-value"
MAKERS = 5
"""Accounts that hold the resting orders: one account may have at most 500."""


def key_of(number: int) -> str:
    """The API key of account ``number``. Account 0 is the measured one."""
    return f"mx0bench{number}"


async def _kept() -> None:
    with tempfile.TemporaryDirectory() as directory:
        await _testnet(Path(directory))


async def _testnet(state: Path | None = None) -> None:
    balances = {"USDT": Decimal(100_000_000)}
    accounts = tuple(AccountConfig(f"bench-{n}", key_of(n), SECRET, balances) for n in range(MAKERS + 1))
    async with running_testnet(_config(accounts, state)) as running:
        await _until_stdin_closes(running.port)


def _config(accounts: tuple[AccountConfig, ...], state: Path | None) -> TestnetConfig:
    return TestnetConfig(accounts=accounts, port=0, seed=7, rate_limits=NO_RATE_LIMITS, state=state)


async def _canned() -> None:
    server = await asyncio.get_running_loop().create_server(CannedServer, "127.0.0.1", 0)
    async with server:
        await _until_stdin_closes(server.sockets[0].getsockname()[1])


async def _until_stdin_closes(port: int) -> None:
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run({"testnet": _testnet, "kept": _kept, "canned": _canned}[sys.argv[1]]())
