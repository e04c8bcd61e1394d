"""Names of copies, and which copies are in a folder: ``gatehouse-<controller>-<UTC time>-<entries>.tar.gz.age``."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from exchange.errors import UsageError

SUFFIX = ".tar.gz.age"
PARTIAL = ".partial"
"""What the name of a file ends with that is not a whole copy."""

_NAME = re.compile(r"gatehouse-(?P<controller>.+)-(?P<at>\d{8}T\d{9}Z)-(?P<entries>\d{12})" + re.escape(SUFFIX))


def copy_name(controller_id: str, at: datetime, entries: int) -> str:
    """The name of a copy made at ``at`` (UTC). Names of one controller sort by time."""
    return f"gatehouse-{controller_id}-{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}Z-{entries:012d}{SUFFIX}"


def copies_in(folder: Path, controller_id: str = "") -> list[Path]:
    """The copies in ``folder``, of one controller if it is named, the oldest first."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match is not None and (not controller_id or match["controller"] == controller_id) and path.is_file():
            found.append((match["at"], path))
    return [path for _, path in sorted(found)]


def partials_in(folder: Path, controller_id: str) -> list[Path]:
    """What interrupted runs left of copies of this controller."""
    drafts = (path for path in folder.iterdir() if path.name.startswith(".") and path.name.endswith(PARTIAL))
    matches = ((path, _NAME.fullmatch(path.name[1 : -len(PARTIAL)])) for path in drafts)
    return [path for path, match in matches if match is not None and match["controller"] == controller_id]


def newest(path: Path, controller_id: str = "") -> Path:
    """``path`` itself if it is a file, or the newest copy in the folder ``path``. Raises ``UsageError`` (``no-backup``)."""
    if path.is_file():
        return path
    found = copies_in(path, controller_id)
    if not found:
        raise UsageError(
            f"there is no copy at {path}",
            code="no-backup",
            remedy="Name a copy or its folder. `gatehouse backup create` makes a copy.",
        )
    return found[-1]
