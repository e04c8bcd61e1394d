"""Quiet hours: the time of day in which alerts that only inform wait. Pure; ``delivery`` asks it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo

from exchange.model import Millis


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``begin`` to ``end``, every day in ``zone``, over midnight too. Equal times: never."""

    begin: time = time(0)
    end: time = time(0)
    zone: tzinfo = UTC

    def quiet(self, now: Millis) -> bool:
        """Whether it is quiet now."""
        here = datetime.fromtimestamp(now / 1000, tz=self.zone).time()
        if self.begin <= self.end:
            return self.begin <= here < self.end
        return here >= self.begin or here < self.end
