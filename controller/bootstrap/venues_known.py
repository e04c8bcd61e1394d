"""What a start has to know of a venue before it counts: what its data is, and its rules. ``bootstrap`` makes one at a start.

A start waits for the venues that the deployment uses: the one of its stage, and those with open orders. The mock executor is in
this process, so a deployment at MOCK waits for none, and one on the testnet does not wait for MEXC. A venue that is not needed and
not reached is asked on in the background. Until it has answered, its market is not seen: no order is priced by it, and no step
leads there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial

from controller.bootstrap.beside import run_beside
from controller.bootstrap.read import Deployment
from controller.core.effects import Alert
from controller.core.state import State
from controller.runtime.venues.waiting import OnWaiting, Waiting, until_answered
from exchange.mexc.market import MexcFeed
from exchange.mexc.provenance import ask_provenance
from exchange.model import SymbolRules
from exchange.ports import Clock, Venue, VenueName

_log = logging.getLogger(__name__)

OTHERS_WITHIN_S = 5.0
"""How long a start waits for the venues that it does not need. A venue that answers does so in less."""


def needed_at_a_start(state: State) -> frozenset[VenueName]:
    """The venues without which a start waits: the one in use, or in use before the halt, and those with open orders."""
    used = {order.venue for order in state.open.values()} | ({state.watched} if state.watched is not None else set())
    return frozenset(used - {VenueName.MOCK})


class VenuesKnown:
    """What is known of each venue. ``rules`` and ``accelerated`` are filled in place; the latter has the venues that answered."""

    def __init__(
        self, deployment: Deployment, venues: Mapping[VenueName, Venue], feeds: Mapping[VenueName, MexcFeed], clock: Clock
    ) -> None:
        self._deployment = deployment
        self._venues = venues
        self._feeds = feeds
        self._clock = clock
        self.rules: dict[VenueName, dict[str, SymbolRules]] = {name: {} for name in venues}
        self.accelerated: dict[VenueName, bool] = {}

    async def reach(self, needed: Collection[VenueName], on_waiting: OnWaiting) -> None:
        """Wait for the venues that are needed, however long it takes, and meanwhile a moment for the others."""
        others = [asyncio.create_task(self._try(name)) for name in self._venues if name not in needed]
        for name in self._venues:
            if name in needed:
                await self._ask(name, on_waiting)
        await asyncio.gather(*others)

    def reach_the_others(self, notify: Callable[[Alert], object], stack: AsyncExitStack) -> None:
        """Ask the venues that did not answer, until they do or ``stack`` ends."""
        for name in self._venues:
            if name not in self.accelerated:
                _log.warning("the start goes on without a venue that it does not need", extra={"fields": {"venue": name}})
                run_beside(f"first answer of {name}", partial(self._ask, name, _in_silence), notify, stack)

    async def _try(self, name: VenueName) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(OTHERS_WITHIN_S):
                await self._ask(name, _in_silence)

    async def _ask(self, name: VenueName, on_waiting: OnWaiting) -> None:
        endpoint, symbols = self._deployment.endpoint(name), self._deployment.policy.symbols
        what = f"the {name} venue at {endpoint.rest_url}"
        declared = await until_answered(partial(ask_provenance, endpoint), what, self._clock, on_waiting)
        venue = self._venues[name]
        rules = await until_answered(lambda: venue.symbol_rules(symbols), f"the {name} venue's rules", self._clock, on_waiting)
        self._feeds[name].declare(declared.source)
        self.rules[name].update(rules)
        self.accelerated[name] = declared.accelerated


def _in_silence(_: Waiting) -> None:
    """`gatehouse status` says which venue does not answer."""
