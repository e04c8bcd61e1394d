"""What a venue knows beside its engine, as values. ``venue`` holds it; ``snapshot`` and ``state`` save it."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.matching.saved import Draws, EngineState, HistoryState, PlaybackState
from exchange.model import Millis
from exchange.testnet.conditions.faults import FaultState
from exchange.testnet.conditions.listings import Listing
from exchange.wire.profile import StrategyGroup
from exchange.wire.wallet import Transfer


@dataclass(slots=True)
class Receipt:
    """How often an order with one client id reached the venue, and how often the venue accepted it."""

    received: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class LateCancel:
    """A cancel that was answered but takes effect only when it is due."""

    account: str
    symbol: str
    order_id: str
    due: Millis


@dataclass(frozen=True, slots=True)
class VenueState:
    """A whole venue as a value, without the state of connections: streams, rate limits, requests on their way."""

    at: Millis
    skew_ms: int
    engine: EngineState
    playback: PlaybackState | None
    history: tuple[HistoryState, ...]
    faults: FaultState
    listings: tuple[Listing, ...]
    groups: tuple[tuple[str, StrategyGroup], ...]
    pay_in_mx: tuple[str, ...]
    listen_keys: tuple[tuple[str, str, int], ...]
    receipts: tuple[tuple[str, str, int, int], ...]
    hidden_until: tuple[tuple[str, int], ...]
    late_cancels: tuple[LateCancel, ...]
    draws: Draws
    transfers: tuple[Transfer, ...] = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """Which venue this is: its id, which is new with every new state, when this process began, the how many-th one of this venue it
    is, and when the one before was last known to live. Without a state directory every process is a venue of its own."""

    id: str
    began: Millis
    runs: int = 1
    seen_before: Millis | None = None

    def document(self) -> dict[str, object]:
        """What the venue declares of it."""
        return {"instance": self.id, "began": self.began, "runs": self.runs, "seenBefore": self.seen_before}
