"""The rehearsals of ``make campaign`` in short: nothing is broken, and what is broken is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cli.rehearse.parts import processes
from controller.core import events as e
from controller.rehearsal.bots import load_bot
from controller.rehearsal.run import rehearse
from controller.rehearsal.scene import Script
from policies.stage import Stage
from tests.support.campaign.rehearsals import plan, played
from tests.support.campaign.watching import Watch
from tests.support.proofs import sizes
from tests.support.rehearsing import bars


@pytest.mark.parametrize("seeds", sizes(short=1, long=8))
def test_no_promise_is_broken_in_any_seed(seeds: int) -> None:
    for seed in range(seeds):
        one = played(seed)
        assert one.problems == [], f"seed {seed}"
        assert one.seen["fills"]
        assert one.seen["batches"]


def test_seeds_choose_different_faults() -> None:
    assert len({plan(seed) for seed in range(40)}) > 20


def test_an_order_that_was_never_admitted_is_noticed(tmp_path: Path) -> None:
    watch = Watch()
    script = Script(tmp_path / "d", (bars(tmp_path / "bars.csv"),), 0.02, 3, load_bot(None), Stage.TESTNET_VALIDATING)
    watch._event = lambda *_: None  # type: ignore[method-assign]
    rehearse(script, processes(), on_built=watch.begin, on_ended=watch.end)
    assert any("never admitted" in problem for problem in watch.problems)


def test_a_state_that_is_not_the_fold_of_the_journal_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    script = Script(tmp_path / "d", (bars(tmp_path / "bars.csv"),), 0.01, 3, load_bot(None), Stage.MOCK)
    monkeypatch.setattr(
        "tests.support.campaign.watching.apply",
        lambda state, event, at: state if isinstance(event, e.Sampled) else apply(state, event, at),
    )
    from controller.core.fold.apply import apply

    rehearse(script, processes(), on_built=watch.begin, on_ended=watch.end)
    assert any("invariant 5" in problem for problem in watch.problems)
