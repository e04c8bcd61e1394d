"""The signed manifest of a wheel: the digest of every file in it. ``ops.release`` writes it, ``verb`` checks it.

``MANIFEST`` in the wheel's dist-info folder has one line for each file, as ``sha256sum`` writes them. Beside it ``MANIFEST.note``
is a signed note with three lines: ``gatehouse-manifest-v1``, the version, and the digest of ``MANIFEST``. What pip adds or changes
there (RECORD, INSTALLER and others) and the bytecode that it compiles are not in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from controller.journal.note import NoteKey, open_note
from exchange.errors import ConfigError, IntegrityError

FORMAT = "gatehouse-manifest-v1"
LIST, NOTE = "MANIFEST", "MANIFEST.note"
PACKAGES = ("controller", "exchange", "gates", "policies")
UNSIGNED = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", LIST, NOTE})
"""Files of the dist-info folder that pip writes, and the manifest itself."""

TEST_KEY = "gatehouse-TEST-release+0c724ad7+AdReDRXhJPGt0uxteLAq4N477KbHzG4ky0evRnSRnZiR"
"""The public half of the test key, which everybody can sign with: it shows damage, and not who built a wheel."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A verified installation. ``wrong`` has one line for each file that differs, is missing or was not signed for."""

    version: str
    place: Path
    files: int
    signer: str
    wrong: tuple[str, ...]


def list_text(digests: Mapping[str, str]) -> str:
    """The text of ``MANIFEST``."""
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests))


def note_text(version: str, listed: str) -> str:
    """The text that the release signs."""
    return f"{FORMAT}\n{version}\n{hashlib.sha256(listed.encode()).hexdigest()}\n"


def check_installation(key: NoteKey, package: metadata.Distribution | None = None) -> Checked:
    """Compare every file of the installed package with its signed manifest. ``package``: another installation than this one.

    Raises:
        ConfigError: ``no-manifest``: it is a checkout, or a wheel that was not made by a release.
        IntegrityError: the manifest is not signed by ``key``, or was changed since.
    """
    package = package or metadata.distribution("gatehouse")
    listed, note = package.read_text(LIST), package.read_text(NOTE)
    root = Path(str(package.locate_file("")))
    if listed is None or note is None:
        raise ConfigError(
            f"gatehouse {package.version} in {root} has no signed manifest: it is a checkout or a wheel that no release made",
            code="no-manifest",
            remedy="Install a wheel that `make release` built (ops/docs/releases.md).",
        )
    signed = open_note(note, key)
    if signed != note_text(package.version, listed):
        raise IntegrityError(
            f"the manifest of gatehouse {package.version} in {root} is not the one that was signed",
            code="manifest-changed",
            remedy="Install the wheel again, from the files of the release.",
        )
    digests = {path: digest for digest, _, path in (line.partition("  ") for line in listed.splitlines())}
    wrong = [line for path, digest in digests.items() if (line := _difference(root / path, path, digest))]
    wrong += [f"{path} was added: no one signed for it" for path in _installed(root) if path not in digests]
    return Checked(package.version, root, len(digests), key.name, tuple(sorted(wrong)))


def _difference(file: Path, path: str, digest: str) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    found = hashlib.sha256(data).hexdigest()
    return "" if found == digest else f"{path} was changed: {found[:16]}… instead of {digest[:16]}…"


def _installed(root: Path) -> Iterator[str]:
    """Every file in our packages; bytecode is left out, as Python writes it."""
    for name in PACKAGES:
        for folder, below, files in os.walk(root / name):
            below[:] = sorted(one for one in below if one != "__pycache__")
            yield from (str((Path(folder) / one).relative_to(root)) for one in files)
