"""Simulated delays of requests to the matching engine and of their replies (execution-safety.md §5, point 3).

The testnet's app waits for them. A request is matched against the book at its arrival, so a slow one may meet another book than its
sender saw. Draws are seeded and per lane: a client's market queries do not change the delays of its orders.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from exchange.errors import ConfigError
from exchange.model import Millis
from exchange.testnet.conditions.faults import Operation

DEFAULT_QUANTILES = (8, 14, 22, 45, 180)
"""An order's delay in ms at 0, 25, 50, 75 and 100 %. Assumed values: calibrate them on measured round trips of ``/order/test``."""

NO_LATENCY: tuple[int, ...] = ()
"""No delays."""

_LONGEST_NUMBER = 6
_ORDERS = frozenset({Operation.PLACE, Operation.CANCEL})


def quantiles_of(text: str) -> tuple[int, ...]:
    """Quantiles in ms from text: ``assumed``, one number for every request, or several that ascend; 0 means no delay.

    Raises:
        ConfigError: it is none of these.
    """
    if text == "assumed":
        return DEFAULT_QUANTILES
    parts = text.split(",")
    numbers = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= _LONGEST_NUMBER)
    if len(numbers) != len(parts) or list(numbers) != sorted(numbers):
        raise ConfigError(
            f"{text!r} is not a latency",
            code="latency-unusable",
            remedy="Use 'assumed', one number of ms, or ascending quantiles as in 8,14,22,45,180; 0 means no delay.",
        )
    if not any(numbers):
        return NO_LATENCY
    return numbers * 2 if len(numbers) == 1 else numbers


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
    """The delays of one venue's requests, in ms: by direction, and separate for orders and cancels."""

    def __init__(self, seed: int, entry: Sequence[int] = NO_LATENCY, response: Sequence[int] = NO_LATENCY) -> None:
        """``entry`` and ``response`` are quantiles, or empty for none. Raises ``ConfigError`` for invalid quantiles."""
        self._entry = {orders: _model(f"{seed}/entry/{orders}", entry) for orders in (True, False)}
        self._response = {orders: _model(f"{seed}/response/{orders}", response) for orders in (True, False)}

    def entry(self, operation: Operation) -> int:
        """The delay of the next request of this kind."""
        model = self._entry[operation in _ORDERS]
        return 0 if model is None else model.sample()

    def response(self, operation: Operation) -> int:
        """The delay of the next reply to a request of this kind."""
        model = self._response[operation in _ORDERS]
        return 0 if model is None else model.sample()


def _model(seed: str, quantiles: Sequence[int]) -> LatencyModel | None:
    return LatencyModel(seed, quantiles) if quantiles else None
