"""The rows of ``gatehouse doctor``, and how one cause is reported once. Every file of this folder builds rows with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exchange.errors import GatehouseError


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One row: ``fix`` is empty when there is nothing to do.

    ``warns``: the deployment can run, but should be fixed. ``skipped``: the check could not be made, for a cause that has a row of
    its own; it is neither good nor bad.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    warns: bool = False
    skipped: bool = False

    @property
    def verdict(self) -> str:
        """``PASS``, ``WARN``, ``FAIL`` or ``SKIP``."""
        return "SKIP" if self.skipped else "FAIL" if not self.ok else "WARN" if self.warns else "PASS"


@dataclass(frozen=True, slots=True)
class Warned:
    """What a check found that does not keep the deployment from running, and what helps."""

    found: str
    fix: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Something that is rightly not there now, so that the checks that need it cannot be made."""

    found: str


@dataclass(frozen=True, slots=True)
class Follows:
    """What was found follows from a check that failed already: ``cause`` is its name."""

    cause: str


Found = str | Warned | Absent | Follows | Sequence[CheckResult]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. It is made only when every check named in ``needs`` was made and did not fail."""

    name: str
    look: Callable[[], Found]
    needs: tuple[str, ...] = ()


def judged(checks: Sequence[Check]) -> list[CheckResult]:
    """The rows of all checks in order, and one more for each cause that kept others from being made.

    A check that raises fails, with the error's message and remedy.
    """
    rows, causes, waiting = list[CheckResult](), dict[str, str](), dict[str, list[str]]()
    for check in checks:
        cause = next((causes[need] for need in check.needs if need in causes), None)
        found = Follows(cause) if cause is not None else _look(check)
        if isinstance(found, Follows):
            causes[check.name] = causes.get(found.cause, found.cause)
            waiting.setdefault(causes[check.name], []).append(check.name)
            continue
        of_check = _rows(check.name, found)
        rows += of_check
        if isinstance(found, Absent) or any(not row.ok for row in of_check):
            causes[check.name] = check.name
    return rows + [not_checked(cause, names) for cause, names in waiting.items()]


def not_checked(cause: str, names: Sequence[str]) -> CheckResult:
    """The row about checks that wait for another one."""
    fix = f"See `{cause}` above, then run `gatehouse doctor` again."
    return CheckResult(f"after {cause}", ok=True, found=f"not checked: {', '.join(names)}", fix=fix, skipped=True)


def _look(check: Check) -> Found:
    try:
        return check.look()
    except GatehouseError as error:
        return [CheckResult(check.name, ok=False, found=error.message, fix=error.remedy)]


def _rows(name: str, found: str | Warned | Absent | Sequence[CheckResult]) -> list[CheckResult]:
    if isinstance(found, str):
        return [CheckResult(name, ok=True, found=found)]
    if isinstance(found, Absent):
        return [CheckResult(name, ok=True, found=found.found)]
    if isinstance(found, Warned):
        return [CheckResult(name, ok=True, found=found.found, fix=found.fix, warns=True)]
    return list(found)
