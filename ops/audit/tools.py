"""Runs pip-audit and bandit from the audit's own environment and reads their JSON. ``__main__`` calls it.

Before bandit is believed it has to find a planted fault. pip-audit says "no known vulnerabilities" also of packages that it could
not look up, so each of those makes the check NOT CHECKED.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.audit.found import ROOT, Finding, Outcome
from ops.audit.lock import Pinned

VULNERABILITIES, CODE = "vulnerabilities", "code"
PLANTED = "import subprocess\n\n\ndef run(text):\n    return subprocess.run(text, shell=True)\n"


def check_service(pip_audit: Path, lock: Sequence[Pinned], path: Path) -> Outcome:
    """The lock against the vulnerability service that pip-audit asks."""
    command = [pip_audit, "--require-hashes", "--disable-pip", "--progress-spinner", "off", "-f", "json", "-r", path]
    code, out, err = _ran(command, 600)
    if out is None:
        return Outcome(
            VULNERABILITIES, "no answer", unchecked=(f"the service was not reached: pip-audit ended with {code}: {err}",)
        )
    return read_pip_audit(out, lock, path.name)


def read_pip_audit(out: Any, lock: Sequence[Pinned], path: str) -> Outcome:
    """What pip-audit's JSON says of each package of the lock; one it does not list, or skipped, was not checked."""
    lines = {one.name: one.line for one in lock}
    findings, looked, skipped = list[Finding](), set[str](), list[str]()
    for one in out["dependencies"]:
        if "skip_reason" in one:
            continue
        looked.add(one["name"].lower())
        for fault in one["vulns"]:
            names = ", ".join([fault["id"], *fault.get("aliases", ())])
            fixed = ", ".join(fault.get("fix_versions", ())) or "no version"
            message = f"{one['name']} {one['version']}: {names}; fixed in {fixed}"
            findings.append(Finding(VULNERABILITIES, fault["id"], message, path, lines.get(one["name"].lower(), 0)))
    skipped = sorted({one.name for one in lock} - looked)
    missing = (
        (f"{len(skipped)} packages were not looked up by the service, among them {', '.join(skipped[:5])}",) if skipped else ()
    )
    return Outcome(VULNERABILITIES, f"{len(looked)} packages asked at the service", tuple(findings), missing)


def check_code(bandit: Path, folders: Sequence[str]) -> Outcome:
    """Bandit over the product's folders."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "planted.py").write_text(PLANTED, encoding="utf-8")
        _, out, err = _ran([bandit, "-q", "-f", "json", "-r", folder], 120)
    if out is None or not any(one["test_id"] == "B602" for one in out["results"]):
        return Outcome(CODE, "no answer", unchecked=(f"bandit does not find a planted fault: {err}",))
    code, out, err = _ran([bandit, "-q", "-f", "json", "-r", *(ROOT / one for one in folders)], 600)
    if out is None:
        return Outcome(CODE, "no answer", unchecked=(f"bandit ended with {code}: {err}",))
    findings = tuple(
        Finding(CODE, one["test_id"], one["issue_text"], str(Path(one["filename"]).relative_to(ROOT)), one["line_number"])
        for one in out["results"]
    )
    unread = tuple(f"{one['filename']}: {one['reason']}" for one in out["errors"])
    return Outcome(CODE, f"{len(out['metrics']) - 1} files in {', '.join(folders)}", findings, unread)


def _ran(command: Sequence[Path | str], seconds: int) -> tuple[int, Any, str]:
    """The exit code, the JSON it printed or ``None``, and the last line of what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, None, str(error)[:200]
    said = (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
    try:
        return done.returncode, json.loads(done.stdout), said
    except ValueError:
        return done.returncode, None, said
