"""Rehearsals of seeds and fault plans: the second half of ``make campaign``, for as many minutes as it is given.

Each seed is one rehearsal with up to three faults that its seed chooses, watched by ``watching``. It fails when a promise is
broken, when it ends in an error, or when a deployment does not get to VALIDATED that meets one fault at most, which it survives.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from controller.cli.rehearse.parts import processes
from controller.rehearsal.bots import load_bot
from controller.rehearsal.faults import FAULTS
from controller.rehearsal.run import rehearse
from controller.rehearsal.scene import Script
from policies.stage import Stage
from tests.support.campaign.watching import Watch
from tests.support.rehearsing import bars

MINUTES, HOURS, FAULTS_MOST = 2.0, 0.05, 3


@dataclass(slots=True)
class Played:
    """One rehearsal of the campaign."""

    seed: int
    faults: tuple[str, ...]
    verdict: str = ""
    virtual_s: float = 0.0
    problems: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)


def plan(seed: int) -> tuple[str, ...]:
    """The faults of a seed."""
    rng = Random(seed)
    return tuple(rng.sample(sorted(FAULTS), rng.randint(0, FAULTS_MOST)))


def played(seed: int, hours: float = HOURS) -> Played:
    """Rehearse one seed."""
    one, watch = Played(seed, plan(seed)), Watch()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        market = bars(Path(folder) / "bars.csv")
        script = Script(Path(folder) / "d", (market,), hours, seed, load_bot(None), Stage.VALIDATED, faults=one.faults)
        try:
            result = rehearse(script, processes(), on_built=watch.begin, on_ended=watch.end)
        except Exception as error:  # noqa: BLE001 - whatever ends it is what the campaign looks for
            one.problems = [*watch.problems, f"it ended with {type(error).__name__}: {error}"]
            return one
    one.verdict, one.virtual_s, one.seen = result.verdict, result.virtual_s, watch.seen
    one.problems = list(watch.problems)
    survives = not any(FAULTS[name].halts_with for name in one.faults)
    # Several faults at once may well be too much; one that is survived alone has to be.
    if survives and len(one.faults) <= 1 and result.stage != Stage.VALIDATED.value:
        one.problems.append(f"it does not survive {one.faults}: {result.verdict}")
    return one


def _quietly(seed: int) -> Played:
    logging.disable(logging.CRITICAL)
    return played(seed)


def campaign(first: int, minutes: float, workers: int) -> Iterator[Played]:
    """Seeds from ``first`` on, until the time is over."""
    ends = time.monotonic() + minutes * 60
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        seed, running = first, []
        while time.monotonic() < ends or running:
            while len(running) < workers and time.monotonic() < ends:
                running.append(pool.apply_async(_quietly, (seed,)))
                seed += 1
            for done in [one for one in running if one.ready()]:
                running.remove(done)
                yield done.get()
            time.sleep(0.05)


def main() -> int:
    """Rehearse for CAMPAIGN_MINUTES, and print the seeds of failures and the count."""
    first = int(os.environ.get("CAMPAIGN_SEED") or secrets.randbelow(10**9))
    minutes = float(os.environ.get("CAMPAIGN_MINUTES") or MINUTES)
    workers = int(os.environ.get("CAMPAIGN_WORKERS") or os.cpu_count() or 1)
    print(f"rehearsals from seed {first} for {minutes:g} minutes on {workers} processes", flush=True)
    count, virtual_s, failed, seen, ends = 0, 0.0, list[int](), Counter[str](), Counter[str]()
    for one in campaign(first, minutes, workers):
        count, virtual_s = count + 1, virtual_s + one.virtual_s
        seen.update(one.seen)
        ends[one.verdict.partition(":")[0]] += 1
        if one.problems:
            failed.append(one.seed)
            print(f"seed {one.seed} with {', '.join(one.faults) or 'no fault'}: {'; '.join(one.problems)}", flush=True)
        elif count % 10 == 0:
            print(f"{count} rehearsals, {virtual_s / 3600:.1f} virtual hours", flush=True)
    print(f"checked: {', '.join(f'{name} {number:,}' for name, number in sorted(seen.items()))}")
    print(f"ended: {', '.join(f'{name} {number}' for name, number in sorted(ends.items()))}")
    print(
        f"{count} rehearsals of {virtual_s / 3600:.1f} virtual hours, {len(failed)} failures; seeds of failures: {failed or 'none'}"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
