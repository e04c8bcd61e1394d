"""What the controller forwards from its journal is what the signer needs: each move, each change of the roster, each move down."""

from decimal import Decimal

import pytest

from controller.authority.keys import public_key
from controller.bootstrap.signer import authority_of
from controller.core import inputs as i
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.signer.grants import Grants, Pinned
from controller.signer.ledger import Memory
from controller.signer.protocol import Kind
from exchange.errors import Unauthorised
from exchange.ports import VenueName
from policies.authority import Verb
from policies.stage import Mode, Stage
from tests.support.desk import Desk


class Follower:
    """A signer's authority that is given what the controller forwards; its file is ``memory``."""

    def __init__(self, desk: Desk) -> None:
        self.first_roster, self.memory, self.desk = desk.state.roster, Memory(), desk
        self.restart()

    def restart(self) -> None:
        state = self.desk.state
        assert self.first_roster is not None
        account = state.accounts[VenueName.LIVE]
        pinned = Pinned(state.controller_id, state.environment, account, Mode.TEAM, self.first_roster)
        self.grants = Grants(pinned, self.memory, lambda: None)

    def follow(self, state: State) -> Decimal:
        for kind, _, body in authority_of(state):
            if kind is Kind.COMMAND:
                self.grants.command(body.decode(), self.desk.now)
            elif kind is Kind.LOWER:
                self.grants.lower(Decimal(body.decode()))
        return self.grants.cap_eur


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def test_each_stage_grants_its_cap(desk: Desk) -> None:
    follower = Follower(desk)
    assert follower.follow(desk.state) == 0
    assert follower.follow(desk.walk_to(Stage.VALIDATED).state) == 0
    assert follower.follow(desk.walk_to(Stage.LIVE_EUR10).state) == 10
    assert follower.follow(desk.walk_to(Stage.RAMPING, 1).state) == desk.policy.ramp.steps[0]


def test_a_move_down_lowers_the_cap_and_a_restart_does_not_raise_it(desk: Desk) -> None:
    follower = Follower(desk.walk_to(Stage.RAMPING, 1))
    assert follower.follow(desk.state) == desk.policy.ramp.steps[0]
    before = desk.state
    assert not desk.move(Verb.DEMOTE, Stage.LIVE_EUR10).code
    assert follower.follow(desk.state) == 10
    follower.restart()
    assert follower.follow(before) == 10
    assert follower.follow(desk.state) == 10


def test_after_a_halt_nothing_is_granted_until_a_signed_resume(desk: Desk) -> None:
    follower = Follower(desk.walk_to(Stage.LIVE_EUR10))
    follower.follow(desk.state)
    desk.give(i.HaltAsked(by="a test", reason="a test"))
    assert follower.follow(desk.state) == 0
    follower.restart()
    assert follower.follow(desk.state) == 0


def test_a_revoked_key_is_followed_after_a_restart(desk: Desk) -> None:
    follower = Follower(desk.walk_to(Stage.LIVE_EUR10))
    follower.follow(desk.state)
    assert not desk.ask(Verb.REVOKE, public_key(desk.keys["bob"]).fingerprint, "bob").code
    follower.restart()
    follower.follow(desk.state)
    assert desk.state.roster is not None
    assert follower.memory.roster_version == desk.state.roster.version == 2


def test_a_controller_cannot_invent_an_authority(desk: Desk) -> None:
    follower = Follower(desk.walk_to(Stage.VALIDATED))
    follower.follow(desk.state)
    unsigned = desk.verified(desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10)), "alice")
    with pytest.raises(Unauthorised):
        follower.grants.command(unsigned.envelope, desk.now)
    assert follower.grants.cap_eur == 0
