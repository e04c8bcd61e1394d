"""Cancels everything of ours at the venues and reads what is open there. ``controller.watchdog.process`` calls it for each reading.

The venues are asked at the same time, so that one that hangs delays no other. Nothing that an adapter raises ends the cancelling.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from controller.watchdog.lease import Read, Targets
from exchange.errors import GatehouseError
from exchange.ports import CancelFailed, Clock, Venue, VenueName

READING_WITHIN_S = 20.0
"""A reading that takes longer counts as unanswered. A venue client ends every single request well before."""

_log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """A venue did not say what is open; the text says why."""


async def read_open(venues: Mapping[VenueName, Venue], targets: Targets, clock: Clock, *, reading: int, cancelling: bool) -> Read:
    """Cancel if asked to, then count what is open at all targets. ``orders`` is ``None`` unless every venue answered."""
    began_ns = clock.monotonic_ns()
    results = await asyncio.gather(
        *(_open_at(venues, name, symbols, cancelling=cancelling) for name, symbols in targets), return_exceptions=True
    )
    problems = [str(result) for result in results if isinstance(result, BaseException)]
    if problems:
        return Read(reading, began_ns, None, "; ".join(problems)[:500])
    return Read(reading, began_ns, sum(result for result in results if isinstance(result, int)))


async def _open_at(venues: Mapping[VenueName, Venue], name: VenueName, symbols: Sequence[str], *, cancelling: bool) -> int:
    refused = ""
    try:
        venue = venues[name]
        async with asyncio.timeout(READING_WITHIN_S):
            if cancelling:
                outcome = await venue.cancel_all(symbols)
                refused = f" (the cancel was refused: {outcome.message})" if isinstance(outcome, CancelFailed) else ""
            return len(await venue.remaining(symbols))
    except GatehouseError as error:
        raise NoAnswer(f"{name}: {error.message}{refused}") from None
    except Exception as error:
        # A defect of an adapter must not end the cancelling.
        _log.exception("a venue adapter raised an unexpected error")
        raise NoAnswer(f"{name}: {type(error).__name__}{refused}") from None
