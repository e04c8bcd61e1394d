"""Which files of a deployment belong into a copy, and which are secrets. ``create`` calls it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.journal.archives import DIRECTORY as ARCHIVE
from controller.journal.location import FILE_NAME as JOURNAL
from controller.settings.checkpoints import DirectorySettings
from controller.settings.deployment import FILE_NAME, Settings
from exchange.errors import ConfigError

SECRET_FOLDERS = ("secrets", "keys", "bots")
"""Folders of a deployment whose files are copied with the secrets alone."""

CHECKPOINT_KEY = "checkpoint.key"
APPENDED = ("signer.json", "watchdog.log")
"""Files of the data directory that are written at any time: what the signer signed, and what the watchdog did."""

_MARKS = (b"PRIVATE KEY-----", b"AGE-SECRET-KEY-")
_LOOKED_AT = 1 << 20


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a copy, besides the journal, by their paths in the deployment's directory; sorted.

    ``left_out`` says which files were found and are not copied, and why.
    """

    files: tuple[str, ...]
    left_out: tuple[str, ...]


def contents_of(directory: Path, settings: Settings, *, with_secrets: bool) -> Contents:
    """What to copy of the deployment in ``directory``.

    Raises:
        ConfigError: ``backup-outside``; a file that belongs to the copy is not in the directory.
    """
    root = directory.resolve()
    found = {_inside(root, name, what) for name, what in _always(root, settings)}
    secret = secret_names(root, settings)
    for folder in _evidence(root, settings):
        found |= set(_files_below(root, folder))
    found |= set(_files_below(root, root / settings.data / ARCHIVE))
    found |= {str(path.relative_to(root)) for path in (root / settings.data).glob("snapshot-*") if path.is_file()}
    found |= {str(Path(settings.data) / name) for name in APPENDED if (root / settings.data / name).is_file()}
    if with_secrets:
        found |= {name for name in secret if (root / name).is_file()}
        return Contents(tuple(sorted(found)), ())
    left = {name: "a secret" for name in (*found, *secret) if name in secret or _in_secret_folder(name)}
    left |= {name: "it holds a private key" for name in found - left.keys() if _holds_key(root / name)}
    return Contents(tuple(sorted(found - left.keys())), tuple(sorted(f"{name}: {why}" for name, why in left.items())))


def secret_names(root: Path, settings: Settings) -> frozenset[str]:
    """Every file with a secret: those that the settings name, those in the folders for secrets, and the checkpoint key."""
    named = {name for name in _named_files(settings.model_dump(mode="json")) if name and (root / name).is_file()}
    named |= {name for folder in SECRET_FOLDERS for name in _files_below(root, root / folder)}
    named.add(str(Path(settings.data) / CHECKPOINT_KEY))
    # An absolute path is not in the directory: it is somebody else's to keep.
    return frozenset(str(Path(name)) for name in named if not Path(name).is_absolute())


def _always(root: Path, settings: Settings) -> Iterator[tuple[str, str]]:
    yield FILE_NAME, "the settings"
    yield settings.policy, "policy"
    yield settings.roster, "roster"
    _inside(root, f"{settings.data}/{JOURNAL}", "data")


def _inside(root: Path, name: str, what: str) -> str:
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ConfigError(
            f"{what} in gatehouse.toml is {name}, which is not in {root}, so it would be missing in the copy",
            code="backup-outside",
            remedy=f"Move it into {root}, and write its path relative to that directory.",
        )
    return str(Path(name)) if not Path(name).is_absolute() else str(path.relative_to(root))


def _evidence(root: Path, settings: Settings) -> Iterator[Path]:
    """Folders with evidence, and those checkpoint targets that are folders of the deployment."""
    listed = [one.path for one in settings.checkpoints if isinstance(one, DirectorySettings)]
    for name in (*settings.backup.evidence, *settings.witnesses, *listed):
        path = (root / name).resolve()
        if path != root and path.is_relative_to(root):
            yield path


def _files_below(root: Path, folder: Path) -> Iterator[str]:
    """Plain files only: a link could lead out of the deployment."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() and not folder.is_symlink() else ():
        if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root):
            yield str(path.relative_to(root))


def _named_files(document: Any) -> Iterator[str]:
    """Every value in the settings that names a file with a secret."""
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, str) and (key.endswith("_file") or key == "ssh_key"):
                yield value
            else:
                yield from _named_files(value)
    elif isinstance(document, list):
        for one in document:
            yield from _named_files(one)


def _in_secret_folder(name: str) -> bool:
    return Path(name).parts[0] in SECRET_FOLDERS


def _holds_key(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    return any(mark in start for mark in _MARKS)
