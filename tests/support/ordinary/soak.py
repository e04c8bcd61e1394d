"""A long run in real time: a busy bot, a loaded machine, faults that come and go; neither a halt nor anything that grows.

Everything is measured from outside: memory, descriptors and threads from ``/proc``, the loop's lag as the time that the
controller's ``/livez`` takes to answer.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.ordinary import judging
from tests.support.ordinary.climbing import climb
from tests.support.ordinary.events import EVENTS, RAMPING
from tests.support.ordinary.load import Resident, burning, residents
from tests.support.ordinary.scene import Scene
from tests.support.ordinary.soak_page import page
from tests.support.ordinary.trend import Trend, trend

PARTS = ("controller", "signer", "watchdog", "testnet")
FILLS_EVERY_S = 60.0
"""Every fill costs a fee, and the limit of a day's loss must not end the run; resting orders go on without a pause."""
FAULTS = ("streams cut, as after 24 hours", "listenKeys expire", "the clock steps by 300 ms", "the log is rotated")
"""What comes in the middle third, one after another. None of them may halt or keep the bot from trading."""
FAULT_EVERY_S = 60.0
GROWTH_MOST = 1.10
"""How much larger a process may be in the last quarter than in the second one."""
_ASKED = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: seconds since the beginning, each part, the journal's MB, and the slowest of five answers in ms."""

    at: float
    parts: dict[str, Resident]
    journal: float
    lag_ms: float


@dataclass
class Soak:
    """One run of so many seconds beside so many busy processes. ``picture`` is the page with the curves."""

    scene: Scene
    seconds: float
    burners: int
    picture: Path
    samples: list[Sample] = field(default_factory=list)
    faults: list[tuple[float, str]] = field(default_factory=list)
    halts: int = 0
    orders: int = 0
    longest_gap_ms: int = 0
    _seq: int = 0
    _began: float = 0.0

    async def run(self) -> bool:
        """Go up to the first step of the ramp, then trade until the time is over. Whether it ended as it should."""
        scene = self.scene
        await scene.start()
        await scene.until(lambda now: now["armed"], within=180)
        await scene.trade()
        assert await climb(scene, RAMPING), (await scene.status())["halt_reason"]
        scene.pace(FILLS_EVERY_S)
        self._seq = (await scene.status())["seq"]
        self._began = time.monotonic()
        with burning(self.burners):
            disturbing = asyncio.create_task(self._disturb())
            while self._at < self.seconds:
                await self._sample()
                await asyncio.sleep(min(30.0, self.seconds / 20))
            await disturbing
        await self._sample()
        return self.report()

    @property
    def _at(self) -> float:
        return time.monotonic() - self._began

    async def _disturb(self) -> None:
        """Cause the faults in the middle third, each a minute after the one before, over and over."""
        await asyncio.sleep(self.seconds / 3)
        number = 0
        while self._at < self.seconds * 2 / 3:
            event = next(one for one in EVENTS if one.name == FAULTS[number % len(FAULTS)])
            self.faults.append((self._at, event.name))
            print(f"{self._at:7.0f} s: {event.name}", flush=True)
            await event.cause(self.scene)
            number += 1
            await asyncio.sleep(min(FAULT_EVERY_S, self.seconds / 20))

    def report(self) -> bool:
        """Print the figures and draw the page. Whether nothing halted and nothing grew."""
        grown = {part: growth([_size(one, part) for one in self.samples]) for part in PARTS}
        sizes = ", ".join(f"{part} {_size(self.samples[-1], part):.0f} MB ({grown[part]:+.1%})" for part in PARTS)
        print(
            f"{self.seconds:.0f} s at RAMPING step 1 with {self.burners} busy processes: {self.orders} orders, {self.halts} halts, "
            f"{len(self.faults)} faults in the middle third"
        )
        print(f"longest gap {self.longest_gap_ms} ms; resident at the end, and growth since the second quarter: {sizes}")
        print(f"journal: {self.samples[0].journal:.1f} MB at the beginning, {self.samples[-1].journal:.1f} MB at the end")
        lines = [self.slope(part) for part in PARTS]
        for line, _ in lines:
            print(line)
        self.picture.parent.mkdir(parents=True, exist_ok=True)
        self.picture.write_text(page(self.samples, self.faults, [line for line, _ in lines]), encoding="utf-8")
        print(f"curves: {self.picture}", flush=True)
        flat = all(one <= GROWTH_MOST - 1 for one in grown.values()) and not any(rises for _, rises in lines)
        return self.halts == 0 and self.orders > 0 and flat

    def slope(self, part: str) -> tuple[str, bool]:
        """The slopes of a part's memory, descriptors and threads after the first third, as a line; and whether one rises."""
        found = [(one.at, one.parts[part]) for one in self.samples if part in one.parts and one.at >= self.seconds / 3]
        memory = trend([(at, one.megabytes) for at, one in found])
        open_files = trend([(at, float(one.descriptors)) for at, one in found])
        threads = trend([(at, float(one.threads)) for at, one in found])
        rises = [memory.rises_by(memory.mean / 50), open_files.rises_by(5), threads.rises_by(3)]
        line = f"{part}: memory {_an_hour(memory)} MB, descriptors {_an_hour(open_files)}, threads {_an_hour(threads)} an hour"
        return f"{line}: {'it RISES' if any(rises) else 'no slope beyond the noise'}", any(rises)

    async def _sample(self) -> None:
        at = self._at
        entries = await judging.since(self.scene, self._seq)
        if entries:
            seen = judging.read(RAMPING, entries, entries[0]["at_ms"], RAMPING)
            self._seq = entries[-1]["seq"]
            self.halts += bool(seen.halt)
            self.orders += seen.orders
            self.longest_gap_ms = max(self.longest_gap_ms, seen.gap_ms)
        journal = self.scene.directory / "var" / "journal.db"
        size = sum(path.stat().st_size for path in journal.parent.glob("journal.db*")) / 1e6
        parts = {one.part: one for one in residents()}
        self.samples.append(Sample(at, parts, size, await self._lag()))
        line = ", ".join(f"{part} {_size(self.samples[-1], part):.0f}" for part in PARTS)
        print(
            f"{at:7.0f} s: {self.orders} orders, {self.halts} halts, resident MB: {line}; journal {size:.1f} MB; "
            f"health answers within {self.samples[-1].lag_ms:.0f} ms",
            flush=True,
        )

    async def _lag(self) -> float:
        slowest = 0.0
        async with httpx.AsyncClient(base_url=self.scene.console, timeout=30) as client:
            for _ in range(_ASKED):
                asked = time.monotonic()
                (await client.get("/livez")).raise_for_status()
                slowest = max(slowest, time.monotonic() - asked)
        return slowest * 1000


def _size(sample: Sample, part: str) -> float:
    return sample.parts[part].megabytes if part in sample.parts else 0.0


def _an_hour(found: Trend) -> str:
    return f"{found.slope * 3600:+.1f} ± {found.error * 3600:.1f}"


def growth(sizes: list[float]) -> float:
    """How much larger the mean of the last quarter is than that of the second one, as a fraction."""
    quarter = max(1, len(sizes) // 4)
    early, late = sizes[quarter : 2 * quarter], sizes[-quarter:]
    mean = sum(early) / len(early)
    return sum(late) / len(late) / mean - 1 if mean else 0.0
