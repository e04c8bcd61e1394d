"""Computes the statistics of the run beside the writer: every hour, and before a proposal whose gate asks for them.

``controller.bootstrap.statistics`` runs it. They take seconds, so they are computed in a process of their own, from the state as it
was at one entry of the journal; the writer journals the result (``RunMeasured``). Nothing waits for it but the proposal that asked.
A computation that fails or takes too long is journalled as one that failed, so that no older figure stands for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from controller.core.inputs import StatisticsComputed
from controller.core.state import State
from controller.runtime.figures_process import FiguresFailed, Found, in_a_process
from controller.runtime.loop.shared_work import SharedWork
from exchange.errors import GatehouseError
from gates.registry import gate_for
from gates.series import RunSeries
from policies.authority import Verb
from policies.rules import STATISTICS, GateName
from policies.schema import Performance, Policy
from policies.stage import Environment

EVERY_S = 3_600.0
"""How often they are computed: twice within the time after which they are too old."""

WITHIN_S = 120.0
"""The longest time that one computation may take."""

YOUNG_MS = 900_000
"""Statistics that are younger than this serve a proposal."""

RETRY_MS = 60_000
"""After a computation that failed, a proposal has them computed again no sooner."""

PROPOSAL_WAITS_S = 10.0
"""How long a proposal waits for them: less than a client waits for the proposal."""

Compute = Callable[[RunSeries, Performance | None, int], Awaitable[Found]]
"""Returns the figures of a series and the digest of the series."""

_log = logging.getLogger(__name__)


async def at_once(series: RunSeries, performance: Performance | None, covered_ms: int) -> Found:
    """Compute on the event loop: for a rehearsal, whose time stands still meanwhile."""
    # A start does not need numpy and scipy, and they take seconds to load.
    from gates.figures import figures

    return figures(series, performance, covered_ms), series.digest()


class Statistics:
    """The statistics of one controller.

    ``state`` is the journalled state, without what is held back. ``tell`` gives the writer an input and waits for its decision.
    """

    def __init__(
        self,
        state: Callable[[], State],
        tell: Callable[[StatisticsComputed], Awaitable[object]],
        *,
        compute: Compute = in_a_process,
        every_s: float = EVERY_S,
        within_s: float = WITHIN_S,
        proposal_waits_s: float = PROPOSAL_WAITS_S,
    ) -> None:
        self._state = state
        self._tell = tell
        self._compute = compute
        self._every_s = every_s
        self._within_s = within_s
        self._for_proposals = SharedWork("statistics for a proposal", self.refresh, proposal_waits_s)
        self._one = asyncio.Lock()

    async def run(self) -> None:
        """Compute them every hour, until cancelled, in a deployment whose gates ask for them or that is in production."""
        while True:
            await asyncio.sleep(self._every_s)
            if _wanted(self._state().policy):
                await self.refresh()

    async def before_proposal(self, verb: Verb) -> None:
        """Compute them now, if the gate of this verb asks for them. Called by the operator's port before the writer is asked.

        Anybody may ask for proposals, so young ones are not computed again: asking costs neither time nor entries.
        """
        state = self._state()
        gate = None if state.policy is None else _gate(verb, state)
        if gate is not None and state.policy is not None and _asks(state.policy, gate) and not _young(state):
            await self._for_proposals.soon()

    async def refresh(self) -> None:
        """Compute them from the state as it is now, and wait until they are journalled. Never raises for a failed computation."""
        async with self._one:
            state = self._state()
            if (report := await self._report(state)) is not None:
                await self._tell(report)

    async def _report(self, state: State) -> StatisticsComputed | None:
        tally, policy = state.tally, state.policy
        if tally is None or policy is None:
            return None
        report = partial(
            StatisticsComputed, tally.series.started_at, as_of_seq=state.seq, as_of=state.at, covered_ms=tally.covered_ms
        )
        if tally.collected.unvalued_fees:
            error = f"{tally.collected.unvalued_fees} fees were charged in an asset whose price is not known"
            return report(series_digest="", figures=(), error=error)
        try:
            async with asyncio.timeout(self._within_s):
                found, digest = await self._compute(tally.series, policy.performance, tally.covered_ms)
        except TimeoutError:
            return report(series_digest="", figures=(), error=f"the statistics took longer than {self._within_s:g} s")
        except FiguresFailed as error:
            return report(series_digest="", figures=(), error=f"the statistics failed: {error}")
        except Exception as error:  # Whatever a library raises, it is this computation that failed.
            _log.exception("the statistics of the run failed")
            return report(series_digest="", figures=(), error=f"the statistics failed: {type(error).__name__}")
        return report(series_digest=digest, figures=found)


def _young(state: State) -> bool:
    measured, tally = state.measured, state.tally
    if measured is None or tally is None or measured.run_started_at != tally.series.started_at:
        return False
    return state.at - measured.as_of < (RETRY_MS if measured.error else YOUNG_MS)


def _wanted(policy: Policy | None) -> bool:
    if policy is None:
        return False
    return policy.environment is Environment.PRODUCTION or any(_asks(policy, gate) for gate in GateName)


def _asks(policy: Policy, gate: GateName) -> bool:
    return any(rule.metric in STATISTICS for rule in policy.gates.of(gate))


def _gate(verb: Verb, state: State) -> GateName | None:
    try:
        return gate_for(verb, state.position.stage)
    except GatehouseError:
        return None
