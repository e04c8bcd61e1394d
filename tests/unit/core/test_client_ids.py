"""Client order ids: 30 characters that the venue takes, from the first entry of the journal, and never used twice."""

import pytest

from controller.core import event_codec
from controller.core import events as e
from controller.core.decisions.orders import next_client_id
from controller.core.decisions.whose import our_prefix
from controller.core.fold.apply import apply
from controller.core.state import State
from exchange.forms import CLIENT_ID
from exchange.model import Millis
from policies.stage import Environment, Stage
from policies.values import replace as folded
from tests.support.desk import Desk
from tests.support.folding import fold

CREATED = e.DeploymentCreated(
    vocabulary=e.VOCABULARY, controller_id="desk", environment=Environment.REHEARSAL, gatehouse_version="0.1.0"
)


def begun(created: e.DeploymentCreated = CREATED, at: int = 1_000) -> State:
    return apply(State(), created, Millis(at))


def test_an_id_has_the_length_and_the_letters_that_the_venue_takes() -> None:
    client_id = next_client_id(folded(begun(), order_number=9_999_999_998))
    assert client_id == f"{our_prefix(begun())}9999999999"
    assert (len(client_id), CLIENT_ID.fullmatch(client_id) is not None) == (30, True)


@pytest.mark.parametrize(
    "other",
    [
        begun(at=1_001),
        begun(CREATED.model_copy(update={"controller_id": "desk-2"})),
        begun(CREATED.model_copy(update={"environment": Environment.PRODUCTION})),
    ],
)
def test_a_journal_that_was_begun_again_has_ids_of_its_own(other: State) -> None:
    assert our_prefix(begun()) == our_prefix(begun())
    assert our_prefix(other) != our_prefix(begun())


def test_a_restart_and_every_later_entry_keep_the_prefix() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    before = our_prefix(fold(State(), desk.journal[:1]))
    desk.boot()
    assert our_prefix(desk.state) == before != our_prefix(State())


def test_an_order_with_an_id_of_the_earlier_form_stays_that_order() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(3_000)
    before = desk.state
    desk.order("0.00003")
    admitted = desk.events(e.OrderAdmitted)[-1]
    old = admitted.model_copy(update={"client_id": "gh-0123456789-0000000001"})
    state = apply(before, event_codec.decode(old.kind, event_codec.encode(old)), desk.now)
    assert state.open[old.client_id].client_id == old.client_id
    assert next_client_id(state) == f"{our_prefix(state)}{before.order_number + 2:010d}"
