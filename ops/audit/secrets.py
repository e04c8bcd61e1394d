"""Looks for secrets in every line of the history of the checked-out commit. ``make audit`` runs it.

Own code, because the scanners that a package index has look at a work tree, and a secret that was removed is still in the history.
Known forms are found by pattern. Other values are found where a name like `secret` or `token` is assigned text of high entropy.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ops.audit.found import Finding, Outcome

CHECK = "secrets"
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private-key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("age-key", re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b")),
    ("aws-access-key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("github-token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b")),
    ("gitlab-token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}\b")),
    ("google-key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("npm-token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("pypi-token", re.compile(r"\bpypi-AgE[A-Za-z0-9_-]{50,}")),
    ("slack-token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("slack-webhook", re.compile(r"hooks\.slack\.com/services/T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{20,}")),
    ("stripe-key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}\b")),
    ("telegram-token", re.compile(r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b")),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}")),
    ("mexc-key", re.compile(r"\bmx0[A-Za-z0-9]{15,}\b")),
    ("password-in-url", re.compile(r"\b[a-z][a-z0-9+]*://[^\s/:@\"'{}<>$]+:[^\s/:@\"'{}<>$]{6,}@")),
)
_ASSIGNED = re.compile(
    r"(?i)[\w.-]*(?:secret|token|passw(?:or)?d|api_?key|private_?key|credential)[\w.-]*[\"']?\s*[:=]+\s*[\"']([A-Za-z0-9+/=_-]{20,})[\"']"
)
_BITS = 3.5
"""Bits for each character, as text in words has about 3 and 32 random hex characters about 3.7."""

_MOST = 4000
"""Characters of a line that are looked at; the tape and the minified sources have longer ones."""


def entropy(text: str) -> float:
    """Shannon's entropy of the characters, in bits each."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def in_line(line: str) -> Iterator[tuple[str, str]]:
    """The rule and the found text of each secret in a line. The text is shortened, so that a report is no second leak."""
    line = line[:_MOST]
    for rule, pattern in PATTERNS:
        for match in pattern.finditer(line):
            yield rule, shortened(match[0])
    for match in _ASSIGNED.finditer(line):
        value = match[1]
        if entropy(value) >= _BITS and any(c.isdigit() for c in value) and any(c.isalpha() for c in value):
            yield "assigned-value", shortened(value)


def shortened(text: str) -> str:
    """The first characters and the length."""
    return f"{text[:8]}… ({len(text)} characters)"


def scanned(lines: Iterable[str]) -> tuple[tuple[Finding, ...], int]:
    """Findings in the output of ``git log -p -U0``, each (rule, path, text) once, and how many added lines were read."""
    commit, path, number, count = "", "", 0, 0
    found: dict[tuple[str, str, str], Finding] = {}
    seen: set[int] = set()
    for line in lines:
        if line.startswith("commit "):
            commit = line[7:19]
        elif line.startswith("+++ "):
            path = line[6:].strip() if line.startswith("+++ b/") else ""
        elif line.startswith("@@ "):
            number = int(line.split("+", 1)[1].split(" ", 1)[0].split(",")[0]) - 1
        elif line.startswith("+"):
            number, count = number + 1, count + 1
            mark = hash((path, line))
            if mark in seen:
                continue
            seen.add(mark)
            for rule, text in in_line(line[1:]):
                found.setdefault((rule, path, text), Finding(CHECK, rule, f"{text}, added by commit {commit}", path, number))
    return tuple(found.values()), count


def check_secrets(repository: Path) -> Outcome:
    """Every line that the checked-out commit of ``repository`` or one before it added."""
    command = ["git", "-C", str(repository), "log", "-p", "-U0", "--no-color", "--no-textconv", "--full-history", "--remerge-diff"]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace") as log:
            assert log.stdout is not None
            assert log.stderr is not None
            findings, count = scanned(log.stdout)
            problem = log.stderr.read().strip()
        if log.returncode:
            return Outcome(CHECK, "no history", unchecked=(f"git log ended with {log.returncode}: {problem[:200]}",))
        shallow = subprocess.run(
            [*command[:3], "rev-parse", "--is-shallow-repository"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return Outcome(CHECK, "no history", unchecked=(f"git does not run: {error}",))
    cut = ("the clone is shallow: older commits are not here",) if shallow.stdout.strip() == "true" else ()
    return Outcome(CHECK, f"{count} added lines of the whole history", findings, cut)
