"""Makes the directory of a new deployment. ``gatehouse init`` and a rehearsal call it."""

from __future__ import annotations

from pathlib import Path

from exchange.errors import UsageError


def make_new_directory(directory: Path) -> None:
    """Make an empty directory with folders for keys and secrets.

    Raises:
        UsageError: it is not empty or cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UsageError(
                f"{directory} is not empty",
                code="not-empty",
                remedy="Name a directory that is new or empty: nothing is overwritten.",
            )
        for name in ("keys", "secrets"):
            (directory / name).mkdir(mode=0o700)
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be made: {error.strerror}", code="no-directory", remedy="Choose a directory that you can write to."
        ) from None
