"""Where this user keeps state outside every deployment's folder: ``$XDG_STATE_HOME/gatehouse``, or ``~/.local/state/gatehouse``.

Who can write to a deployment's folder cannot always write there. ``bootstrap``, ``doctor`` and ``gatehouse testnet`` call it.
"""

from __future__ import annotations

import os
from pathlib import Path


def state_directory() -> Path | None:
    """The directory, which may not exist yet; ``None`` when the environment names none and this user has no home."""
    named = os.environ.get("XDG_STATE_HOME", "")
    if named.startswith("/"):
        return Path(named) / "gatehouse"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ".local" / "state" / "gatehouse" if home.is_dir() else None
