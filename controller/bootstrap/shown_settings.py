"""The settings that the console shows. Each is named here, so that a new setting is shown only if somebody decides so.

Never shown: secrets and tokens, the addresses of targets that may hold one (webhooks, git remotes, the journal's database), and the
public halves of exchange keys. ``controller.bootstrap.servers`` gives it to the console.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from controller.console.inspection import FactsView, FactView
from controller.settings.deployment import Settings
from controller.settings.testnet import VenueSettings


def shown_settings(settings: Settings) -> tuple[FactsView, ...]:
    """The settings in force, in the groups of ``gatehouse.toml``."""
    groups = (
        _group(
            "deployment",
            {
                "controller_id": settings.controller_id,
                "environment": settings.environment.value,
                "policy": settings.policy,
                "roster": settings.roster,
                "journal": "PostgreSQL" if settings.journal else "journal.db in the data directory",
            },
        ),
        _group(
            "release", {"name": settings.release.name, "version": settings.release.version, "artifact": settings.release.artifact}
        ),
        _group(
            "servers",
            {
                "gateway": f"{settings.gateway.host} port {settings.gateway.port}",
                "gateway.strict_content_type": _yes(settings.gateway.strict_content_type),
                "console": f"{settings.console.host} port {settings.console.port}",
                "console.remote": _remote(settings),
            },
        ),
        _group("live", _venue(settings.live)),
        _group("testnet", _venue(settings.testnet)),
        _group("bots", {bot.name: f"gateway key {bot.key[:4]}…" for bot in settings.bots}),
        _group("signer", _signer(settings)),
        _group(
            "watchdog",
            {
                "required": "by environment" if settings.watchdog.required is None else _yes(settings.watchdog.required),
                "address": settings.watchdog.address or "a socket here",
            },
        ),
        _group("checkpoints", {one.name: one.to for one in settings.checkpoints}),
        _group("alerts", {one.name: f"{one.to} from {one.severity} on, step {one.step}" for one in settings.alerts.channels}),
        _group("witnesses", {"files": f"{len(settings.witnesses)}"}),
    )
    return tuple(group for group in groups if group.facts)


def _remote(settings: Settings) -> str:
    remote = settings.console.remote
    return "none" if remote is None else f"{remote.host} port {remote.port} by TLS, with tokens, as {', '.join(remote.names)}"


def _group(title: str, facts: dict[str, str]) -> FactsView:
    return FactsView(title=title, facts=tuple(FactView(name=name, value=value) for name, value in facts.items()))


def _venue(venue: VenueSettings) -> dict[str, str]:
    return {
        "rest": _without_user(venue.rest),
        "ws": _without_user(venue.ws),
        "key ends": str(venue.api_key_ends) if venue.api_key_ends is not None else "not set",
    }


def _signer(settings: Settings) -> dict[str, str]:
    signer = settings.signer
    if signer is None:
        return {"process": "none: the exchange secrets are in the controller"}
    return {
        "process": "runs as another user" if signer.socket else "its own, started with the controller",
        "buys_per_day": f"{signer.buys_per_day}",
        "orders_per_second": f"{signer.orders_per_second}",
        "answer_within_ms": f"{signer.answer_within_ms}",
    }


def _without_user(address: str) -> str:
    """An address without what may be a password in it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _yes(value: bool) -> str:  # noqa: FBT001 - one value, written
    return "yes" if value else "no"
