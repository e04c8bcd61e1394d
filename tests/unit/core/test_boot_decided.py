"""Taking a journal over: what a restart keeps, what it voids, and what it refuses."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.authority.roster import Roster
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted
from controller.core.effects import CancelAll, LookUp, Place
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import ConfigError, IntegrityError, Refused
from exchange.model import OrderStatus
from exchange.ports import Unknown, VenueName
from policies.authority import Verb
from policies.stage import Environment, Stage
from tests.support.desk import D, Desk, with_policy
from tests.support.folding import fold

MOCK, TESTNET, LIVE = VenueName.MOCK, VenueName.TESTNET, VenueName.LIVE


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    return desk


def _policy(desk: Desk) -> None:
    limits = desk.policy.limits.model_copy(update={"price_collar_bps": D(50)})
    desk.policy = with_policy(limits=limits.model_dump())


def _release(desk: Desk) -> None:
    desk.release = replace(desk.release, version="2", digest="sha256:" + "e" * 64)


def _account(desk: Desk) -> None:
    desk.accounts = {**desk.accounts, LIVE: "sha256:" + "7" * 64}


def _version(desk: Desk) -> None:
    desk.version = "0.2.0"


CHANGES = [
    pytest.param(_policy, "policy", id="policy"),
    pytest.param(_release, "release", id="release"),
    pytest.param(_account, "live account", id="account"),
    pytest.param(_version, "gatehouse", id="gatehouse"),
]
Change = Callable[[Desk], None]


def test_the_first_start_journals_every_document() -> None:
    desk = Desk()
    kinds = [type(event) for event in desk.boot().events]
    assert kinds == [
        e.DeploymentCreated,
        e.PolicyAdopted,
        e.ReleaseAdopted,
        e.AccountBound,
        e.AccountBound,
        e.RosterAdopted,
        e.BotKeysAdopted,
        e.ControllerStarted,
    ]
    assert desk.state.position == Position(Stage.MOCK)
    assert not desk.state.armed


def test_a_restart_without_changes_journals_only_the_start(live: Desk) -> None:
    desk = live.fork()
    assert [type(event) for event in desk.boot().events] == [e.ControllerStarted]
    assert desk.state.position == Position(Stage.LIVE_EUR10)


def test_a_restart_is_not_armed_and_reconciles_every_account_again(live: Desk) -> None:
    desk = live.fork()
    desk.boot()
    assert not desk.state.armed
    assert all(desk.state.ledger(venue).reconciled_at is None for venue in VenueName)
    assert not isinstance(desk.order("0.00003").reply, Admitted)


def test_a_restart_takes_the_epoch_it_was_given(live: Desk) -> None:
    desk = live.fork()
    desk.boot()
    assert desk.state.epoch == live.state.epoch + 1


def test_orders_in_flight_at_a_restart_become_unknown(live: Desk) -> None:
    desk = live.fork()
    reply = desk.order("0.00003").reply
    assert isinstance(reply, Admitted)
    decision = desk.boot()
    assert desk.state.orders[reply.client_id].status is OrderStatus.UNKNOWN
    assert not [effect for effect in decision.effects if isinstance(effect, Place)]
    assert LookUp(LIVE, "BTCUSDT", reply.client_id) in desk.tick().effects


def test_unknown_orders_stay_unknown_and_keep_their_age(live: Desk) -> None:
    desk = live.fork()
    client_id = desk.placed(desk.order("0.00003"), Unknown("time-out"))
    since = desk.state.orders[client_id].unknown_since
    desk.pass_time(5_000)
    desk.boot()
    assert desk.state.orders[client_id].unknown_since == since


def test_a_restart_ends_the_orders_of_the_mock_executor() -> None:
    desk = Desk().arm()
    held = desk.placed(desk.order("0.00009"))
    desk.fill(held, "0.00003")
    in_flight = desk.order("0.00003").reply
    assert isinstance(in_flight, Admitted)
    desk.boot()
    assert desk.state.open_on(MOCK) == []
    assert {desk.state.orders[name].status for name in (held, in_flight.client_id)} == {OrderStatus.CANCELED}
    assert desk.state.ledger(MOCK).totals is None
    desk.sweep_all()
    assert dict(desk.state.ledger(MOCK).totals or {}) == {"USDT": D(100)}
    assert desk.state.armed


def test_real_accounts_keep_their_baseline_over_a_restart(live: Desk) -> None:
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00003")), "0.00003")
    totals = desk.state.ledger(LIVE).totals
    desk.boot()
    assert desk.state.ledger(LIVE).totals == totals


@pytest.mark.parametrize(("change", "what"), CHANGES)
def test_a_changed_deployment_goes_back_to_mock_and_its_evidence_is_void(live: Desk, change: Change, what: str) -> None:
    desk = live.fork()
    change(desk)
    desk.boot()
    assert desk.state.position == Position(Stage.MOCK)
    moved = desk.events(e.StageChanged)[-1]
    assert isinstance(moved, e.StageChanged)
    assert (moved.cause, moved.reason) == ("changed-deployment", f"changed since it was proven: {what}")
    assert desk.state.tally is not None
    assert (desk.state.tally.orders, desk.state.tally.covered_ms) == (0, 0)
    assert dict(desk.state.seals) == {}


@pytest.mark.parametrize(("change", "what"), CHANGES)
def test_a_halted_deployment_that_changed_can_only_be_reset(live: Desk, change: Change, what: str) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    change(desk)
    desk.boot()
    assert desk.state.position == Position(Stage.HALTED)
    desk.run(10_000)
    with pytest.raises(Refused, match="the validation is void"):
        desk.command(Verb.RESUME, Position(Stage.VALIDATED))
    assert desk.move(Verb.RESET, Stage.MOCK, signers=("alice",)).code == "", what


@pytest.mark.parametrize(("change", "what"), CHANGES)
def test_evidence_sealed_at_mock_does_not_survive_a_change(change: Change, what: str) -> None:
    desk = Desk().arm()
    desk.trade(6)
    desk.run(40_000)
    desk.command(Verb.ADVANCE, Position(Stage.TESTNET_VALIDATING))
    assert desk.state.seals
    change(desk)
    desk.boot()
    assert dict(desk.state.seals) == {}, what


def test_a_change_cancels_the_orders_on_the_live_venue(live: Desk) -> None:
    desk = live.fork()
    desk.placed(desk.order("0.00003"))
    _release(desk)
    decision = desk.boot()
    assert [effect.venue for effect in decision.effects if isinstance(effect, CancelAll)] == [LIVE]


def test_an_account_cannot_change_while_its_orders_are_unsettled(live: Desk) -> None:
    desk = live.fork()
    desk.placed(desk.order("0.00003"), Unknown("time-out"))
    _account(desk)
    before = desk.state
    with pytest.raises(ConfigError) as refusal:
        desk.boot()
    assert refusal.value.code == "account-changed"
    assert desk.state == before


def test_a_new_account_starts_from_a_baseline_of_its_own(live: Desk) -> None:
    desk = live.fork()
    _account(desk)
    desk.boot()
    assert desk.state.ledger(LIVE).totals is None
    assert desk.state.ledger(TESTNET).totals is not None


def test_a_roster_changed_on_disk_is_refused(live: Desk) -> None:
    desk = live.fork()
    desk.roster = Roster(version=2, persons=desk.roster.persons)
    with pytest.raises(ConfigError) as refusal:
        desk.boot()
    assert refusal.value.code == "roster-changed"


@pytest.mark.parametrize("other", [{"controller_id": "another"}, {"environment": Environment.PRODUCTION}])
def test_a_journal_of_another_deployment_is_refused(live: Desk, other: dict[str, object]) -> None:
    desk = live.fork()
    with pytest.raises(IntegrityError) as refusal:
        desk.give(replace(desk.boot_input(), **other))  # type: ignore[arg-type]
    assert refusal.value.code == "foreign-journal"


def test_after_a_restart_a_halt_is_completed_first(live: Desk) -> None:
    desk = live.fork()
    desk.placed(desk.order("0.00003"))
    desk.give(i.HaltAsked("test", "stop"))
    decision = desk.boot()
    assert desk.state.position == Position(Stage.HALTED)
    assert desk.state.halted_from == Position(Stage.LIVE_EUR10)
    assert [effect.venue for effect in decision.effects if isinstance(effect, CancelAll)] == [LIVE]


def test_a_halted_deployment_places_nothing_after_restarts(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    for _ in range(3):
        desk.boot()
        desk.run(5_000)
        assert not desk.order("0.00003").effects
    assert desk.state.position == Position(Stage.HALTED)


def test_downtime_is_a_gap_in_the_evidence(live: Desk) -> None:
    desk = live.fork()
    covered = desk.state.tally.covered_ms if desk.state.tally else 0
    desk.pass_time(60_000)
    desk.boot()
    desk.sweep_all()
    desk.run(2_000)
    tally = desk.state.tally
    assert tally is not None
    assert tally.longest_gap_ms >= 60_000
    assert tally.covered_ms - covered <= 2_000


def test_the_state_after_a_restart_is_the_fold_of_the_journal(live: Desk) -> None:
    desk = live.fork()
    desk.boot()
    assert fold(State(), desk.journal) == desk.state
    assert fold(State(), desk.journal).fingerprint() == desk.state.fingerprint()
