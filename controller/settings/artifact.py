"""The digest of a bot's release: of one file, or of a directory (ops/docs/release.md says how to compute it without gatehouse).

``release digest``, ``set-release``, ``init``, ``doctor`` and a running controller call it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from exchange.errors import ConfigError

EXCLUDED = frozenset({".git", "__pycache__"})
"""Names that are left out wherever they are, with all that is below them. They are part of the definition."""


def artifact_digest(path: Path) -> str:
    """``sha256:…`` of a file's content, or of a directory's list.

    The list has a line ``KIND HASH PATH`` for each file and each link, sorted by the bytes of the path: ``x`` for a file that its
    owner may execute, ``-`` for any other, ``l`` for a link, whose hash is that of its target's text.

    Raises:
        ConfigError: it cannot be read, or holds what a digest cannot vouch for.
    """
    try:
        if path.is_file():
            return f"sha256:{_content(path)}"
        lines = sorted(_lines(path.resolve(strict=True)))
    except OSError as error:
        raise ConfigError(
            f"{error.filename or path} cannot be read: {error.strerror}",
            code="artifact-unreadable",
            remedy="Give the path of the bot's file or directory, readable by this user.",
        ) from None
    if not lines:
        raise _not_covered(path, "it holds no file")
    return "sha256:" + hashlib.sha256(b"".join(line for _, line in lines)).hexdigest()


def _lines(root: Path) -> Iterator[tuple[bytes, bytes]]:
    for directory, folders, files in os.walk(root, onerror=_fail):
        folders[:] = [name for name in folders if name not in EXCLUDED]
        linked = [name for name in folders if (Path(directory) / name).is_symlink()]
        for name in (*files, *linked):
            if name not in EXCLUDED:
                path = Path(directory) / name
                relative = os.fsencode(path.relative_to(root))
                if b"\n" in relative:
                    raise _not_covered(path, "its name has a line break")
                kind, digest = _kind(path, root)
                yield relative, f"{kind} {digest} ".encode() + relative + b"\n"


def _kind(path: Path, root: Path) -> tuple[str, str]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        target = path.resolve()
        if not target.is_relative_to(root) or not EXCLUDED.isdisjoint(target.relative_to(root).parts):
            raise _not_covered(path, "it is a link to what the digest does not cover")
        return "l", hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
    if not stat.S_ISREG(mode):
        raise _not_covered(path, "it is neither a file nor a link")
    return "x" if mode & stat.S_IXUSR else "-", _content(path)


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fail(error: OSError) -> None:
    raise error


def _not_covered(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is part of no release: {why}",
        code="artifact-not-covered",
        remedy="Take it out of the bot's directory, or name another one.",
    )
