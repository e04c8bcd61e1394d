"""Which venues a start waits for."""

from __future__ import annotations

import pytest

from controller.bootstrap.venues_known import needed_at_a_start
from controller.core import inputs as i
from controller.core.state import State
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import Desk


@pytest.mark.parametrize(
    ("stage", "needed"),
    [
        (Stage.MOCK, set()),
        (Stage.TESTNET_VALIDATING, {VenueName.TESTNET}),
        (Stage.VALIDATED, {VenueName.TESTNET}),
        (Stage.LIVE_EUR10, {VenueName.LIVE}),
    ],
)
def test_a_start_needs_the_venue_of_its_stage(stage: Stage, needed: set[VenueName]) -> None:
    assert needed_at_a_start(Desk().walk_to(stage).state) == needed


def test_a_start_needs_the_venue_that_was_in_use_before_a_halt() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.give(i.HaltAsked("test", "stop"))
    assert needed_at_a_start(desk.state) == {VenueName.LIVE}


def test_a_start_needs_every_venue_with_an_open_order() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.placed(desk.order("0.00005", "59500"))
    assert needed_at_a_start(State(open=desk.state.open)) == {VenueName.TESTNET}
