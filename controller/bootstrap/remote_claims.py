"""Makes the claim of a deployment's real account at its witnesses, for a start (ADR 50)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.bootstrap.beside import run_beside
from controller.bootstrap.read import Deployment
from controller.core.effects import Alert
from controller.journal.claim import journal_name
from controller.journal.claim_note import holder_of
from controller.journal.location import DatabaseLocation
from controller.journal.targets.https import checked_url
from controller.journal.targets.witness_claims import ClaimWitness
from controller.journal.tenure import boot_name
from controller.runtime.followers.remote_claims import Claimant, RemoteClaims
from controller.runtime.venues.waiting import SAY_AGAIN_MOST_S, OnWaiting, Waiting
from controller.settings.checkpoints import WitnessSettings
from controller.settings.deployment import journal_location
from exchange.ports import Clock, VenueName
from policies.stage import Environment


def open_remote_claims(
    deployment: Deployment, key: Ed25519PrivateKey, clock: Clock, notify: Callable[[Alert], object]
) -> RemoteClaims:
    """The claim of the real account. No witness is asked yet; without one in the settings it claims nothing.

    Raises:
        ConfigError: an address is not allowed.
    """
    settings = deployment.settings
    loopback = settings.environment is Environment.REHEARSAL
    witnesses = [
        ClaimWitness(f"witness {one.name}", checked_url(one.url, loopback=loopback))
        for one in settings.checkpoints
        if isinstance(one, WitnessSettings)
    ]

    def claimant() -> Claimant:
        place = journal_location(deployment.directory, settings)
        # A database has one leader, on whatever host; a file and its copy on another machine may have one name.
        boot = "" if isinstance(place, DatabaseLocation) else boot_name()
        account = deployment.boot.accounts[VenueName.LIVE]
        return Claimant(settings.controller_id, account, holder_of(journal_name(place), boot), key)

    return RemoteClaims(claimant, witnesses, clock, notify)


def keep_claims(
    claims: RemoteClaims, halt: Callable[[str], None], notify: Callable[[Alert], object], stack: AsyncExitStack
) -> None:
    """Renew the claims until ``stack`` ends. ``halt`` gets the reason when another controller holds the account."""
    run_beside("account claims", partial(claims.run, halt), notify, stack)


def claim_waits(clock: Clock, on_waiting: OnWaiting) -> Callable[[str], None]:
    """Says that a start waits for a claim of another controller to end: at once, then whenever it has lasted twice as long."""
    since, began_ns, say_at_s = clock.now(), clock.monotonic_ns(), 0.0

    def said(because: str) -> None:
        nonlocal say_at_s
        waited_s = (clock.monotonic_ns() - began_ns) / 1e9
        if waited_s >= say_at_s:
            say_at_s = waited_s + min(max(waited_s, 1.0), SAY_AGAIN_MOST_S)
            remedy = "If it is this deployment on another host, stop it there, or wait"
            on_waiting(Waiting("the account's claim", since, int(waited_s), because, f"{remedy}."))

    return said
