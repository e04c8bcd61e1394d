"""Reads the policy file of a deployment, and names it in what is wrong with it. The start, the signer and the verbs use it."""

from __future__ import annotations

from pathlib import Path

from exchange.errors import ConfigError
from policies.document import Policy, load_policy


def read_policy(path: Path) -> Policy:
    """The policy in ``path``.

    Raises:
        ConfigError: the file cannot be read, or is no acceptable policy.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            code="file-unreadable",
            remedy=f"Put the policy there, or correct `policy` in gatehouse.toml. `ls -l {path.parent}` shows what is there.",
        ) from None
    try:
        return load_policy(data)
    except ConfigError as error:
        again = f"Then check it with `gatehouse policy check {path}`."
        raise ConfigError(f"{path}: {error.message}", code=error.code, remedy=f"{error.remedy} {again}") from None
