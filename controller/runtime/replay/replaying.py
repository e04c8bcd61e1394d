"""Replays the recorded market to the bot: every few hours, and before a proposal whose gate asks for it (ADR 67).

``controller.bootstrap.replay`` runs it. As with the statistics, nothing waits for it but the proposal that asked, the writer
journals the result, and a replay that fails is journalled as one that failed. The bot decides twice, and has to decide the same
both times.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from controller.core.inputs import SignalsReplayed
from controller.core.state import State
from controller.runtime.loop.shared_work import SharedWork
from controller.runtime.replay.apart import Offer, ReplayFailed, decide_again
from controller.runtime.replay.recording import MarketRecording, Recorded
from exchange.errors import GatehouseError
from exchange.model import Millis
from gates.registry import gate_for
from gates.series import Decision
from policies.authority import Verb
from policies.rules import REPLAYED
from policies.schema import Policy

EVERY_S = 21_600.0
"""How often the bot decides again while nobody asks: what goes wrong is seen before the run is over."""

WARM_UP_MS = 86_400_000
"""How much of the recording before the run the bot reads first, so that it knows at the start what it knew then."""

YOUNG_MS = 900_000
"""A replay that is younger than this serves a proposal."""

RETRY_MS = 60_000
"""After a replay that failed, a proposal has it tried again no sooner."""

PROPOSAL_WAITS_S = 10.0
"""How long a proposal waits for it: less than a client waits for the proposal."""


class Replaying:
    """The replays of one controller.

    ``state`` is the journalled state, and ``tell`` gives the writer an input and waits for its decision.
    """

    def __init__(
        self,
        state: Callable[[], State],
        tell: Callable[[SignalsReplayed], Awaitable[object]],
        recording: MarketRecording,
        offer: Offer,
        now: Callable[[], Millis],
        *,
        every_s: float = EVERY_S,
        proposal_waits_s: float = PROPOSAL_WAITS_S,
    ) -> None:
        self._state = state
        self._tell = tell
        self._recording = recording
        self._offer = offer
        self._now = now
        self._every_s = every_s
        self._for_proposals = SharedWork("replay of signals for a proposal", self.refresh, proposal_waits_s)
        self._one = asyncio.Lock()

    async def run(self) -> None:
        """Replay now and then, until cancelled, where the policy says that the bot offers it."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.refresh()

    async def before_proposal(self, verb: Verb) -> None:
        """Replay now, if the gate of this verb asks for it and the last one is not young. Wait a little for the result."""
        state = self._state()
        if state.policy is None or not _asks(state, state.policy, verb) or _young(state, self._now()):
            return
        await self._for_proposals.soon()

    async def refresh(self) -> None:
        """Replay what was recorded until now, and wait until it is journalled. Never raises for a replay that failed."""
        async with self._one:
            if (report := await self._report(self._state())) is not None:
                await self._tell(report)

    async def _report(self, state: State) -> SignalsReplayed | None:
        tally, policy, release = state.tally, state.policy, state.release
        if tally is None or policy is None or release is None or not _offered(policy):
            return None
        report = partial(SignalsReplayed, tally.series.started_at, state.seq, state.at, release.digest, state.policy_digest)
        try:
            found, recorded, digest = await self._twice(release.artifact, tally.started_at, state.at)
        except (ReplayFailed, GatehouseError, OSError) as error:
            return report(error=str(error) or type(error).__name__)
        return report(recording=digest, spans=recorded.spans, decisions=found)

    async def _twice(self, artifact: str, started_at: Millis, until: Millis) -> tuple[tuple[Decision, ...], Recorded, str]:
        offer = self._offer
        if not offer.command or offer.copy is None:
            raise ReplayFailed(
                "the settings name no `replay` and no `path` in [release], and the policy says that the bot offers it"
            )
        with tempfile.TemporaryDirectory(prefix="gatehouse-replay-", ignore_cleanup_errors=True) as folder:
            bot, scratch = Path(folder) / "bot", Path(folder) / "root"
            scratch.mkdir()
            if await asyncio.to_thread(offer.copy, bot) != artifact:
                raise ReplayFailed("what is at `release.path` is not the release in force")
            recorded = Recorded(self._recording.folder, Millis(started_at - WARM_UP_MS), until, self._now())
            hashed = hashlib.sha256()
            found = await decide_again(offer.command, bot, scratch, _noting(recorded, hashed.update), reads=offer.reads)
            again = await decide_again(offer.command, bot, scratch, recorded, reads=offer.reads)
        if found != again:
            raise ReplayFailed(f"the bot made {len(found)} decisions, and others or {len(again)} when it read the same again")
        return found, recorded, f"sha256:{hashed.hexdigest()}"


def _noting(market: Iterable[bytes], note: Callable[[bytes], object]) -> Iterator[bytes]:
    for line in market:
        note(line)
        yield line


def _offered(policy: Policy) -> bool:
    performance = policy.performance
    return performance is not None and performance.replay is not None and performance.replay.offered


def _asks(state: State, policy: Policy, verb: Verb) -> bool:
    try:
        gate = gate_for(verb, state.position.stage)
    except GatehouseError:
        return False
    return gate is not None and _offered(policy) and any(rule.metric in REPLAYED for rule in policy.gates.of(gate))


def _young(state: State, now: Millis) -> bool:
    compared = None if state.tally is None else state.tally.signals.compared
    return compared is not None and now - compared.as_of < (RETRY_MS if compared.error else YOUNG_MS)
