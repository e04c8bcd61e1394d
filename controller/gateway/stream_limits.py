"""Bounds of the gateway's streams (mexc-spot-v3.md §1.5). ``gateway.limits`` contains them, the hub applies them."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bounds of one stream and of all of them. Durations in seconds, as in mexc-spot-v3.md §1.5.

    ``messages`` and ``queue_bytes`` are what may wait for a slow reader. ``public`` and ``private`` are how many streams there may
    be at once, ``per_bot`` how many private ones of a bot, ``channels`` how many different public channels of all streams,
    ``histories`` how many of them candles and mini tickers, which cost the most.
    """

    unsubscribed_s: float = 30
    idle_s: float = 60
    lifetime_s: float = 86_400
    subscriptions: int = 30
    messages: int = 2_000
    queue_bytes: int = 524_288
    public: int = 56
    private: int = 40
    per_bot: int = 20
    channels: int = 256
    histories: int = 64

    def at_most(self, connections: int) -> StreamLimits:
        """The same with at most three quarters of so many connections, so that requests always find room."""
        public, private = min(self.public, connections * 7 // 16), min(self.private, connections * 5 // 16)
        return replace(self, public=max(1, public), private=max(1, private))
