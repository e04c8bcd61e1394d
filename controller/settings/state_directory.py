"""Where this user keeps state outside every deployment's folder: ``$XDG_STATE_HOME/gatehouse``, or ``~/.local/state/gatehouse``.

Who can write to a deployment's folder cannot always write there. ``bootstrap``, ``doctor`` and ``gatehouse testnet`` call it.
"""

from __future__ import annotations

import os
from pathlib import Path


def state_directory() -> Path | None:
    """The directory, which may not exist yet; ``None`` when the environment names none and this user has no home it can enter."""
    named = os.environ.get("XDG_STATE_HOME", "")
    if named.startswith("/"):
        return Path(named) / "gatehouse" if _may_enter(Path(named)) or not os.path.lexists(named) else None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ".local" / "state" / "gatehouse" if _may_enter(home) else None


def _may_enter(directory: Path) -> bool:
    """Whether it is a directory in which this user can reach files. A home of another user holds no state of this one."""
    try:
        return directory.is_dir() and os.access(directory, os.X_OK)
    except OSError:
        return False
