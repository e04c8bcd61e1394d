"""A long run in real time: a busy bot and a loaded machine, and neither a halt nor memory that grows."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tests.support.ordinary import judging
from tests.support.ordinary.climbing import climb
from tests.support.ordinary.events import RAMPING
from tests.support.ordinary.load import burning, residents
from tests.support.ordinary.scene import Scene

PARTS = ("controller", "signer", "watchdog", "testnet")
FILLS_EVERY_S = 60.0
"""Every fill costs a fee, and the limit of a day's loss must not end the run; resting orders go on without a pause."""
GROWTH_MOST = 1.10
"""How much larger a process may be in the last quarter than in the second one."""


@dataclass
class Soak:
    """One run. ``samples`` are seconds, the resident MB of each part, and the journal's size in MB."""

    scene: Scene
    seconds: float
    burners: int
    samples: list[tuple[float, dict[str, float], float]] = field(default_factory=list)
    halts: int = 0
    orders: int = 0
    longest_gap_ms: int = 0
    _seq: int = 0

    async def run(self) -> bool:
        """Go up to the first step of the ramp, then trade until the time is over. Whether it ended as it should."""
        scene = self.scene
        await scene.start()
        await scene.until(lambda now: now["armed"], within=180)
        await scene.trade()
        assert await climb(scene, RAMPING), (await scene.status())["halt_reason"]
        scene.pace(FILLS_EVERY_S)
        self._seq = (await scene.status())["seq"]
        began = time.monotonic()
        with burning(self.burners):
            while (at := time.monotonic() - began) < self.seconds:
                await self._sample(at)
                await asyncio.sleep(min(30.0, self.seconds / 20))
        await self._sample(time.monotonic() - began)
        return self.report()

    def report(self) -> bool:
        """Print the figures. Whether nothing halted and nothing grew."""
        grown = {part: growth([sizes.get(part, 0.0) for _, sizes, _ in self.samples]) for part in PARTS}
        sizes = ", ".join(f"{part} {self.samples[-1][1].get(part, 0):.0f} MB ({grown[part]:+.1%})" for part in PARTS)
        print(
            f"{self.seconds:.0f} s at RAMPING step 1 with {self.burners} busy processes: {self.orders} orders, {self.halts} halts"
        )
        print(f"longest gap {self.longest_gap_ms} ms; resident at the end, and growth since the second quarter: {sizes}")
        print(f"journal: {self.samples[0][2]:.1f} MB at the beginning, {self.samples[-1][2]:.1f} MB at the end", flush=True)
        return self.halts == 0 and self.orders > 0 and all(one <= GROWTH_MOST - 1 for one in grown.values())

    async def _sample(self, at: float) -> None:
        entries = await judging.since(self.scene, self._seq)
        if entries:
            seen = judging.read(RAMPING, entries, entries[0]["at_ms"], RAMPING)
            self._seq = entries[-1]["seq"]
            self.halts += bool(seen.halt)
            self.orders += seen.orders
            self.longest_gap_ms = max(self.longest_gap_ms, seen.gap_ms)
        journal = self.scene.directory / "var" / "journal.db"
        size = sum(path.stat().st_size for path in journal.parent.glob("journal.db*")) / 1e6
        resident = {one.part: one.megabytes for one in residents()}
        self.samples.append((at, resident, size))
        line = ", ".join(f"{part} {resident.get(part, 0):.0f}" for part in PARTS)
        print(f"{at:7.0f} s: {self.orders} orders, {self.halts} halts, resident MB: {line}; journal {size:.1f} MB", flush=True)


def growth(sizes: list[float]) -> float:
    """How much larger the mean of the last quarter is than that of the second one, as a fraction."""
    quarter = max(1, len(sizes) // 4)
    early, late = sizes[quarter : 2 * quarter], sizes[-quarter:]
    mean = sum(early) / len(early)
    return sum(late) / len(late) / mean - 1 if mean else 0.0
