"""Paths of the demo's files and the example policies in a checkout. ``demo`` and ``init`` use them."""

from __future__ import annotations

from pathlib import Path

from controller.version import SOURCE_ROOT
from exchange.errors import ConfigError


def demo_bot() -> Path:
    """The demo's trading bot."""
    return _found("ops/demo/bot.py")


def greedy_bot() -> Path:
    """The demo's program that buys until it is refused."""
    return _found("ops/demo/greedy.py")


def demo_policy() -> Path:
    """The demo's policy."""
    return _found("policies/examples/demo.toml")


def example_policy(profile: str) -> Path:
    """The policy a production deployment starts from."""
    return _found(f"policies/examples/{profile}.toml")


def demo_tape() -> Path:
    """The recorded market the demo plays."""
    return _found("exchange/testnet/tapes/btcusdt-20240808.tape.gz")


def _found(name: str) -> Path:
    path = SOURCE_ROOT / name
    if not path.is_file():
        raise ConfigError(
            f"{path} is missing", code="demo-file-missing", remedy="Run the demo from a complete checkout of gatehouse."
        )
    return path
