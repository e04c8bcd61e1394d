"""The covered time of one run, and every gap in it with its reason. ``collect`` fills it by the rule of ``gates.measure``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from exchange.model import Millis
from gates.measure import SAMPLE_SPAN_MAX_MS

UNMEASURED = "nothing was measured: the controller did not run, or its loop stood still"
NO_VALUE = "the account cannot be valued"
MOST_GAPS = 400


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without coverage, with the reason that held for the longest part of it."""

    begin: Millis
    end: Millis
    reason: str

    @property
    def ms(self) -> int:
        """How long it is."""
        return self.end - self.begin


class Coverage:
    """The gaps of a run that began at ``since``. Beyond the most that are kept, the shortest ones are only counted."""

    def __init__(self, since: Millis) -> None:
        self.since = self.until = since
        self.covered_ms = 0
        self.dropped = 0
        self.by_reason: dict[str, int] = {}
        self._gaps: list[Gap] = []

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The gaps, oldest first."""
        return tuple(self._gaps)

    def sample(self, at: Millis, interval_ms: int, count: int, reason: str) -> None:
        """Add a sample at ``at`` that stands for the time before it. ``reason`` is empty where that time is covered."""
        if at <= self.until:
            return
        spanned = max(min(interval_ms, at - self.until, SAMPLE_SPAN_MAX_MS * count), 0)
        if spanned < at - self.until:
            self._gap(self.until, Millis(at - spanned), UNMEASURED)
        if reason:
            self._gap(Millis(at - spanned), at, reason)
        else:
            self.covered_ms += spanned
        self.until = at

    def _gap(self, begin: Millis, end: Millis, reason: str) -> None:
        self.by_reason[reason] = self.by_reason.get(reason, 0) + end - begin
        if self._gaps and self._gaps[-1].end == begin and self._gaps[-1].reason == reason:
            self._gaps[-1] = replace(self._gaps[-1], end=end)
            return
        self._gaps.append(Gap(begin, end, reason))
        if len(self._gaps) > 2 * MOST_GAPS:
            kept = sorted(self._gaps, key=lambda gap: (-gap.ms, gap.begin))[:MOST_GAPS]
            self.dropped += len(self._gaps) - MOST_GAPS
            self._gaps = sorted(kept, key=lambda gap: gap.begin)
