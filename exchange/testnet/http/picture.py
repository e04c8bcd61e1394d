"""Draws a book for the testnet's page: the quantity up to each price, as two stepped areas in SVG coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from exchange.book import Level

WIDTH, HEIGHT = 720, 160
"""The picture's size in its own units."""

LEVELS = 50
"""How many levels of a side are drawn."""

_ZERO = Decimal(0)
_PIXEL = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class DepthPicture:
    """Two polygons as SVG ``points``, the prices at the picture's edges, and the quantity at its full height."""

    bids: str
    asks: str
    lowest: Decimal
    highest: Decimal
    most: Decimal


def depth_picture(bids: Sequence[Level], asks: Sequence[Level]) -> DepthPicture | None:
    """The picture of a book, both sides equally wide; ``None`` for a book that is crossed or has an empty side."""
    if not bids or not asks or bids[0][0] >= asks[0][0]:
        return None
    middle = (bids[0][0] + asks[0][0]) / 2
    reach = max(asks[-1][0] - middle, middle - bids[-1][0])
    most = max(sum((quantity for _, quantity in side), _ZERO) for side in (bids, asks))

    def across(price: Decimal) -> str:
        return str(((price - middle + reach) / (2 * reach) * WIDTH).quantize(_PIXEL, rounding=ROUND_HALF_EVEN))

    def steps(side: Sequence[Level], edge: int) -> str:
        points, total, height = [f"{across(side[0][0])},{HEIGHT}"], _ZERO, str(HEIGHT)
        for price, quantity in side:
            points.append(f"{across(price)},{height}")
            total += quantity
            height = str((HEIGHT - total / most * HEIGHT).quantize(_PIXEL, rounding=ROUND_HALF_EVEN))
            points.append(f"{across(price)},{height}")
        return " ".join((*points, f"{edge},{height}", f"{edge},{HEIGHT}"))

    return DepthPicture(steps(bids, 0), steps(asks, WIDTH), middle - reach, middle + reach, most)
