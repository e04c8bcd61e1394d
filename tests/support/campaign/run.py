"""Runs a campaign: many sequences from one seed, on every core, with what was reached and the shortest form of each failure.

``make campaign`` starts it. ``CAMPAIGN_SEED`` and ``CAMPAIGN_SEQUENCES`` say which and how many, ``CAMPAIGN_REPLAY`` is a failure's
own line, to look at it again. The same seed gives the same sequences on every machine.
"""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tests.support.campaign.dialect import KINDS
from tests.support.campaign.steps import STARTS, Play, Step, base, drawn

CHUNK = 50
SETTLES_EVERY = 4
"""Every so many sequences end with a quiet time in which the books have to agree."""

REPORT_EVERY_S = 5.0
ESSENTIAL = (
    *(f"start: {stage}" for stage, _ in STARTS),
    "admitted: BUY LIVE_€10",
    "admitted: SELL LIVE_€10",
    "admitted: BUY RAMPING",
    "cancel: done",
    "cancel: the order had ended",
    "cancel: lost",
    "cancel: late",
    "cancel-all: proven empty",
    "cancel-all: no answer",
    "cap: more than 90 % used",
    "command: advance",
    "command: demote",
    "command: flatten",
    "command: halt",
    "command: ramp",
    "command: reset",
    "command: resume",
    "command: refused",
    "denied: balance",
    "denied: bot-key",
    "denied: exposure",
    "denied: guard",
    "denied: not-armed",
    "denied: quote",
    "denied: symbol",
    *(f"dialect: {kind.replace('_', ' ')}" for kind in KINDS),
    "fill: at once",
    "fill: equal to another",
    "fill: in part at once",
    "flatten: a sale",
    "flatten: complete",
    "halt: breach",
    "halt: clock",
    "halt: halt",
    "halt: integrity",
    "halt: with an order on its way",
    "look-up: found",
    "look-up: not found",
    "move: soft-breach",
    "move: changed-deployment",
    "order: 429",
    "order: 503-after",
    "order: 503-before",
    "order: late-ack",
    "order: late-arrival",
    "order: lost-ack",
    "order: never",
    "order: refused",
    "order: the permit was gone",
    "released: proven absent",
    "restart",
    "restart: between the journal and the venue",
    "restart: with an order on its way",
    "stream: a trade is lost",
    "stream: an event is late",
    "stream: an event is lost",
    "stream: an event is repeated",
    "sweep: no answer",
)
"""What a campaign of a thousand sequences has to reach: one that does not says nothing about it."""


@dataclass
class Failure:
    """A sequence in which something does not hold, and its shortest form that fails too."""

    seed: int
    number: int
    start: int
    steps: list[Step]
    message: str

    def line(self) -> str:
        """What ``CAMPAIGN_REPLAY`` takes."""
        return json.dumps([self.start, self.steps], separators=(",", ":"))

    def text(self) -> str:
        """For people."""
        steps = "\n".join(f"    {name} {json.dumps(arguments)}" for name, arguments in self.steps)
        return (
            f"sequence {self.number} of seed {self.seed} fails: {self.message}\n"
            f"  from {STARTS[self.start][0]}, in {len(self.steps)} steps:\n{steps}\n"
            f"  again: CAMPAIGN_REPLAY='{self.line()}' make campaign"
        )


