"""Makes the checkpoint targets of a deployment from its settings, for a start and for `gatehouse journal verify`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.journal.cosignature import parse_cosigner_key
from controller.journal.note import NoteKey
from controller.journal.publishing import CheckpointTarget
from controller.journal.targets.bucket import Bucket, BucketTarget
from controller.journal.targets.directory import DirectoryTarget
from controller.journal.targets.git import GitRemote, GitTarget
from controller.journal.targets.sigv4 import Credentials
from controller.journal.targets.webhook import WebhookTarget
from controller.journal.targets.witness import WitnessTarget
from controller.settings.checkpoints import (
    BucketSettings,
    CheckpointSettings,
    DirectorySettings,
    GitSettings,
    WebhookSettings,
    WitnessSettings,
)
from exchange.errors import ConfigError, IntegrityError
from exchange.model import Millis

WORK_DIRECTORY = "checkpoints"
"""Below the data directory: working files of the targets. No content there is used without a valid signature."""


@dataclass(frozen=True, slots=True)
class TargetContext:
    """What every target needs. ``secret`` reads a secret by file name; ``loopback`` allows plain http to this machine."""

    directory: Path
    data: Path
    controller_id: str
    key: NoteKey
    secret: Callable[[str], str]
    now: Callable[[], Millis]
    loopback: bool


def open_targets(
    directories: Sequence[str], listed: Sequence[CheckpointSettings], context: TargetContext
) -> tuple[CheckpointTarget, ...]:
    """Every target of a deployment: the directories of ``witnesses``, then ``[[checkpoints]]``. No target is contacted yet.

    Raises:
        ConfigError: a name is used twice, an address or key is invalid, a secret is missing or exposed, or git is not installed.
    """
    targets: list[CheckpointTarget] = [
        DirectoryTarget(context.directory / path, context.controller_id, context.key) for path in directories
    ]
    targets += [_target(one, context) for one in listed]
    names = [target.name for target in targets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"{twice} is listed twice", code="checkpoint-name", remedy="Give every checkpoint target its own name.")
    return tuple(targets)


def _target(settings: CheckpointSettings, context: TargetContext) -> CheckpointTarget:
    name, controller_id, key, work = settings.name, context.controller_id, context.key, context.data / WORK_DIRECTORY
    match settings:
        case DirectorySettings():
            return DirectoryTarget(context.directory / settings.path, controller_id, key)
        case GitSettings():
            remote = GitRemote(
                settings.remote, settings.branch, _optional(settings.secret_file, context),
                _path(settings.ssh_key, context), _path(settings.known_hosts, context),
            )  # fmt: skip
            return GitTarget(name, remote, work / f"{name}.git", controller_id, key, now=context.now)
        case WebhookSettings():
            return WebhookTarget(name, settings.url, _optional(settings.secret_file, context), loopback=context.loopback)
        case BucketSettings():
            credentials = Credentials(settings.access_key, context.secret(settings.secret_file), settings.region)
            bucket = Bucket(settings.endpoint, settings.bucket, settings.prefix, settings.retain_days, credentials)
            return BucketTarget(name, bucket, controller_id, key, now=context.now, loopback=context.loopback)
        case WitnessSettings():
            witness = _witness_key(settings)
            cosigned_file = work / f"{name}.cosigned"
            return WitnessTarget(name, settings.url, witness, cosigned_file, controller_id, key, loopback=context.loopback)


def _witness_key(settings: WitnessSettings) -> NoteKey:
    try:
        return parse_cosigner_key(settings.key)
    except IntegrityError as error:
        raise ConfigError(
            f"checkpoint target {settings.name}: {error.message}",
            code="witness-key",
            remedy="Copy the line that `gatehouse witness` prints when it starts.",
        ) from None


def _optional(name: str, context: TargetContext) -> str:
    return context.secret(name) if name else ""


def _path(name: str, context: TargetContext) -> Path | None:
    return context.directory / name if name else None
