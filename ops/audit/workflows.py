"""Reads what builds and tests the project, .ci/run, the Makefile, scripts and .github, for known faults. ``make audit`` runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ops.audit.found import Finding, Outcome

CHECK = "build files"
_SCRIPTS = (".ci/*", "Makefile", "ops/**/*.sh", ".github/workflows/*.yml", ".github/workflows/*.yaml")

RULES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "download-into-shell",
        re.compile(r"\b(?:curl|wget)\b[^|;&]*\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b"),
        "what is fetched is run unread",
    ),
    (
        "certificates-ignored",
        re.compile(r"(?<!\w)(?:--insecure|--no-check-certificate|curl\s+-\w*k\w*\b|--trusted-host)"),
        "TLS is off",
    ),
    ("hooks-skipped", re.compile(r"\bgit\b.*--no-verify\b"), "checks of a commit are skipped"),
    ("everybody-may-write", re.compile(r"\bchmod\s+(?:-R\s+)?(?:0?777|a\+w)\b"), "every user of the machine may change it"),
    (
        "unpinned-install",
        re.compile(r"\bpip3?\b.*\binstall\b(?!.*--require-hashes)(?!.*--no-deps)"),
        "a package without a pinned hash",
    ),
    ("errors-ignored", re.compile(r"\bset \+e\b"), "a failed command is not seen"),
)
_WORKFLOW: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("unpinned-action", re.compile(r"uses:\s*(?!\./)[\w./-]+@(?![0-9a-f]{40}\b)\S+"), "an action is not pinned to a commit"),
    ("untrusted-target", re.compile(r"\bpull_request_target\b"), "a stranger's change runs with the repository's secrets"),
    ("injected-event", re.compile(r"run:.*\$\{\{\s*github\.event\."), "text of a stranger becomes part of a command"),
    ("write-all", re.compile(r"permissions:\s*write-all"), "the token may write everywhere"),
)


def in_script(path: str, text: str) -> Iterator[Finding]:
    """The faults in one file."""
    rules = (*RULES, *(_WORKFLOW if path.startswith(".github/") else ()))
    joined = re.sub(r"\\\n", lambda _: " \x00", text)
    number = 1
    for line in joined.split("\n"):
        shown = line.replace("\x00", "").strip()
        if not shown.startswith("#"):
            yield from (
                Finding(CHECK, rule, f"{why}: {shown[:100]}", path, number) for rule, pattern, why in rules if pattern.search(shown)
            )
        number += 1 + line.count("\x00")
    if path.startswith(".github/"):
        if not re.search(r"^permissions:", text, re.MULTILINE):
            yield Finding(CHECK, "no-permissions", "the workflow does not say what its token may do", path)
    elif re.match(r"#!.*\b(?:ba|da|z)?sh\b", text) and not re.search(r"^set -[a-z]*e|^set -o errexit", text, re.MULTILINE):
        yield Finding(CHECK, "goes-on-after-errors", "the script has no `set -e`", path)


def check_workflows(root: Path) -> Outcome:
    """Every script of the build."""
    paths = sorted({path for pattern in _SCRIPTS for path in root.glob(pattern) if path.is_file()})
    findings = tuple(one for path in paths for one in in_script(str(path.relative_to(root)), path.read_text(encoding="utf-8")))
    if not any(path.name == "run" and path.parent.name == ".ci" for path in paths):
        return Outcome(CHECK, "no files", findings, (".ci/run is not there",))
    return Outcome(CHECK, f"{len(paths)} files: {', '.join(str(path.relative_to(root)) for path in paths)}", findings)
