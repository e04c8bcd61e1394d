"""Names of copies, and which copies are in a folder: ``gatehouse-<controller>-<UTC time>-<entries>-<key>.tar.gz.age``.

``<key>`` are the first digits of the digest of the public checkpoint key: two deployments may have one name, and share a folder.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exchange.errors import UsageError

SUFFIX = ".tar.gz.age"
PARTIAL = ".partial"
"""What the name of a file ends with that is not a whole copy."""

_NAME = re.compile(
    r"gatehouse-(?P<controller>.+)-(?P<at>\d{8}T\d{9}Z)-(?P<entries>\d{12})(-(?P<key>[0-9a-f]{8}))?" + re.escape(SUFFIX)
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose copies are meant: those of one deployment, by its name and by ``key``, ``key_digits`` of its checkpoint key.

    Copies without a key in their name are of an earlier version: they are shown, and never removed. No name means every copy.
    """

    controller_id: str = ""
    key: str = ""

    def owns(self, match: re.Match[str], *, surely: bool = False) -> bool:
        """Whether a name is of this deployment; ``surely``: not only by the name that it was given."""
        if self.controller_id and match["controller"] != self.controller_id:
            return False
        return not self.key or match["key"] == self.key or (match["key"] is None and not surely)


ANY = Owner()


def key_digits(public_key: str) -> str:
    """What a copy's name says of the public checkpoint key, as text."""
    return hashlib.sha256(public_key.encode()).hexdigest()[:8]


def copy_name(owner: Owner, at: datetime, entries: int, folder: Path) -> str:
    """The name of a copy made at ``at`` (UTC). Names of one deployment sort by the order in which they were made in ``folder``.

    After a clock was set back, the name has the time of the newest copy and a millisecond more.
    """
    times = [_time(match["at"]) for _, match in _matches(folder) if owner.owns(match)]
    at = max([at.replace(microsecond=at.microsecond // 1000 * 1000), *(one + timedelta(milliseconds=1) for one in times)])
    digits = f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}Z-{entries:012d}"
    return f"gatehouse-{owner.controller_id}-{digits}-{owner.key}{SUFFIX}"


def copies_in(folder: Path, owner: Owner = ANY, *, surely: bool = False) -> list[Path]:
    """The copies in ``folder``, of one deployment if it is named, the oldest first. ``surely``: see ``Owner.owns``."""
    return [path for _, path in sorted((match["at"], path) for path, match in _matches(folder) if owner.owns(match, surely=surely))]


def owner_of(path: Path) -> Owner:
    """Whose copy it is, by its name. Those of an earlier version say no key."""
    match = _NAME.fullmatch(path.name)
    return Owner(match["controller"], match["key"] or "") if match is not None else ANY


def _matches(folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            yield path, match


def _time(text: str) -> datetime:
    return datetime.strptime(f"{text[:-1]}000", "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def partials_in(folder: Path, owner: Owner) -> list[Path]:
    """What interrupted runs left of copies of this deployment."""
    drafts = (path for path in folder.iterdir() if path.name.startswith(".") and path.name.endswith(PARTIAL))
    matches = ((path, _NAME.fullmatch(path.name[1 : -len(PARTIAL)])) for path in drafts)
    return [path for path, match in matches if match is not None and owner.owns(match, surely=True)]


def newest(path: Path, owner: Owner = ANY) -> Path:
    """``path`` itself if it is a file, or the newest copy in the folder ``path``. Raises ``UsageError`` (``no-backup``)."""
    if path.is_file():
        return path
    found = copies_in(path, owner)
    if not found:
        raise UsageError(
            f"there is no copy at {path}",
            code="no-backup",
            remedy="Name a copy or its folder. `gatehouse backup create` makes a copy.",
        )
    return found[-1]
