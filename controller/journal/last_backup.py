"""When the journal was last copied, and when such a copy was last verified: a small file in the deployment's data directory.

``gatehouse backup create`` and ``gatehouse backup verify`` write it. Status, alerts and
telemetry show or judge the age of a backup by ``last_backup`` and ``age_of_verified_backup_ms``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from controller.journal.files import write_atomically
from exchange.model import Millis

FILE_NAME = "backup.json"


@dataclass(frozen=True, slots=True)
class CopyMade:
    """One copy. ``at`` is when it was made or verified, ``until`` is when its last entry was written; ``seq`` is that entry."""

    file: str
    at: Millis
    seq: int
    until: Millis


@dataclass(frozen=True, slots=True)
class LastBackup:
    """The last copy that was made, and the last one that was opened and verified; ``None`` means never."""

    created: CopyMade | None = None
    verified: CopyMade | None = None


def last_backup(data: Path) -> LastBackup:
    """What the file in ``data`` says. A file that is missing, or cannot be read, says never."""
    try:
        document = json.loads((data / FILE_NAME).read_bytes())
        return LastBackup(_parsed(document["created"]), _parsed(document["verified"]))
    except (OSError, ValueError, KeyError, TypeError):
        return LastBackup()


def age_of_verified_backup_ms(data: Path, now: Millis) -> int | None:
    """How old the newest verified copy is: milliseconds since its last entry was written; ``None`` means never.

    What was written since then is in no copy that was seen to open. A copy from the future has age 0.
    """
    verified = last_backup(data).verified
    return None if verified is None else max(0, now - verified.until)


def record_created(data: Path, made: CopyMade) -> None:
    """Keep that a copy was made. Raises ``OSError``."""
    _write(data, replace(last_backup(data), created=made))


def record_verified(data: Path, verified: CopyMade) -> None:
    """Keep that a copy was verified, unless a newer one was before. Raises ``OSError``."""
    before = last_backup(data)
    if before.verified is None or before.verified.seq <= verified.seq:
        _write(data, replace(before, verified=verified))


def _write(data: Path, last: LastBackup) -> None:
    write_atomically(data / FILE_NAME, json.dumps(asdict(last)).encode())


def _parsed(document: Any) -> CopyMade | None:
    if document is None:
        return None
    return CopyMade(str(document["file"]), Millis(document["at"]), int(document["seq"]), Millis(document["until"]))
