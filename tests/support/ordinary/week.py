"""The week: the way up with the events in it, each judged, and the table that is printed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from policies.ramp import cap_eur
from policies.stage import Stage
from tests.support.ordinary import events as e
from tests.support.ordinary import judging
from tests.support.ordinary.climbing import climb
from tests.support.ordinary.judging import Expected, Outcome, Seen
from tests.support.ordinary.leaving import differing, leave
from tests.support.ordinary.scene import Scene

WATCHED_S = 6.0
"""How long an event is watched after the bot's orders are taken again."""

DEMOTED_WITHIN_S = 90.0

BETWEEN = "between the events"

POSITIONS = (e.VALIDATING, e.VALIDATED, e.LIVE, e.RAMPING)


@dataclass(frozen=True, slots=True)
class Row:
    """One event at one position, judged. ``problem`` is empty when the outcome was the expected one."""

    name: str
    position: str
    expected: Expected
    seen: Seen
    problem: str

    @property
    def false_halt(self) -> bool:
        """It halted where nothing dangerous had happened."""
        return bool(self.seen.halt) and self.expected.outcome is not Outcome.HALT


@dataclass
class Week:
    """Plays the events on one deployment, at the positions ``at``.

    ``rows`` grows with every event, ``most`` is the worst share of a cap that was in use.
    """

    scene: Scene
    events: Sequence[e.Event]
    at: Sequence[str] = POSITIONS
    rows: list[Row] = field(default_factory=list)
    most: Decimal = Decimal(0)
    began: float = field(default_factory=time.monotonic)
    _judged: int = 0

    async def play(self, positions: Sequence[str] = POSITIONS) -> None:
        """Go up through the positions, with every event that belongs to each."""
        await self.scene.start()
        await self.scene.trade()
        await self.scene.until(lambda now: now["armed"], within=180)
        for position in positions:
            await self.climb(position)
            self.say(f"at {position}")
            for event in self.events:
                if position in event.expected and position in self.at:
                    await self.event(event, position)
        await self.climb(positions[-1])
        self.say(f"the week ends at {(await self.scene.until(lambda _: True))['position']}")

    async def climb(self, position: str) -> None:
        """Go up to the position. A halt on the way is a false one: nothing had happened; it is left, and the way goes on."""
        while not await climb(self.scene, position):
            await self._between()
            self.say(f"  {await leave(self.scene, 'it halted on the way up')}")
        await self._between()

    async def event(self, event: e.Event, position: str) -> None:
        """Cause it, wait until the bot trades again, judge; a halt is left by its way out."""
        scene, expected = self.scene, event.expected[position]
        await self.climb(position)
        status = await scene.until(lambda now: now["armed"] and not now["guard_level"], within=120)
        await self._between()
        scene.books.begin()
        await event.cause(scene)
        after = (await scene.until(lambda _: True, within=120))["seq"]
        await judging.settled(scene, after)
        await asyncio.sleep(WATCHED_S)
        # A demotion that waits until the bot has sold what it holds is part of the outcome.
        await scene.until(lambda now: not now["pending_demotion"], within=DEMOTED_WITHIN_S)
        entries = await judging.since(scene, self._judged)
        now = await scene.until(lambda _: True)
        seen = judging.read(position, entries, status["now_ms"], now["position"])
        seen.differs = tuple(differing(now))
        self._add(Row(event.name, position, expected, seen, judging.problem(expected, seen)), entries)
        self._weigh(position)
        if now["stage"] == "HALTED":
            self.say(f"  {await leave(scene, now['halt_reason'])}")

    async def _between(self) -> None:
        """Judge what is in the journal since the last event: a halt or a demotion there has no cause."""
        entries = await judging.since(self.scene, self._judged)
        if (seen := judging.between(entries)) is not None:
            self._add(Row(BETWEEN, seen.before, e.ON, seen, judging.problem(e.ON, seen)), entries)
        self._judged = entries[-1]["seq"] if entries else self._judged

    def _add(self, row: Row, entries: Sequence[dict[str, Any]]) -> None:
        self.rows.append(row)
        self._judged = entries[-1]["seq"] if entries else self._judged
        self.say(f"  {row.name}: {row.seen.words}{f'  ✗ {row.problem}' if row.problem else ''}")

    def say(self, text: str) -> None:
        """A line with the time since the beginning."""
        print(f"{time.monotonic() - self.began:7.1f} {text}", flush=True)

    @property
    def false_halts(self) -> int:
        """How often it halted where nothing dangerous had happened."""
        return sum(row.false_halt for row in self.rows)

    def table(self) -> str:
        """The events and their outcomes, then the counts."""
        lines = ["| event | stage | expected | seen | gap ms | |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {row.name} | {row.position} | {row.expected.words} | {row.seen.words} | {row.seen.gap_ms} | {row.problem or 'ok'} |"
            for row in self.rows
        ]
        longest = max(self.rows, key=lambda row: row.seen.gap_ms)
        other = sum(bool(row.problem) for row in self.rows)
        gap = f"longest gap {longest.seen.gap_ms} ms ({longest.name})"
        return "\n".join(
            [
                *lines,
                "",
                f"{len(self.rows)} events, {other} with another outcome, {self.false_halts} false halts, {gap}",
                f"worst exposure by MEXC's own books: {self.most:.1%} of the cap, in {self.scene.books.looks} looks",
                f"{self.scene.mode}, {(time.monotonic() - self.began) / 60:.0f} minutes",
            ]
        )

    def _weigh(self, position: str) -> None:
        """Whether more than the cap was ever in use at MEXC, by its own books."""
        stage, _, step = position.partition(" step ")
        if stage in {"LIVE_€10", "RAMPING"}:
            cap = cap_eur(self.scene.policy, Stage(stage), int(step or 0))
            self.most = max(self.most, self.scene.books.most_since / cap)
            assert self.scene.books.most_since <= cap, f"{self.scene.books.most_since} EUR of {cap} were open or held"
