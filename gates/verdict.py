"""The verdicts of rules and gates. Only PASS opens a gate; there is no default and no waiver (architecture.md §6).

The gate engine combines them; decisions and views show them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """The outcome of a rule or a gate.

    INCONCLUSIVE: not enough observations yet. NO_DATA: nothing was measured. STALE: the measurement is too old. ERROR: the
    measurement failed. INVALID: the evidence is about something else, or may not be used here. FAIL: measured, and not good
    enough.
    """

    PASS = "PASS"  # noqa: S105 (not a password)
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_DATA = "NO_DATA"
    STALE = "STALE"
    ERROR = "ERROR"
    INVALID = "INVALID"
    FAIL = "FAIL"


SEVERITY = (
    Verdict.PASS,
    Verdict.INCONCLUSIVE,
    Verdict.NO_DATA,
    Verdict.STALE,
    Verdict.ERROR,
    Verdict.INVALID,
    Verdict.FAIL,
)
"""From best to worst. A measured violation is worse than a failed measurement, so a failed measurement never hides a violation."""


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of a gate: the worst verdict of its rules, or INVALID for a gate without rules."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.INVALID)
