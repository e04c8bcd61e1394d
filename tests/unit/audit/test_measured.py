"""A replay computes the statistics of a run again, and names the figure that differs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from controller.audit.replay import replay
from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.journal.chain import Entry, Head, Record, genesis_hash, seal
from exchange.errors import IntegrityError
from gates.computed import Statistic
from gates.series import RunSeries
from policies.authority import Verb
from policies.rules import MetricName
from policies.schema import Performance
from policies.stage import Stage
from tests.support.desk import Desk


def computed(series: RunSeries, _: Performance | None, covered_ms: int) -> tuple[Statistic, ...]:
    """Two figures that depend on everything."""
    size = Decimal(len(series.executions) + len(series.round_trips))
    return (
        Statistic(MetricName.PROFIT_FACTOR, size, len(series.equity), ""),
        Statistic(MetricName.PSR, Decimal(covered_ms) / 10**9, 1, ""),
    )


@pytest.fixture(scope="module")
def measured() -> Desk:
    """A run in which statistics were computed a little while ago."""
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.trade(6)
    desk.run(40_000)
    state = desk.state
    assert state.tally is not None
    report = i.StatisticsComputed(
        state.tally.series.started_at,
        as_of_seq=state.seq,
        as_of=state.at,
        covered_ms=state.tally.covered_ms,
        series_digest=state.tally.series.digest(),
        figures=computed(state.tally.series, None, state.tally.covered_ms),
    )
    desk.trade(2)
    desk.give(report)
    return desk


def entries(desk: Desk, **changes: Any) -> list[Entry]:
    """The journal of a desk, with its ``RunMeasured`` changed, as one process would have chained it."""
    head, made = Head(0, genesis_hash("desk"), 1), []
    for event, at in desk.journal:
        found = event.model_copy(update=changes) if isinstance(event, e.RunMeasured) else event
        entry = seal(Record(found.kind, event_codec.encode(found)), head, epoch=1, at=at)
        head = Head(entry.seq, entry.hash, 1)
        made.append(entry)
    return made


def figures(desk: Desk, value: str) -> tuple[e.Figure, ...]:
    event = next(event for event, _ in desk.journal if isinstance(event, e.RunMeasured))
    return (event.figures[0].model_copy(update={"value": Decimal(value)}), *event.figures[1:])


def test_statistics_that_agree_are_counted(measured: Desk) -> None:
    assert replay(entries(measured), "desk", compute=computed).recomputed == 1


def test_a_figure_that_differs_is_named(measured: Desk) -> None:
    with pytest.raises(
        IntegrityError, match=r"profit_factor in entry \d+ is 99 from \d+ observations, and computed again"
    ) as caught:
        replay(entries(measured, figures=figures(measured, "99")), "desk", compute=computed)
    assert caught.value.code == "statistics-differ"


def test_a_figure_that_is_missing_is_named(measured: Desk) -> None:
    event = next(event for event, _ in measured.journal if isinstance(event, e.RunMeasured))
    with pytest.raises(IntegrityError, match=r"psr in entry \d+ is absent"):
        replay(entries(measured, figures=event.figures[:1]), "desk", compute=computed)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"series_digest": "sha256:" + "0" * 64}, "of another series"),
        ({"covered_ms": 1}, "another run, time or covered time"),
        ({"as_of": 1}, "another run, time or covered time"),
        ({"run_started_at": 1}, "another run, time or covered time"),
        ({"as_of_seq": 10**6}, "of no use"),
    ],
    ids=["series", "covered", "time", "run", "entry"],
)
def test_what_statistics_are_of_is_compared(measured: Desk, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        replay(entries(measured, **changes), "desk", compute=computed)


def test_figures_that_evidence_was_sealed_with_are_computed_again(measured: Desk) -> None:
    desk = measured.fork()
    desk.move(Verb.ADVANCE, Stage.VALIDATED)
    with pytest.raises(IntegrityError, match="profit_factor"):
        replay(entries(desk, figures=figures(desk, "99")), "desk", compute=computed)


def test_a_computation_that_failed_has_no_figures_to_compare(measured: Desk) -> None:
    found = replay(entries(measured, figures=(), error="the statistics failed: MemoryError"), "desk", compute=computed)
    assert found.recomputed == 0
