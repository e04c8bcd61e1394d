"""What a rule, and a gate, can come to. Only PASS opens anything; there is no default and no waiver (architecture.md §6)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """The outcome of a rule or a gate.

    INCONCLUSIVE: not enough yet, the run goes on. NO_DATA: nothing was measured. STALE: it was, too long ago. ERROR: measuring
    failed. INVALID: the evidence is not about this, or may not be used for this. FAIL: measured, and not good enough.
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
"""From best to worst. A measured violation outranks a failure to measure, so that one never hides the other."""


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a gate: the worst of its rules', and INVALID for a gate without rules."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.INVALID)
