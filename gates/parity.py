"""Whether the real venue would have taken the orders that the testnet took: answers of its ``order/test``, counted.

The fold counts them, ``gates.live`` makes the metrics (execution-safety.md §4.3, A11). ``exchange.wire.order_tests`` says which
refusals are not about the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from immutables import Map

from gates.statistics import upper_bound
from policies.values import replace

KEPT = 8
"""How many different refusals are remembered in words; all are counted."""

OTHERS = "others"


@dataclass(frozen=True)
class OrderTestTally:
    """The answers of the validation so far. ``asked`` are those about the order itself, ``accepted`` the part that was accepted.

    ``refused`` and ``unjudged`` count, in words, the orders that the real venue would not have taken and the answers that say
    nothing about the order, such as that the account holds too little.
    """

    asked: int = 0
    accepted: int = 0
    refused: Map[str, int] = Map()
    unjudged: Map[str, int] = Map()

    def with_answers(self, accepted: int, refused: Mapping[str, int], unjudged: Mapping[str, int]) -> OrderTestTally:
        """Count the answers of a few minutes."""
        return replace(
            self,
            asked=self.asked + accepted + sum(refused.values()),
            accepted=self.accepted + accepted,
            refused=_added(self.refused, refused),
            unjudged=_added(self.unjudged, unjudged),
        )

    def lower(self) -> Decimal | None:
        """Lower one-sided 95 % bound of the part that is accepted (Clopper-Pearson); ``None`` without answers."""
        most = upper_bound(self.asked - self.accepted, self.asked)
        return None if most is None else 1 - most

    @property
    def detail(self) -> str:
        """What was refused and what could not be judged, in words and numbers."""
        refused = "; ".join(f"{count} × {what}" for what, count in _most(self.refused))
        unjudged = "; ".join(f"{count} × {what}" for what, count in _most(self.unjudged))
        if not self.asked and not unjudged:
            return "no order has been asked about yet; it needs orders that the testnet accepts, and a working live key"
        return "; ".join(
            one for one in (refused and f"refused: {refused}", unjudged and f"says nothing about the order: {unjudged}") if one
        )


def _most(counts: Map[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _added(counts: Map[str, int], more: Mapping[str, int]) -> Map[str, int]:
    for what, count in sorted(more.items()):
        name = what if what in counts or len(counts) < KEPT else OTHERS
        counts = counts.set(name, counts.get(name, 0) + count)
    return counts
