"""How long a request takes to reach the testnet's matching engine (execution-safety.md §5, requirement 3)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from exchange.errors import ConfigError
from exchange.model import Millis

DEFAULT_QUANTILES = (8, 14, 22, 45, 180)
"""An order's way in ms at 0, 25, 50, 75 and 100 %. Assumed: calibrate it on measured round trips of ``/order/test``."""


class LatencyModel:
    """Draws entry latencies in ms from evenly spaced quantiles, linearly between them. Same seed, same draws."""

    def __init__(self, seed: int, quantiles: Sequence[int] = DEFAULT_QUANTILES) -> None:
        """``quantiles`` run from the 0 % to the 100 % quantile. Raises ``ConfigError`` unless they are two or more and ascend."""
        if len(quantiles) < 2 or quantiles[0] < 0 or list(quantiles) != sorted(quantiles):
            raise ConfigError(
                f"{list(quantiles)} are not latency quantiles",
                code="latency-quantiles-invalid",
                remedy="Give at least two latencies in ms, ascending and not negative.",
            )
        self._quantiles = tuple(quantiles)
        self._random = random.Random(seed)  # noqa: S311 - a simulation, not a secret

    def sample(self) -> int:
        """The next latency in ms."""
        segment, thousandth = divmod(self._random.randrange(1000 * (len(self._quantiles) - 1)), 1000)
        low, high = self._quantiles[segment], self._quantiles[segment + 1]
        return low + (high - low) * thousandth // 1000

    def arrival(self, sent_at: Millis) -> Millis:
        """When a request sent at ``sent_at`` reaches the engine."""
        return Millis(sent_at + self.sample())
