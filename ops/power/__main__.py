"""``make power``: how often the gate ``validation`` promotes bots whose worth is known.

    python -m ops.power [--runs N] [--table-runs N] [--processes N]

Every run has a seeded price path of its own (``ops/power/market.py``), and the same seeds give the same figures.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from math import sqrt
from statistics import mean, stdev

from rich.console import Console
from rich.progress import Progress
from scipy.stats import binomtest

from gates.performance import Claim
from gates.verdict import Verdict
from ops.power import judging
from ops.power.bots import Bot
from ops.power.judging import Tried
from policies.schema import Policy

COIN = Bot("worthless: a coin decides every 15 minutes", 15)
BLEEDER = Bot("bleeds fees: in and out every 5 minutes", 5, changes=True)
GOOD = Bot("good: knows 9 of 10 quarters of an hour, buys for half of the cap", 15, skill=0.9, stake=0.5)
CLAIMED = {COIN.name: Decimal(2), BLEEDER.name: Decimal(2), GOOD.name: Decimal(30)}
"""The annual Sharpe ratio that the owner claims. The good one has more than it claims."""

WORTHLESS = tuple(
    Bot(f"a coin every {minutes} minutes, buys for {stake:.0%} of the cap, fee {fee:.2%}", minutes, fee=fee, stake=stake)
    for fee in (0.0005, 0.0)
    for minutes in (5, 15, 30)
    for stake in (0.9, 0.2)
)
"""Worthless bots whose number of trades, fees and risk differ: where the gate is weakest."""

SKILLED = tuple(
    Bot(f"knows {skill:.0%} of the quarters of an hour, buys for {stake:.0%} of the cap", 15, skill=skill, stake=stake)
    for skill in (0.7, 0.8, 0.9)
    for stake in (0.9, 0.2)
)
"""Bots that are worth something: what the gate asks of them."""


def bounds(hits: int, runs: int) -> tuple[float, float]:
    """The two-sided 95 % interval of Clopper and Pearson."""
    found = binomtest(hits, runs).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def _try(task: tuple[Bot, int, Policy, Claim]) -> Tried:
    return judging.try_run(*task)


def tried(pool: ProcessPoolExecutor, progress: Progress, bot: Bot, runs: int, claimed: Decimal) -> list[Tried]:
    """Every run of a bot, the seeds from 1 on, in order."""
    policy = judging.policy_of_the_example()
    claim = judging.claim_of(bot, claimed)
    tasks = [(bot, seed, policy, claim) for seed in range(1, runs + 1)]
    return list(progress.track(_in_order(pool, tasks), total=runs, description=bot.name))


def _in_order(pool: ProcessPoolExecutor, tasks: Sequence[tuple[Bot, int, Policy, Claim]]) -> Iterator[Tried]:
    return pool.map(_try, tasks, chunksize=4)


def row(bot: Bot, found: Sequence[Tried], hits: int, what: str, required: str = "") -> str:
    """One line of a table."""
    low, high = bounds(hits, len(found))
    trips, nets = mean(one.first.round_trips for one in found), [one.net for one in found]
    days = judging.days_until_enough(bot) + judging.looks_of(judging.policy_of_the_example()) - 1
    annual = mean(nets) / stdev(nets) * sqrt(365 / days)
    figure = f"{hits} of {len(found)} {what}, {hits / len(found):.2%} ({low:.2%} to {high:.2%})"
    return f"| {bot.name} | {trips:.0f} | {mean(nets) / days:+.3f} | {annual:+.1f} | {figure} | {required} |"


def vetoes(found: Sequence[Tried]) -> str:
    """Which rules of family C did not pass at the first look, and in how many runs."""
    counted = Counter(rule for one in found for rule in one.first.vetoes)
    return ", ".join(f"{rule} {count}" for rule, count in counted.most_common()) or "none"


HEAD = """\
| bot | round trips | net EUR a day | true annual Sharpe ratio | figure (95 % interval) | required |
|---|---|---|---|---|---|"""


def main() -> None:
    """Parse, simulate, print."""
    parser = argparse.ArgumentParser(prog="python -m ops.power", description="How often the gate promotes bots of known worth.")
    parser.add_argument("--runs", type=int, default=400, help="runs of each of the three bots")
    parser.add_argument("--table-runs", type=int, default=100, help="runs of each bot of the other tables, or 0")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    more = (*WORTHLESS, *SKILLED) if options.table_runs else ()
    with ProcessPoolExecutor(options.processes) as pool, Progress(console=Console(stderr=True)) as progress:
        results = {bot: tried(pool, progress, bot, options.runs, CLAIMED[bot.name]) for bot in (COIN, BLEEDER, GOOD)}
        others = {bot: tried(pool, progress, bot, options.table_runs, Decimal(2)) for bot in more}
    looks = judging.looks_of(judging.policy_of_the_example())
    print(
        f"Gate `validation` of policies/examples/solo.toml, {looks} looks a day apart, the first after three days, or later, with "
        f"enough orders; {judging.REPEATS:,} repetitions of each bootstrap; intervals of Clopper and Pearson.\n"
    )
    print(HEAD)
    print(row(COIN, results[COIN], promoted(results[COIN]), "promoted", "< 5 %"))
    print(row(BLEEDER, results[BLEEDER], promoted(results[BLEEDER]), "promoted", "never"))
    print(row(GOOD, results[GOOD], unvetoed(results[GOOD]), "not vetoed by family C", "> 90 %"))
    print(
        f"\nOf the good one's runs {sum(one.first.verdict is Verdict.PASS for one in results[GOOD])} passed the whole gate at once."
    )
    for bot, found in results.items():
        print(f"Rules of family C that did not pass at first, {bot.name.partition(':')[0]}: {vetoes(found)}")
    if others:
        print("\nWorthless bots of other kinds:\n\n" + HEAD)
        for bot in WORTHLESS:
            print(row(bot, others[bot], promoted(others[bot]), "promoted", "< 5 %"))
        print("\nBots that are worth something:\n\n" + HEAD)
        for bot in SKILLED:
            print(row(bot, others[bot], unvetoed(others[bot]), "not vetoed by family C"))


def promoted(found: Sequence[Tried]) -> int:
    """In how many runs a look passed the gate."""
    return sum(one.promoted for one in found)


def unvetoed(found: Sequence[Tried]) -> int:
    """In how many runs every rule of family C passed at the first look."""
    return sum(not one.first.vetoes for one in found)


if __name__ == "__main__":
    main()
