"""How long a request takes to reach the testnet's matching engine, and its reply to come back (execution-safety.md §5, point 3).

A request is matched against the book of its arrival, so a slow one may find another book than its sender saw. Draws are seeded
and per lane: how often a client polls the market does not change what its orders draw.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from exchange.errors import ConfigError
from exchange.model import Millis
from exchange.testnet.conditions.faults import Operation

DEFAULT_QUANTILES = (8, 14, 22, 45, 180)
"""An order's way in ms at 0, 25, 50, 75 and 100 %. Assumed: calibrate it on measured round trips of ``/order/test``."""

NO_LATENCY: tuple[int, ...] = ()
"""Everything arrives when it is sent."""

_ORDERS = frozenset({Operation.PLACE, Operation.CANCEL})


class LatencyModel:
    """Draws latencies in ms from evenly spaced quantiles, linearly between them. Same seed, same draws."""

    def __init__(self, seed: int | str, quantiles: Sequence[int] = DEFAULT_QUANTILES) -> None:
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


class Delays:
    """The latencies of one venue's requests, in ms: by direction, orders and cancels apart from everything else."""

    def __init__(self, seed: int, entry: Sequence[int] = NO_LATENCY, response: Sequence[int] = NO_LATENCY) -> None:
        """``entry`` and ``response`` are quantiles, or empty for none. Raises ``ConfigError`` for quantiles that are none."""
        self._entry = {orders: _model(f"{seed}/entry/{orders}", entry) for orders in (True, False)}
        self._response = {orders: _model(f"{seed}/response/{orders}", response) for orders in (True, False)}

    def entry(self, operation: Operation) -> int:
        """How long the next request of this kind is on its way."""
        model = self._entry[operation in _ORDERS]
        return 0 if model is None else model.sample()

    def response(self, operation: Operation) -> int:
        """How long the next reply to a request of this kind is on its way."""
        model = self._response[operation in _ORDERS]
        return 0 if model is None else model.sample()


def _model(seed: str, quantiles: Sequence[int]) -> LatencyModel | None:
    return LatencyModel(seed, quantiles) if quantiles else None
