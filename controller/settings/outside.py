"""Which checkpoint targets are outside the deployment's folder and can be read back. The start and ``doctor`` call it (ADR 34)."""

from __future__ import annotations

from pathlib import Path

from controller.settings.checkpoints import CheckpointSettings, DirectorySettings, GitSettings, WebhookSettings
from controller.settings.deployment import Settings


def outside_targets(directory: Path, settings: Settings) -> tuple[str, ...]:
    """The names of the targets that who can write to the deployment's folder does not own by that. A webhook cannot be read."""
    folders = [(directory / one).resolve() for one in (".", settings.data)]
    named: list[tuple[str, Path | None]] = [(f"directory {directory / path}", directory / path) for path in settings.witnesses]
    readable = (one for one in settings.checkpoints if not isinstance(one, WebhookSettings))
    named += [(target_name(directory, one), _local_path(directory, one)) for one in readable]
    return tuple(name for name, path in named if path is None or not any(path.resolve().is_relative_to(one) for one in folders))


def target_name(directory: Path, target: CheckpointSettings) -> str:
    """The name under which a target of these settings answers; it must be the ``name`` of the opened target."""
    match target:
        case DirectorySettings():
            return f"directory {directory / target.path}"
        case GitSettings():
            return f"git remote {target.name}"
        case _:
            return f"{target.to} {target.name}"


def _local_path(directory: Path, target: CheckpointSettings) -> Path | None:
    """Where on this machine a target keeps what it is given; ``None`` when it is reached through an address."""
    if isinstance(target, DirectorySettings):
        return directory / target.path
    if isinstance(target, GitSettings):
        remote = target.remote.removeprefix("file://")
        if remote != target.remote or ":" not in remote:
            return directory / remote
    return None
