"""Builds a witness from its options and runs it. ``run.witness`` calls this."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import generate_key, load_key, save_key
from controller.journal.cosignature import cosigner_key
from controller.journal.note import NoteKey
from controller.runtime.loop.clock import SystemClock
from controller.witness.app import Tls, Witness, create_app, serving
from controller.witness.store import Store
from exchange.errors import ConfigError, IntegrityError, UsageError

KEY_FILE = "witness.key"


async def serve(
    directory: Path,
    listen: str,
    key: Path | None,
    name: str,
    logs: Sequence[str],
    announce: Callable[[str, str], None],
    tls: Tls | None = None,
) -> None:
    """Run until cancelled; It calls ``announce`` with the address and the public key when it listens.

    Raises:
        UsageError: an address or a log's key is not one.
        GatehouseError: as ``Store``, ``load_key`` and ``serving``.
    """
    host, port = _address(listen)
    log_keys = _keys(logs)
    store = Store(directory, log_keys)
    try:
        private = _own_key(key or directory / KEY_FILE, directory, fresh=not any(map(store.newest, log_keys)))
        public = _public(name, private)
        app = create_app(Witness(name, private, log_keys, store, SystemClock()))
        async with serving(app, host, port, tls) as bound:
            announce(f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{bound}", public)
            await asyncio.Event().wait()
    finally:
        store.close()


def tls_files(certificate: Path | None, key: Path | None) -> Tls | None:
    """The certificate and its key: both or neither. Raises ``UsageError``."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("https needs a certificate and its key", code="usage", remedy="Use --tls-cert and --tls-key together.")
    return Tls(certificate, key)


def _own_key(path: Path, directory: Path, *, fresh: bool) -> Ed25519PrivateKey:
    if not path.exists():
        if not fresh:
            raise ConfigError(
                f"{directory} holds checkpoints but {path} is missing",
                code="witness-key",
                remedy="Restore the key file, or retire this witness and start a new one with another directory and name.",
            )
        save_key(generate_key(), path)
    return load_key(path)


def _public(name: str, private: Ed25519PrivateKey) -> str:
    try:
        return cosigner_key(name, private).text
    except IntegrityError as error:
        raise UsageError(error.message, code="usage", remedy="Use a --name without spaces and plus signs.") from None


def _keys(logs: Sequence[str]) -> dict[str, NoteKey]:
    try:
        keys = [NoteKey.parse(text) for text in logs]
    except IntegrityError as error:
        raise UsageError(
            error.message, code="usage", remedy="Pass --log the public key that `gatehouse journal checkpoint` prints."
        ) from None
    return {key.name: key for key in keys}


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(
            f"{listen!r} is not HOST:PORT", code="usage", remedy="Write --listen as HOST:PORT, for example 127.0.0.1:8720."
        )
    return host.strip("[]"), int(port)
