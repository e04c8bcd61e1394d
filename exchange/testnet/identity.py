"""The testnet's own key: made with its state, kept beside it with mode 0600, and used to sign statements (ADR 47)."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_ssh_private_key

from exchange.errors import ConfigError
from exchange.private_files import can_be_read_by_others

KEY_FILE = "testnet.key"
"""Its name in the state directory."""

_MAX_FILE = 65_536


def own_key(state: Path | None, file: Path | None = None) -> Ed25519PrivateKey:
    """The key in ``file``, or in the state directory; it is made where there is none. Without both it is new and is kept nowhere.

    Raises:
        ConfigError: the file cannot be read or made, others can read it, or it is no Ed25519 key.
    """
    path = file if file is not None else state / KEY_FILE if state is not None else None
    if path is None:
        return Ed25519PrivateKey.generate()
    if not path.exists():
        with suppress(FileExistsError):
            _make(path)
    return _load(path)


def _make(path: Path) -> None:
    data = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise
    except OSError as error:
        raise _unusable(path, f"it cannot be made: {error.strerror}") from error
    with os.fdopen(handle, "wb") as target:
        target.write(data)
        target.flush()
        os.fsync(handle)


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            data = file.read(_MAX_FILE)
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise _unusable(path, "it is not a file")
    if can_be_read_by_others(path, status) or status.st_uid not in {os.geteuid(), 0}:
        raise ConfigError(
            f"other users can read or write the testnet's key {path}",
            code="testnet-key-exposed",
            remedy="Assume that others know it: remove the file, start the testnet, and sign `set-policy` with the new key.",
        )
    try:
        key = load_ssh_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(path, "it is no unencrypted OpenSSH private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "it is no Ed25519 key")
    return key


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"the testnet's key {path} cannot be used: {why}",
        code="testnet-key-file-unusable",
        remedy="Restore it from a backup. A new key needs a signed `gatehouse set-policy`, and the validation begins anew.",
    )
