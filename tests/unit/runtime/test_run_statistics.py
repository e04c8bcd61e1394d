"""The statistics of a run are computed beside the writer: never in its way, and never silent about a failure."""

from __future__ import annotations

import asyncio
import resource
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.core import inputs as i
from controller.core.state import Measured, State
from controller.runtime.figures_process import FiguresFailed, in_a_process
from controller.runtime.statistics import Compute, Statistics, at_once
from exchange.model import Millis
from gates.computed import Statistic
from gates.series import RunSeries
from policies.authority import Verb
from policies.rules import MetricName
from policies.schema import Performance
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import Desk, demo_policy
from tests.unit.policies.policy_kit import changed, tree_of

FOUND = (Statistic(MetricName.PSR, Decimal("0.6"), 864, ""),)
RULE = {"id": "psr", "metric": "psr", "op": ">=", "threshold": "0.5", "unit": "ratio", "min_samples": 1}
ASKING = changed(demo_policy(), "gates.validation", [*tree_of(demo_policy())["gates"]["validation"], RULE])
"""A policy whose validation asks for a statistic."""


async def good(_: RunSeries, __: Performance | None, ___: int) -> tuple[tuple[Statistic, ...], str]:
    return FOUND, "sha256:" + "1" * 64


@dataclass
class Writer:
    """Takes what is reported."""

    state: State
    reports: list[i.StatisticsComputed] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, report: i.StatisticsComputed) -> None:
        self.reports.append(report)
        self.more.set()

    async def has(self, count: int) -> None:
        """Wait until so many were reported."""
        while len(self.reports) < count:
            self.more.clear()
            await self.more.wait()

    def statistics(
        self, compute: Compute = good, *, every_s: float = 3_600, within_s: float = 60, waits_s: float = 60
    ) -> Statistics:
        return Statistics(
            lambda: self.state, self.tell, compute=compute, every_s=every_s, within_s=within_s, proposal_waits_s=waits_s
        )


@pytest.fixture(scope="module")
def validating() -> State:
    desk = Desk(ASKING).walk_to(Stage.TESTNET_VALIDATING)
    desk.run(2_000)
    return desk.state


@pytest.fixture
def writer(validating: State) -> Writer:
    return Writer(validating)


async def test_the_report_names_what_it_was_computed_from(writer: Writer) -> None:
    await writer.statistics().refresh()
    (report,) = writer.reports
    assert writer.state.tally is not None
    assert (report.as_of_seq, report.as_of, report.figures) == (writer.state.seq, writer.state.at, FOUND)
    assert (report.run_started_at, report.covered_ms) == (writer.state.tally.started_at, writer.state.tally.covered_ms)


async def test_a_proposal_whose_gate_asks_for_them_waits_for_them(writer: Writer) -> None:
    await writer.statistics().before_proposal(Verb.ADVANCE)
    assert len(writer.reports) == 1


@pytest.mark.parametrize("verb", [Verb.DEMOTE, Verb.HALT, Verb.RAMP, Verb.RESUME, Verb.SET_POLICY])
async def test_a_proposal_without_such_a_gate_computes_nothing(writer: Writer, verb: Verb) -> None:
    await writer.statistics().before_proposal(verb)
    assert writer.reports == []


@pytest.mark.parametrize(
    ("age_ms", "error", "computed"), [(0, "", 0), (899_999, "", 0), (900_000, "", 1), (59_999, "x", 0), (60_000, "x", 1)]
)
async def test_asking_again_and_again_computes_nothing(writer: Writer, age_ms: int, error: str, computed: int) -> None:
    """Proposals need no signature, so a flood of them must cost no entries."""
    assert writer.state.tally is not None
    known = Measured(writer.state.tally.started_at, Millis(writer.state.at - age_ms), FOUND, error)
    writer.state = replace(writer.state, measured=known)
    await writer.statistics().before_proposal(Verb.ADVANCE)
    assert len(writer.reports) == computed


async def test_statistics_of_another_run_serve_no_proposal(writer: Writer) -> None:
    writer.state = replace(writer.state, measured=Measured(Millis(1), writer.state.at, FOUND, ""))
    await writer.statistics().before_proposal(Verb.ADVANCE)
    assert len(writer.reports) == 1


async def test_proposals_at_once_wait_for_one_computation(writer: Writer) -> None:
    statistics = writer.statistics()
    await asyncio.gather(*(statistics.before_proposal(Verb.ADVANCE) for _ in range(5)))
    assert len(writer.reports) == 1


async def test_a_gate_without_statistics_computes_nothing(writer: Writer) -> None:
    writer.state = replace(writer.state, policy=demo_policy())
    await writer.statistics().before_proposal(Verb.ADVANCE)
    assert writer.reports == []


async def test_a_slow_computation_does_not_hold_a_proposal_up(writer: Writer) -> None:
    go = asyncio.Event()

    async def slow(series: RunSeries, performance: Performance | None, covered_ms: int) -> tuple[tuple[Statistic, ...], str]:
        await go.wait()
        return await good(series, performance, covered_ms)

    await writer.statistics(slow, waits_s=0).before_proposal(Verb.ADVANCE)
    assert writer.reports == []
    go.set()
    await writer.has(1)


async def test_a_computation_that_fails_is_told_as_failed(writer: Writer) -> None:
    async def broken(_: RunSeries, __: Performance | None, ___: int) -> tuple[tuple[Statistic, ...], str]:
        raise ZeroDivisionError

    await writer.statistics(broken).refresh()
    assert [(report.error, report.figures) for report in writer.reports] == [("the statistics failed: ZeroDivisionError", ())]