@dataclass
class Tally:
    """What a campaign did. ``most`` is the largest worst case in EUR at the moment of an admission, by stage."""

    sequences: int = 0
    steps: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    most: dict[str, Decimal] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what another part did."""
        self.sequences += other.sequences
        self.steps += other.steps
        self.reached.update(other.reached)
        for stage, worst in other.most.items():
            self.most[stage] = max(self.most.get(stage, worst), worst)
        self.failures += other.failures

    def unreached(self) -> list[str]:
        """What is essential and never happened."""
        return [name for name in ESSENTIAL if not self.reached[name]]

    def text(self) -> str:
        """The whole count, for people."""
        reached = "\n".join(f"  {count:>9,}  {name}" for name, count in sorted(self.reached.items()) if count)
        most = ", ".join(f"{stage} {worst:.4f}" for stage, worst in sorted(self.most.items()))
        return f"{reached}\n  most at the venue in EUR, at an admission: {most}"


def played(start: int, steps: Sequence[Step], *, settle: bool = True) -> tuple[Play, str]:
    """Play steps. The message is empty when everything held."""
    play = Play(start)
    try:
        for step in steps:
            play.step(step)
        play.end(settle=settle)
    except AssertionError as error:
        return play, (str(error).splitlines() or [f"{type(error).__name__} in {_place(error)}"])[0]
    return play, ""


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}" if trace is not None else "nowhere"


def shortened(start: int, steps: list[Step], message: str) -> list[Step]:
    """Leave out what the failure does not need: halves, quarters, single steps, until nothing can go."""
    kind = message.partition(":")[0]
    size = max(1, len(steps) // 2)
    while True:
        kept, position = steps, 0
        while position < len(kept):
            shorter = kept[:position] + kept[position + size :]
            if shorter and played(start, shorter)[1].startswith(kind):
                kept = shorter
            else:
                position += size
        if size == 1 and len(kept) == len(steps):
            return kept
        size, steps = max(1, size // 2), kept


def part(seed: int, numbers: Sequence[int], *, shortens: bool = True, stops: bool = False) -> Tally:
    """Play some sequences of a seed. ``stops``: at the first failure."""
    tally = Tally()
    for number in numbers:
        start, steps = drawn(seed, number)
        play, message = played(start, steps, settle=number % SETTLES_EVERY == 0)
        tally.sequences += 1
        tally.steps += len(steps)
        tally.reached.update(play.world.reached)
        for stage, worst in play.world.judge.most.items():
            tally.most[stage] = max(tally.most.get(stage, worst), worst)
        if message:
            short = shortened(start, steps, message) if shortens else steps
            tally.failures.append(Failure(seed, number, start, short, message))
            if stops:
                break
    return tally


def walk() -> None:
    """Walk a deployment to every start. A mutant is applied after it."""
    for start in range(len(STARTS)):
        base(start)


def prepare() -> None:
    """Walk a deployment to every start, and let the collector leave those alone."""
    logging.disable(logging.CRITICAL)
    walk()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _task(task: tuple[int, int, int]) -> Tally:
    seed, first, last = task
    return part(seed, range(first, last))


def _parts(seed: int, sequences: int, workers: int) -> Iterator[Tally]:
    tasks = [(seed, first, min(first + CHUNK, sequences)) for first in range(0, sequences, CHUNK)]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap_unordered(_task, tasks)


def campaign(seed: int, sequences: int, *, workers: int, tell: Callable[[str], None]) -> Tally:
    """The whole campaign. Ends early after ten failures."""
    began = reported = time.monotonic()
    total = Tally()
    for one in _parts(seed, sequences, workers):
        total.add(one)
        for failure in one.failures:
            tell(failure.text())
        now = time.monotonic()
        if now - reported >= REPORT_EVERY_S or total.sequences == sequences:
            reported = now
            rate = total.sequences / (now - began)
            tell(f"{total.sequences:>9,} of {sequences:,} sequences, {total.steps:,} steps, {rate:.0f} a second")
        if len(total.failures) >= 10:
            break
    return total


def main() -> int:
    """``make campaign``."""
    prepare()
    if replay := os.environ.get("CAMPAIGN_REPLAY"):
        start, steps = json.loads(replay)
        _, message = played(start, [(name, tuple(_tuples(arguments))) for name, arguments in steps])
        print(message or "everything held")
        return bool(message)
    seed = int(os.environ.get("CAMPAIGN_SEED") or secrets.randbelow(10**9))
    sequences = int(os.environ.get("CAMPAIGN_SEQUENCES") or 100_000)
    workers = int(os.environ.get("CAMPAIGN_WORKERS") or os.cpu_count() or 1)
    print(f"campaign of seed {seed}: {sequences:,} sequences on {workers} processes", flush=True)
    total = campaign(seed, sequences, workers=workers, tell=lambda line: print(line, flush=True))
    print(total.text())
    missing = total.unreached()
    print(f"seed {seed}: {total.sequences:,} sequences, {total.steps:,} steps, {len(total.failures)} failures")
    if missing:
        print(f"never reached: {', '.join(missing)}")
    return bool(total.failures or missing)


def _tuples(value: list[object]) -> list[object]:
    return [tuple(_tuples(one)) if isinstance(one, list) else one for one in value]


if __name__ == "__main__":
    sys.exit(main())
