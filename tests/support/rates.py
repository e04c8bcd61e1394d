"""A desk whose EUR rate renews itself, and what its sources say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from controller.core import inputs as i
from controller.core.decisions.draft import Decision
from exchange.model import Millis
from policies.eur import RateSource
from tests.support.desk import START, Desk

DAY = 86_400_000
ECB_MS, VENUE_MS = 6 * DAY, 600_000


def following(**changes: Any) -> dict[str, Any]:
    """The section of a policy: 1.09, five per cent around it, the ECB and the venue's own pair."""
    follow = {"band_percent": Decimal(5), "ecb_max_age_ms": ECB_MS, "venue_max_age_ms": VENUE_MS, **changes}
    return {"asset": "USDT", "quote_per_eur": Decimal("1.09"), "as_of": START, "follow": follow}


def read(desk: Desk, rate: str = "1.09", *, age_ms: int = 0) -> Decision:
    """The ECB's file says this rate, as of so long ago."""
    return desk.give(i.RateRead(RateSource.ECB, Decimal(rate), Decimal(rate), Millis(desk.now - age_ms)))


def read_pair(desk: Desk, low: str, high: str, *, age_ms: int = 0) -> Decision:
    """The venue's own pair has these best prices."""
    return desk.give(i.RateRead(RateSource.VENUE, Decimal(low), Decimal(high), Millis(desk.now - age_ms)))
