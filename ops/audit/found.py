"""What an audit found, as text and as SARIF 2.1.0. Every check returns an ``Outcome``; ``__main__`` writes them.

A check that could not be made is NOT CHECKED and never clean.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLEAN, FINDINGS, NOT_CHECKED = "clean", "FINDINGS", "NOT CHECKED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: ``rule`` names its kind, ``path`` is relative to the repository, ``line`` is 0 where there is none."""

    check: str
    rule: str
    message: str
    path: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one check. ``unchecked`` says what was not looked at and why; ``seen`` what was."""

    check: str
    seen: str
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()
    accepted: tuple[tuple[Finding, str], ...] = field(default=())

    @property
    def verdict(self) -> str:
        """Findings before what was not checked before clean."""
        return FINDINGS if self.findings else NOT_CHECKED if self.unchecked else CLEAN


@dataclass(frozen=True, slots=True)
class Accepted:
    """A kind of finding that is no fault in some files, with the reason; ``message`` must be part of what it says."""

    check: str
    rule: str
    path: str
    reason: str
    message: str = ""

    def covers(self, one: Finding) -> bool:
        """Whether it is about this finding."""
        same = (self.check, self.rule) == (one.check, one.rule)
        return same and fnmatch(one.path, self.path) and self.message in one.message


def accepted_in(path: Path) -> tuple[Accepted, ...]:
    """What ``accepted.toml`` lists."""
    return tuple(Accepted(**one) for one in tomllib.loads(path.read_text(encoding="utf-8"))["accepted"])


def judged(outcome: Outcome, accepted: Sequence[Accepted]) -> Outcome:
    """The outcome without what is accepted. An acceptance that covers nothing is a finding itself, if its check was made."""
    left, known, used = list[Finding](), list[tuple[Finding, str]](), set[int]()
    for one in outcome.findings:
        number = next((number for number, rule in enumerate(accepted) if rule.covers(one)), None)
        if number is None:
            left.append(one)
        else:
            used.add(number)
            known.append((one, accepted[number].reason))
    if not outcome.unchecked:
        left += [
            Finding(outcome.check, "unused-acceptance", f"{rule.rule} in {rule.path} is accepted, and nothing is found there", _OWN)
            for number, rule in enumerate(accepted)
            if rule.check == outcome.check and number not in used
        ]
    return Outcome(outcome.check, outcome.seen, tuple(left), outcome.unchecked, tuple(known))


_OWN = "ops/audit/accepted.toml"


def as_text(outcomes: Sequence[Outcome]) -> str:
    """The report for people."""
    lines = [f"{one.check:<16} {one.verdict:<12} {one.seen}{_accepted(one)}" for one in outcomes]
    for one in outcomes:
        lines += ["", f"## {one.check}: {one.verdict}"] if one.findings or one.unchecked else []
        lines += [f"not checked: {why}" for why in one.unchecked]
        lines += [f"{item.path}:{item.line or 1}: {item.rule}: {item.message}" for item in one.findings]
    return "\n".join(lines) + "\n"


def _accepted(one: Outcome) -> str:
    return f"; {len(one.accepted)} accepted with a reason" if one.accepted else ""


def as_sarif(outcomes: Sequence[Outcome]) -> str:
    """SARIF 2.1.0: one run for each check. One that was not made has ``executionSuccessful`` false and says why."""
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [_run(one) for one in outcomes],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _run(one: Outcome) -> dict[str, Any]:
    everything = [(item, "") for item in one.findings] + list(one.accepted)
    rules = sorted({item.rule for item, _ in everything})
    return {
        "tool": {"driver": {"name": f"gatehouse-audit/{one.check}", "rules": [{"id": rule} for rule in rules]}},
        "invocations": [
            {
                "executionSuccessful": not one.unchecked,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": f"not checked: {why}"}} for why in one.unchecked
                ],
            }
        ],
        "results": [_result(item, reason) for item, reason in everything],
    }


def _result(item: Finding, reason: str) -> dict[str, Any]:
    where = {"artifactLocation": {"uri": item.path}, "region": {"startLine": max(1, item.line)}}
    return {
        "ruleId": item.rule,
        "level": "error",
        "message": {"text": item.message},
        "locations": [{"physicalLocation": where}],
        **({"suppressions": [{"kind": "external", "justification": reason}]} if reason else {}),
    }
