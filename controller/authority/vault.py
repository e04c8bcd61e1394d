"""Asks the HashiCorp Vault of this environment whether a key in it can sign now. ``gatehouse doctor`` calls it.

The client is the one that signs (``authority.tokens``), with the same ``VAULT_…`` variables. It is an optional extra.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec

from exchange.errors import ConfigError, Unauthorised, Unreachable

ADDRESS = "VAULT_ADDR"
_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class VaultToken:
    """``left_s``: seconds that the token still counts, ``None`` when it does not end."""

    address: str
    left_s: int | None
    renewable: bool


def is_used() -> bool:
    """Whether this environment names a vault and has the extra that signs with it."""
    return bool(os.environ.get(ADDRESS)) and find_spec("hvac") is not None


def ask_vault() -> VaultToken:
    """Whether the vault is open, and how long its token counts.

    Raises:
        Unreachable: it does not answer, or is sealed or not initialised.
        Unauthorised: there is no token, or it does not count.
        ConfigError: the answer is not a vault's.
    """
    import hvac
    from hvac.exceptions import Forbidden, VaultError

    address = os.environ[ADDRESS]
    client = hvac.Client(timeout=_TIMEOUT_S)
    try:
        _require_open(address, client.sys.read_seal_status())
        if not client.token:
            raise _no_token("there is no token: VAULT_TOKEN and ~/.vault-token are empty")
        data = client.auth.token.lookup_self()["data"]
        ends = data["expire_time"] is not None
        return VaultToken(address, int(data["ttl"]) if ends else None, renewable=bool(data.get("renewable", False)))
    except Forbidden:
        raise _no_token("the vault does not accept the token; it may have ended or been revoked") from None
    except (VaultError, OSError) as error:
        raise Unreachable(
            f"the vault at {address} does not answer: {str(error)[:200]}",
            code="vault-unreachable",
            remedy=f"`vault status` shows it. Start the vault, or correct {ADDRESS}, or remove it where nobody signs with a vault.",
        ) from None
    except (KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{address} does not answer as a vault does",
            code="not-a-vault",
            remedy=f"Correct {ADDRESS}; another program answers there.",
        ) from None


def _require_open(address: str, status: dict[str, object]) -> None:
    if not status["initialized"] or status["sealed"]:
        state = "sealed" if status["initialized"] else "not initialised"
        raise Unreachable(
            f"the vault at {address} is {state}: no key in it can sign",
            code="vault-sealed",
            remedy="Open it with `vault operator unseal`, as often as its threshold says."
            if status["initialized"]
            else "Set it up with `vault operator init`.",
        )


def _no_token(why: str) -> Unauthorised:
    return Unauthorised(why, code="vault-token", remedy="Run `vault login`, and set VAULT_TOKEN where the command runs.")
