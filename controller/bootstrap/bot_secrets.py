"""Makes gateway keys and reads their secrets, which are only in 0600 files of the deployment's directory (architecture.md §10).

The start and the verbs ``keys bot``, ``issue-bot-key`` and ``doctor`` use it. A key of ``gatehouse.toml`` names its file. Any other
key has ``bots/<bot>.<key>.secret``, which ``gatehouse keys bot`` writes.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from controller.core.decisions.bot_keys import key_document, secret_digest
from controller.journal.files import hand_over
from controller.settings.deployment import Settings, read_secret
from exchange.errors import ConfigError

DIRECTORY = "bots"
_SUFFIX = ".secret"


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was made here. ``path`` is the file of its secret; ``document`` is the file that is signed to issue the key."""

    bot: str
    key: str
    path: Path

    @property
    def document(self) -> Path:
        """The file beside the secret; it holds no secret."""
        return self.path.with_suffix(".json")


def make_bot_key(directory: Path, bot: str, data: str = "var") -> MadeKey:
    """Make a gateway key with a 256-bit secret for ``bot``. The key opens nothing before a signed command issues it.

    Where root makes it, it belongs to whom the folder ``data`` belongs to, because the controller reads it.

    Raises:
        ConfigError: the file cannot be written.
    """
    key = "gh" + secrets.token_hex(16)
    path = directory / secret_file(bot, key)
    try:
        reader = directory / data if (directory / data).is_dir() else directory
        path.parent.mkdir(mode=0o700, exist_ok=True)
        hand_over(path.parent, reader)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            hand_over(handle, reader)
            secret = secrets.token_hex(32)
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        made = MadeKey(bot, key, path)
        made.document.write_text(key_document(bot, key, secret_digest(key, secret)), encoding="ascii")
        hand_over(made.document, reader)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}",
            code="not-writable",
            remedy="Make this user the owner of the deployment's directory, then try again.",
        ) from None
    return made


def made_keys(directory: Path, bot: str) -> list[MadeKey]:
    """The keys of ``bot`` whose secrets are in the deployment's ``bots`` directory, sorted by key."""
    found = []
    for path in sorted((directory / DIRECTORY).glob(f"{bot}.*{_SUFFIX}")):
        owner, _, key = path.name.removesuffix(_SUFFIX).partition(".")
        if owner == bot and key.isalnum():
            found.append(MadeKey(bot, key, path))
    return found


def secret_file(bot: str, key: str) -> str:
    """The secret file of a key that is not in ``gatehouse.toml``, relative to the deployment's directory."""
    return f"{DIRECTORY}/{bot}.{key}{_SUFFIX}"


def bot_secret(directory: Path, settings: Settings, bot: str, key: str) -> str:
    """The secret of a bot's key.

    Raises:
        ConfigError: it is missing, empty, or readable by others.
    """
    listed = next((one.secret_file for one in settings.bots if (one.name, one.key) == (bot, key)), None)
    return read_secret(directory, listed if listed is not None else secret_file(bot, key))
