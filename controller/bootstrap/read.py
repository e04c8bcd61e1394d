"""Reads a deployment's directory at a start: settings, documents and secrets. It opens no journal and no connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from controller.authority.roster import load_roster
from controller.bootstrap.bot_secrets import bot_secret
from controller.core.decisions.bot_keys import secret_digest
from controller.core.decisions.governance import release_digest
from controller.core.inputs import Boot, BotKeyFound, Release
from controller.settings.deployment import Settings, load_settings, read_secret, require_signer
from controller.settings.outside import outside_targets
from controller.settings.policy_file import read_policy
from controller.settings.venues import endpoint_of
from controller.telemetry.redact import Redactor
from controller.version import VERSION
from exchange.errors import ConfigError
from exchange.mexc.host import VenueEndpoint
from exchange.mexc.network import TCP, Network
from exchange.ports import VenueName
from policies.document import canonical_bytes
from policies.schema import Policy


@dataclass(frozen=True, slots=True)
class Deployment:
    """The content of a deployment's directory. ``secrets`` of the exchange are here only without a signer process.

    ``network`` is how its venues are reached.
    """

    directory: Path
    data: Path
    settings: Settings
    policy: Policy
    boot: Boot
    secrets: dict[VenueName, str]
    network: Network = TCP

    def endpoint(self, name: VenueName) -> VenueEndpoint:
        """Where a venue is. Raises ``ConfigError`` as ``endpoint_of``."""
        return replace(endpoint_of(self.settings, name), network=self.network)


def read_deployment(directory: Path, redactor: Redactor) -> Deployment:
    """Read the deployment in ``directory``; its secrets are registered with ``redactor``.

    Raises:
        ConfigError: a file is missing or invalid, or the files do not fit together.
    """
    settings = load_settings(directory)
    require_signer(settings)
    policy = read_policy(directory / settings.policy)
    if policy.environment is not settings.environment:
        raise ConfigError(
            f"the settings are for {settings.environment} and the policy for {policy.environment}",
            code="environment-mismatch",
            remedy="Use a policy of the settings' environment, or correct `environment` in gatehouse.toml.",
        )
    roster = load_roster(directory / settings.roster)
    data = directory / settings.data
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # With a signer process only that process reads them.
    venues = {VenueName.TESTNET: settings.testnet, VenueName.LIVE: settings.live} if settings.signer is None else {}
    secrets = {name: read_secret(directory, venue.secret_file) for name, venue in venues.items()}
    bots = [(bot, read_secret(directory, bot.secret_file)) for bot in settings.bots]
    for secret in (*secrets.values(), *(secret for _, secret in bots)):
        redactor.register(secret)
    release = settings.release
    digest = release_digest(release.name, release.version, release.artifact)
    boot = Boot(
        controller_id=settings.controller_id,
        environment=settings.environment,
        gatehouse_version=VERSION,
        epoch=0,
        policy=canonical_bytes(policy).decode(),
        roster=roster.canonical_bytes.decode(),
        release=Release(release.name, release.version, release.artifact, digest),
        accounts={
            VenueName.TESTNET: settings.testnet.fingerprint,
            VenueName.LIVE: settings.live.fingerprint,
        },
        bots=tuple(BotKeyFound(bot.name, bot.key, secret_digest(bot.key, secret)) for bot, secret in bots),
        witnesses=outside_targets(directory, settings),
    )
    return Deployment(directory, data, settings, policy, boot, secrets)


def find_bot_secret(deployment: Deployment, redactor: Redactor, bot: str, key: str) -> str:
    """Read the secret of a bot's gateway key now, and register it with ``redactor``. The gateway's keyring calls it.

    Raises:
        ConfigError: it is missing, empty, or readable by others.
    """
    secret = bot_secret(deployment.directory, deployment.settings, bot, key)
    redactor.register(secret)
    return secret