async def test_a_computation_that_takes_too_long_is_told_as_failed(writer: Writer) -> None:
    async def endless(_: RunSeries, __: Performance | None, ___: int) -> tuple[tuple[Statistic, ...], str]:
        await asyncio.Event().wait()
        return (), ""

    await writer.statistics(endless, within_s=0).refresh()
    assert [report.error for report in writer.reports] == ["the statistics took longer than 0 s"]


async def test_costs_without_a_price_give_no_statistics(writer: Writer) -> None:
    tally = writer.state.tally
    assert tally is not None
    unvalued = replace(tally, collected=replace(tally.collected, unvalued_fees=2))
    writer.state = replace(writer.state, tally=unvalued)
    await writer.statistics().refresh()
    assert [report.error for report in writer.reports] == ["2 fees were charged in an asset whose price is not known"]


async def test_without_a_run_there_is_nothing_to_compute(writer: Writer) -> None:
    writer.state = replace(writer.state, tally=None)
    await writer.statistics().refresh()
    assert writer.reports == []


async def test_they_are_computed_again_and_again(writer: Writer) -> None:
    task = asyncio.create_task(writer.statistics(every_s=0).run())
    await writer.has(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deployment_that_asks_for_none_computes_none(writer: Writer) -> None:
    writer.state = replace(writer.state, policy=demo_policy())
    task = asyncio.create_task(writer.statistics(every_s=0).run())
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    assert writer.reports == []


async def test_two_computations_never_run_at_once(writer: Writer) -> None:
    running, most = 0, 0

    async def counted(series: RunSeries, performance: Performance | None, covered_ms: int) -> tuple[tuple[Statistic, ...], str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return await good(series, performance, covered_ms)

    statistics = writer.statistics(counted)
    await asyncio.gather(*(statistics.refresh() for _ in range(3)))
    assert (most, len(writer.reports)) == (1, 3)


async def test_a_process_of_its_own_computes_the_same_figures(validating: State) -> None:
    assert validating.tally is not None
    series, performance = validating.tally.series, Performance(looks=2, variants=3)
    assert await in_a_process(series, performance, 3_600_000) == await at_once(series, performance, 3_600_000)


async def test_a_process_that_prints_nothing_has_failed(validating: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert validating.tally is not None
    with pytest.raises(FiguresFailed, match="no Python frame"):
        await in_a_process(validating.tally.series, None, 1)


async def test_a_failed_process_is_told_with_its_own_words(writer: Writer) -> None:
    async def failed(_: RunSeries, __: Performance | None, ___: int) -> tuple[tuple[Statistic, ...], str]:
        raise FiguresFailed("MemoryError")

    await writer.statistics(failed).refresh()
    assert [report.error for report in writer.reports] == ["the statistics failed: MemoryError"]


async def test_a_computation_that_is_given_up_leaves_no_process(validating: State, monkeypatch: pytest.MonkeyPatch) -> None:
    started: asyncio.Future[asyncio.subprocess.Process] = asyncio.get_running_loop().create_future()
    start = asyncio.create_subprocess_exec

    async def noted(*arguments: str, **options: Any) -> asyncio.subprocess.Process:
        process = await start(*arguments, **options)
        started.set_result(process)
        return process

    monkeypatch.setattr("asyncio.create_subprocess_exec", noted)
    assert validating.tally is not None
    task = asyncio.create_task(in_a_process(validating.tally.series, None, 1))
    process = await started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.returncode is not None


def program(folder: Path, text: str) -> str:
    """An interpreter that does this whatever it is asked to run."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\nimport os, sys\n{text}\n")
    path.chmod(0o700)
    return str(path)


DIGEST = '"digest": "sha256:' + "0" * 64 + '"'
BROKEN_ANSWERS = {
    "nothing": "",
    "bytes": "sys.stdout.buffer.write(bytes(range(256)))",
    "another document": "print('[1, 2]')",
    "another digest": """print('{"figures": [], "digest": 5}')""",
    "an unknown figure": f"""print('{{"figures": [["nope", "1", 5, ""]], {DIGEST}}}')""",
    "a figure twice": f"""print('{{"figures": [["psr", "1", 5, ""], ["psr", "0", 5, ""]], {DIGEST}}}')""",
    "no number": f"""print('{{"figures": [["psr", "one", 5, ""]], {DIGEST}}}')""",
    "a deep document": "print('[' * 900_000)",
    "a flood": "while True: sys.stdout.write('x' * 1_000_000)",
    "a flood of complaints": "for _ in range(300): sys.stderr.write('x' * 1_000_000)\nsys.exit(1)",
    "a kill": "os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("broken", BROKEN_ANSWERS)
async def test_a_broken_answer_is_a_failure_and_takes_no_memory(
    validating: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str
) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path, BROKEN_ANSWERS[broken]))
    assert validating.tally is not None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FiguresFailed):
        await in_a_process(validating.tally.series, None, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


async def test_modules_where_the_controller_was_started_are_not_loaded(
    validating: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bot's directory may well have a `statistics.py` of its own."""
    (tmp_path / "statistics.py").write_text("raise RuntimeError('the wrong module')")
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the wrong module')")
    monkeypatch.chdir(tmp_path)
    assert validating.tally is not None
    found, _ = await in_a_process(validating.tally.series, None, 3_600_000)
    assert found
