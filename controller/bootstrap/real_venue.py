"""Compares the testnet with the real venue beside the controller: asks about its orders, and simulates the real ones (ADR 64)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from controller.bootstrap.beside import run_beside
from controller.bootstrap.read import Deployment
from controller.core.effects import Alert
from controller.runtime.assembly import Assembly
from controller.runtime.venues.order_tests import Answer, OrderTests
from controller.runtime.venues.shadows import Latency, Shadows
from exchange.errors import GatehouseError
from exchange.matching.resting import FillModel
from exchange.mexc.client import MexcVenue
from exchange.mexc.market import MexcFeed
from exchange.mexc.rest import VenueRefusal
from exchange.model import OrderIntent, SymbolRules
from exchange.ports import Clock
from exchange.testnet.conditions.faults import Operation
from exchange.testnet.conditions.latency import Delays, quantiles_of
from exchange.wire.order_tests import PARITY_ID, amounts, disagreement, not_about_the_order


def compare_with_the_real_venue(
    deployment: Deployment,
    assembly: Assembly,
    live: MexcVenue,
    feed: MexcFeed,
    rules: dict[str, SymbolRules],
    clock: Clock,
    notify: Callable[[Alert], object],
    stack: AsyncExitStack,
) -> None:
    """Do both until ``stack`` ends. Neither stops or delays an order: a failure is a measurement that is missing, and an alert."""
    run = deployment.settings.testnet.run
    shadows = Shadows(
        feed,
        rules,
        model=FillModel.PESSIMISTIC if run is None else FillModel(run.fill_model),
        latency=_latency(deployment),
        inbox=assembly.inbox,
        clock=clock,
        notify=notify,
    )
    tests = OrderTests(ask=_Questions(live, assembly).ask, state=lambda: assembly.writer.state, inbox=assembly.inbox, clock=clock)
    for name, follower, work in (
        ("simulation of real orders", shadows.on_batch, shadows.run),
        ("order tests", tests.on_batch, tests.run),
    ):
        assembly.writer.add_follower(follower)
        run_beside(name, work, notify, stack)


class _Questions:
    """``order/test`` of the real venue. Each kind of refusal is shown with the numbers of the first order that met it."""

    def __init__(self, live: MexcVenue, assembly: Assembly) -> None:
        self._live = live
        self._assembly = assembly
        self._examples: dict[str, str] = {}

    async def ask(self, intent: OrderIntent) -> Answer:
        try:
            await self._live.trading.test(replace(intent, client_id=PARITY_ID), self._assembly.permits.current())
        except VenueRefusal as refusal:
            if reason := not_about_the_order(refusal.error):
                return Answer(unjudged=f"{refusal.error.code}: {reason}")
            kind = disagreement(intent, refusal.error)
            return Answer(refused=f"{kind} ({self._examples.setdefault(kind, amounts(intent))})")
        except GatehouseError as error:
            return Answer(unjudged=f"{error.code}: no answer")
        return Answer()


def _latency(deployment: Deployment) -> Latency:
    """The latency of the deployment's own testnet; of one that somebody else runs, the assumed one."""
    run = deployment.settings.testnet.run
    entry, reply = ("assumed", "0") if run is None else (run.entry_latency, run.response_latency)
    delays = Delays(seed=1, entry=quantiles_of(entry), response=quantiles_of(reply))
    return Latency(
        order=lambda: delays.entry(Operation.PLACE),
        reply=lambda: delays.response(Operation.PLACE),
        cancel=lambda: delays.entry(Operation.CANCEL),
    )
