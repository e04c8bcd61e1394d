"""Builds the signer's service from the deployment's files: what it pins, its limits, its secrets. ``gatehouse signer`` calls it."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path

from controller.authority.roster import load_roster
from controller.runtime.loop.clock import SystemClock
from controller.settings.deployment import Settings, SignerSettings, load_settings, read_exchange_secret
from controller.settings.policy_file import read_policy
from controller.signer.grants import Grants, Pinned
from controller.signer.ledger import Buys, MemoryFile
from controller.signer.protocol import VENUES
from controller.signer.service import Account, LiveAuthority, SignerService
from exchange.errors import ConfigError
from exchange.mexc.signer import SignerLimits
from exchange.ports import Clock, VenueName
from policies.eur import NO_RATES, highest
from policies.schema import Policy

MEMORY_FILE = "signer.json"


def open_service(directory: Path, clock: Clock | None = None) -> SignerService:
    """Read the settings, the policy, the roster and the secrets of a deployment.

    Raises:
        ConfigError: one of them is missing or invalid, or another user could have written it.
    """
    settings = load_settings(directory)
    chosen = settings.signer or SignerSettings()
    for name in ("gatehouse.toml", settings.policy, settings.roster):
        _check_owner(directory / name)
    policy = read_policy(directory / settings.policy)
    most = policy.limits.order_notional_max_eur * highest(policy.eur_rate, NO_RATES)
    limits = SignerLimits(frozenset(policy.symbols), most)
    accounts = []
    for name in VENUES:
        venue = settings.testnet if name is VenueName.TESTNET else settings.live
        live = _live(directory, settings, chosen, policy) if name is VenueName.LIVE else None
        secret = read_exchange_secret(directory, settings, name)
        accounts.append(Account(venue.api_key, secret, limits, chosen.orders_per_second, live))
    return SignerService(accounts, SystemClock() if clock is None else clock)


def _live(directory: Path, settings: Settings, chosen: SignerSettings, policy: Policy) -> LiveAuthority:
    data = directory / settings.data
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = MemoryFile(data / MEMORY_FILE)
    memory = file.load()
    pinned = Pinned(
        controller_id=settings.controller_id,
        environment=settings.environment,
        account=settings.live.fingerprint,
        mode=policy.mode,
        roster=load_roster(directory / settings.roster),
        attestation_roots=policy.authority.attestation_roots,
    )
    grants = Grants(pinned, memory, partial(file.save, memory, durable=True))
    return LiveAuthority(grants, Buys(memory, file), chosen.buys_per_day, policy.eur_rate.quote_per_eur)


def _check_owner(path: Path) -> None:
    found = path.stat()
    if found.st_uid not in {os.getuid(), 0} or stat.S_IMODE(found.st_mode) & 0o022:
        raise ConfigError(
            f"{path} can be changed by another user, and the signer trusts it",
            code="signer-file-writable",
            remedy=f"chown {path} to the user that runs gatehouse, and chmod go-w {path}.",
        )
