"""``make audit``: makes every check and writes build/audit/audit.txt, audit.sarif and licences.txt.

Exit code 1 with a finding, 3 when nothing was found and something was not checked, else 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ops.audit.advisories import check_snapshot
from ops.audit.cooldown import check_cooldown, uv_asked
from ops.audit.found import FINDINGS, NOT_CHECKED, ROOT, Outcome, accepted_in, as_sarif, as_text, judged
from ops.audit.licences import check_licences
from ops.audit.lock import read_lock
from ops.audit.secrets import check_secrets
from ops.audit.tools import CODE, VULNERABILITIES, check_code, check_service
from ops.audit.workflows import check_workflows

LOCK = ROOT / "requirements.lock"
OUT = ROOT / "build" / "audit"
TOOLS = ROOT / "var" / "audit" / "venv" / "bin"
FOLDERS = ("controller", "exchange", "gates", "policies")


def vulnerabilities(snapshot: str, now: datetime) -> Outcome:
    """The service's answer, or that of a snapshot where there is one."""
    lock = read_lock(LOCK)
    if snapshot:
        return check_snapshot(VULNERABILITIES, lock, LOCK.name, Path(snapshot), now)
    return check_service(TOOLS / "pip-audit", lock, LOCK)


def licences() -> Outcome:
    """The licences, which are written to a list too."""
    outcome, text = check_licences(read_lock(LOCK), LOCK.name)
    (OUT / "licences.txt").write_text(text, encoding="utf-8")
    return outcome


def main() -> int:
    """Run the checks that were named, or all."""
    now = datetime.now(UTC)
    checks: dict[str, Callable[[], Outcome]] = {
        VULNERABILITIES: lambda: vulnerabilities(os.environ.get("ADVISORIES", ""), now),
        "cooldown": lambda: check_cooldown(read_lock(LOCK), LOCK.name, now, uv_asked(TOOLS / "uv")),
        "licences": licences,
        CODE: lambda: check_code(TOOLS / "bandit", FOLDERS),
        "secrets": lambda: check_secrets(ROOT),
        "build files": lambda: check_workflows(ROOT),
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=list(checks), help="make this check alone; may be repeated")
    wanted = parser.parse_args().only or list(checks)
    OUT.mkdir(parents=True, exist_ok=True)
    accepted = accepted_in(ROOT / "ops" / "audit" / "accepted.toml")
    outcomes = [judged(checks[name](), accepted) for name in wanted]
    text = as_text(outcomes)
    (OUT / "audit.txt").write_text(text, encoding="utf-8")
    (OUT / "audit.sarif").write_text(as_sarif(outcomes), encoding="utf-8")
    print(text, end="")
    print(f"written: {OUT.relative_to(ROOT)}/audit.txt, audit.sarif, licences.txt")
    verdicts = {one.verdict for one in outcomes}
    return 1 if FINDINGS in verdicts else 3 if NOT_CHECKED in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
