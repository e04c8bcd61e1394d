"""No release younger than seven days in a lock: most malicious releases are found and removed within days. ``make audit`` runs it.

``uv`` asks the configured index with ``--exclude-newer``, so nothing here knows an address of an index.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops.audit.found import Finding, Outcome
from ops.audit.lock import Pinned

CHECK = "cooldown"
DAYS = 7
_YOUNG = re.compile(r"`([A-Za-z0-9._-]+)` was filtered by `exclude-newer`.*?published at ([0-9T:.-]+Z)", re.DOTALL)
_NO_DATE = re.compile(r"missing an upload date|no upload time|`exclude-newer`.*not supported", re.IGNORECASE)

Asked = Callable[[Sequence[Pinned], str], tuple[int, str]]
"""Resolves exactly these packages among those published before an instant; returns the exit code and what it said."""


def check_cooldown(lock: Sequence[Pinned], path: str, now: datetime, asked: Asked) -> Outcome:
    """Every package of the lock. An index that tells no dates, or cannot be reached, leaves it not checked."""
    until = (now.astimezone(UTC) - timedelta(days=DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    left, findings = list(lock), list[Finding]()
    while left:
        code, said = asked(left, until)
        if _NO_DATE.search(said):
            return Outcome(CHECK, "no dates", tuple(findings), ("the index tells no upload dates",))
        if code == 0:
            return Outcome(CHECK, f"{len(lock)} packages were published before {until}", tuple(findings))
        young = _YOUNG.search(said)
        pinned = next((one for one in left if young is not None and one.name == young[1]), None)
        if young is None or pinned is None:
            last = said.strip().splitlines()[-1:] or ["no output"]
            return Outcome(CHECK, "no answer", tuple(findings), (f"uv ended with {code}: {last[0][:200]}",))
        message = f"{pinned.name} {pinned.version} was published at {young[2]}, less than {DAYS} days ago"
        findings.append(Finding(CHECK, "too-young", message, path, pinned.line))
        left = [one for one in left if one.name != pinned.name]
    return Outcome(CHECK, f"{len(lock)} packages", tuple(findings))


def uv_asked(uv: Path) -> Asked:
    """Asks with the ``uv`` of the audit's own environment."""

    def asked(lock: Sequence[Pinned], until: str) -> tuple[int, str]:
        with tempfile.TemporaryDirectory() as folder:
            wanted = Path(folder) / "wanted.in"
            lines = [f"{one.name}=={one.version}{f' ; {one.marker}' if one.marker else ''}" for one in lock]
            wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
            command = [
                uv,
                "pip",
                "compile",
                wanted,
                "--universal",
                "--python-version",
                "3.11",
                "--no-deps",
                "--exclude-newer",
                until,
            ]
            done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False, timeout=300)
        return done.returncode, done.stderr

    return asked
