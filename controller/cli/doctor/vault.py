"""The check of ``gatehouse doctor`` on the vault that signs commands, where the environment names one. ``checks`` calls it."""

from __future__ import annotations

from controller.authority.vault import ask_vault, is_used
from controller.cli.doctor.ends import HOUR_MS, left
from controller.cli.doctor.result import Check, Warned

_SOON_MS = HOUR_MS
"""A command is signed within a minute. Many tokens live for a few hours only, so a longer time would always warn."""


def vault_checks() -> list[Check]:
    """One row where VAULT_ADDR is set and the extra is installed; the deployment itself needs no vault."""
    return [Check("vault", check_vault)] if is_used() else []


def check_vault() -> str | Warned:
    """Whether a key in the vault can sign now, and for how long.

    Raises:
        GatehouseError: it cannot, as ``ask_vault``.
    """
    token = ask_vault()
    if token.left_s is None:
        return f"{token.address} is open; its token does not end"
    left_ms = token.left_s * 1000
    if left_ms < _SOON_MS:
        renew = "Run `vault token renew`." if token.renewable else "It cannot be renewed: run `vault login` for a new one."
        return Warned(f"the token of {token.address} ends in {left(left_ms)}, and then no key in it can sign", renew)
    renewable = "can be renewed" if token.renewable else "cannot be renewed"
    return f"{token.address} is open; its token is good for {left(left_ms)} and {renewable}"
