"""Private keys in files: generate, save and load Ed25519 keys in OpenSSH's unencrypted format. The CLI calls it.

Keys with a passphrase and security keys are not loaded here; their owners sign with ``ssh-keygen -Y sign``.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_ssh_private_key

from controller.authority.publickey import KeyAlgorithm, PublicKey
from exchange.errors import ConfigError, UsageError

_MAX_FILE = 64 * 1024
_WITH_SSH = (
    "Sign a key with a passphrase or on a security key in four steps: `gatehouse propose VERB --reason WHY --file command.json`, "
    "`gatehouse sign command.json --message message`, `ssh-keygen -Y sign -n gatehouse-command@v1 -f KEY message`, "
    "`gatehouse approve command.json --attach message.sig`."
)


def generate_key() -> Ed25519PrivateKey:
    """Generate a new key from the operating system's random numbers."""
    return Ed25519PrivateKey.generate()


def public_key(private_key: Ed25519PrivateKey) -> PublicKey:
    """Return the public key. Its ``fingerprint`` is the key id, its ``line`` goes into a roster."""
    return PublicKey(KeyAlgorithm.ED25519, private_key.public_key().public_bytes_raw())


def save_key(private_key: Ed25519PrivateKey, path: Path) -> None:
    """Write a new private key file with mode 0600; it is durable when this returns. An existing file is never overwritten.

    Raises:
        UsageError: the file exists or cannot be written.
    """
    data = private_key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
    except OSError as error:
        raise UsageError(
            f"the key cannot be written to {path}: {error.strerror}",
            code="key-not-written",
            remedy="Give the path of a new file in a directory that you can write to.",
        ) from error


def load_key(path: Path) -> Ed25519PrivateKey:
    """Load an unencrypted Ed25519 private key in OpenSSH's format, written by gatehouse or by ssh-keygen.

    Raises:
        ConfigError: ``key-exposed`` when someone other than the owner can read or write the file; ``key-unreadable`` when the
        file is
            missing, encrypted, damaged or of another type.
    """
    data = _read_private(path)
    try:
        key = load_ssh_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        locked = b"BEGIN OPENSSH" in data
        raise _unreadable(f"{path} {'has a passphrase' if locked else 'is not an OpenSSH private key'}", _WITH_SSH) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unreadable(f"{path} is not an Ed25519 key")
    return key


def _read_private(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            data = file.read(_MAX_FILE)
    except OSError as error:
        raise _unreadable(f"{path} cannot be read: {error.strerror}", _there(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise _unreadable(f"{path} is not a file")
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in _owners(path):
        raise ConfigError(
            f"other users can read or write the private key {path}",
            code="key-exposed",
            remedy=f"Assume that others know the key: replace it, and run `chmod 600 {path}` on every private key file.",
        )
    return data


def _there(path: Path) -> str:
    found = ", ".join(str(one) for one in sorted(path.parent.glob("*.key"))[:5])
    return f"Key files there: {found}." if found else "Name the file of your private key, for example keys/alice.key."


def _unreadable(why: str, remedy: str = "") -> ConfigError:
    return ConfigError(why, code="key-unreadable", remedy=remedy or _WITH_SSH)


def _owners(path: Path) -> set[int]:
    """Whose a private key may be. Root, who looks at a service's deployment, also takes one of the user whose folder it is in."""
    return {os.geteuid(), 0, *([path.parent.stat().st_uid] if os.geteuid() == 0 else [])}
