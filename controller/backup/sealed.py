"""Seals and opens a copy in the age format (age-encryption.org/v1). The only place that uses ``pyrage``.

age authenticates the content in chunks of 64 KiB, so a changed byte is found in its chunk, and nothing after it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyrage

from exchange.errors import ConfigError, GatehouseError, IntegrityError, Unauthorised

_CHUNK = 65_536
_SEALED_CHUNK = _CHUNK + 16
_NONCE = 16
_MOST_HEADER = 1 << 20


def seal(pieces: Iterable[bytes], to: BinaryIO, recipients: Sequence[str]) -> None:
    """Encrypt ``pieces`` to every one of ``recipients``, so that each of their identities opens it, and write it to ``to``.

    Raises:
        ConfigError: ``backup-recipient``; one is not a public age key.
        OSError: whatever ``pieces`` or ``to`` raise is raised again.
    """
    keys = [_recipient(text) for text in recipients]
    source, sink = _Source(iter(pieces)), _Sink(to.write)
    try:
        pyrage.encrypt_io(source, sink, keys)
    except (pyrage.EncryptError, OSError) as error:
        raise source.error or sink.error or OSError(str(error)) from error


def open_sealed(path: Path, take: Callable[[bytes], object], identities: Sequence[str]) -> None:
    """Decrypt ``path`` and pass its content to ``take``, piece by piece.

    Raises:
        Unauthorised: ``backup-identity``; no identity opens it.
        IntegrityError: ``backup-damaged``, with the place of the damage.
        OSError: the file cannot be read; whatever ``take`` raises is raised again.
    """
    keys = [_identity(text) for text in identities]
    with path.open("rb") as file:
        header = _header_size(file)
        sink = _Sink(take)
        try:
            pyrage.decrypt_io(file, sink, keys)
        except pyrage.DecryptError as error:
            raise sink.error or _not_opened(path, header, str(error)) from error
        except OSError as error:
            raise sink.error or _damaged(path, header, sink.taken, str(error)) from error


def new_identity() -> tuple[str, str]:
    """A new identity, which is secret, and its public key."""
    made = pyrage.x25519.Identity.generate()
    return str(made), str(made.to_public())


def identities_in(text: str) -> tuple[str, ...]:
    """The identities in the text of a file, one a line; lines with ``#`` are comments, as in ``age-keygen``'s files.

    Raises:
        ConfigError: ``backup-identity-file``; there is none, or a line is not one.
    """
    lines = tuple(line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#"))
    for line in lines:
        _identity(line)
    if not lines:
        raise _no_identity("it holds no identity")
    return lines


class _Source:
    """What ``pyrage`` reads. It keeps the error of the pieces, which ``pyrage`` would turn into a text."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.error: OSError | GatehouseError | None = None

    def read(self, size: int) -> bytes:
        try:
            while not self._rest and (piece := next(self._pieces, None)) is not None:
                self._rest = piece
        except (OSError, GatehouseError) as error:
            self.error = error
            raise
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


class _Sink:
    """What ``pyrage`` writes to. It counts the bytes, and keeps the error of the function behind it."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self.taken = 0
        self.error: OSError | GatehouseError | None = None

    def write(self, data: bytes) -> int:
        try:
            self._take(bytes(data))
        except (OSError, GatehouseError) as error:
            self.error = error
            raise
        self.taken += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""


def _recipient(text: str) -> Any:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ConfigError(
            f"{text} is not a public age key: {error}",
            code="backup-recipient",
            remedy="Write the line that `gatehouse backup key FILE` prints into recipients below [backup] in gatehouse.toml.",
        ) from None


def _identity(text: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        # Never the line itself: it may be a secret with a typing error.
        raise _no_identity("a line of it is not an age identity") from None


def _no_identity(why: str) -> ConfigError:
    return ConfigError(
        f"the identity file cannot be used: {why}",
        code="backup-identity-file",
        remedy="Name a file that `gatehouse backup key FILE` or `age-keygen -o FILE` wrote.",
    )


def _header_size(file: BinaryIO) -> int:
    """How long the header is: it ends with the line that begins with three dashes. 0 where there is no such line."""
    start = file.read(_MOST_HEADER)
    file.seek(0)
    last = start.find(b"\n--- ")
    end = start.find(b"\n", last + 1) if last >= 0 else -1
    return end + 1 if end >= 0 else 0


def _not_opened(path: Path, header: int, why: str) -> Unauthorised | IntegrityError:
    if why == "No matching keys found" and header:
        return Unauthorised(
            f"no identity opens {path.name}: it was made for other recipients, or its header (the first {header} bytes) is damaged",
            code="backup-identity",
            remedy="Name the file with the identity of one of its recipients by --identity. If it is the right one, use another "
            "copy.",
        )
    return damaged(path, f"its header (the first {header or 'few'} bytes) is not valid: {why}")


def _damaged(path: Path, header: int, taken: int, why: str) -> IntegrityError:
    """Name the chunk: so many were good before it."""
    size = path.stat().st_size
    begin = header + _NONCE + taken // _CHUNK * _SEALED_CHUNK
    if why != "decryption error":
        return damaged(path, f"it cannot be read after byte {min(begin, size)}: {why}")
    end = min(begin + _SEALED_CHUNK, size)
    return damaged(path, f"the bytes {min(begin, end)} to {end} of {size} were changed, or the end is missing")


def damaged(path: Path, why: str) -> IntegrityError:
    """The error for a copy that is not as it was made."""
    return IntegrityError(
        f"{path.name} is damaged: {why}",
        code="backup-damaged",
        remedy="Use another copy. Keep this one until it is known what changed it.",
    )
