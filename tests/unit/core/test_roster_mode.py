"""Whether one person or a team decides is in the signed roster: no policy changes it, and a new roster only by both quorums."""

import pytest

from controller.authority.roster import Roster
from controller.core import events as e
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import Refused
from policies.authority import Verb
from policies.document import canonical_bytes
from policies.stage import Mode, Stage
from policies.values import replace
from tests.support.desk import Desk, demo_policy, with_policy


def begun(mode: Mode | None, *, policy: Mode = Mode.TEAM, stage: Stage = Stage.MOCK) -> Desk:
    """A deployment whose roster names ``mode``, under a policy that names another, or none."""
    desk = Desk()
    desk.roster = desk.roster.model_copy(update={"mode": mode})
    desk.policy = with_policy(mode=policy)
    return desk.arm() if stage is Stage.MOCK else desk.walk_to(stage)


def next_roster(desk: Desk, mode: Mode | None) -> str:
    old = desk.state.roster
    assert old is not None
    return Roster(version=old.version + 1, persons=old.persons, mode=mode).canonical_bytes.decode()


def other_policy(**changes: object) -> str:
    return canonical_bytes(with_policy(name="other", **changes)).decode()


@pytest.mark.parametrize(
    ("roster", "policy", "counts"),
    [
        (Mode.TEAM, Mode.SOLO, Mode.TEAM),
        (Mode.SOLO, Mode.TEAM, Mode.SOLO),
        (None, Mode.TEAM, Mode.TEAM),
        (None, Mode.SOLO, Mode.SOLO),
    ],
)
def test_the_roster_says_who_decides_and_where_it_does_not_the_policy(roster: Mode | None, policy: Mode, counts: Mode) -> None:
    desk = begun(roster, policy=policy)
    assert desk.state.mode is counts
    code = desk.ask(Verb.SET_POLICY, other_policy(mode=policy), "alice").code
    assert code == ("under-quorum" if counts is Mode.TEAM else "")
    assert (desk.state.pending is not None) is (counts is Mode.SOLO)


def test_before_there_is_a_roster_or_a_policy_a_team_decides() -> None:
    assert State().mode is Mode.TEAM
    assert replace(State(), policy=demo_policy()).mode is demo_policy().mode


def test_a_signed_policy_of_another_mode_changes_no_quorum() -> None:
    desk = begun(Mode.TEAM)
    assert desk.ask(Verb.SET_POLICY, other_policy(mode=Mode.SOLO), "alice", "bob").code == ""
    assert desk.state.mode is Mode.TEAM
    assert desk.ask(Verb.SET_POLICY, other_policy(mode=Mode.TEAM), "alice").code == "under-quorum"


def test_a_team_decides_that_one_person_decides() -> None:
    desk = begun(Mode.TEAM)
    assert desk.ask(Verb.SET_ROSTER, next_roster(desk, Mode.SOLO), "alice").code == "under-quorum"
    assert desk.ask(Verb.SET_ROSTER, next_roster(desk, Mode.SOLO), "alice", "bob").code == ""
    assert desk.state.mode is Mode.SOLO


def test_one_person_does_not_decide_for_a_team_that_must_sign_too() -> None:
    desk = begun(Mode.SOLO)
    assert desk.ask(Verb.SET_ROSTER, next_roster(desk, Mode.TEAM), "alice").code == "under-new-quorum"
    assert desk.ask(Verb.SET_ROSTER, next_roster(desk, Mode.TEAM), "alice", "bob").code == ""
    desk.run(desk.policy.authority.cooling_off_ms + 5_000)
    assert desk.state.mode is Mode.TEAM


def test_a_roster_may_begin_to_name_a_mode_and_not_stop() -> None:
    desk = begun(None)
    assert desk.ask(Verb.SET_ROSTER, next_roster(desk, Mode.TEAM), "alice", "bob").code == ""
    with pytest.raises(Refused) as refused:
        desk.ask(Verb.SET_ROSTER, next_roster(desk, None), "alice", "bob")
    assert refused.value.code == "roster-mode"
    assert 'mode = "team"' in refused.value.remedy


def test_a_mode_that_the_persons_cannot_fill_is_refused() -> None:
    desk = begun(Mode.SOLO)
    old = desk.state.roster
    assert old is not None
    alone = Roster(version=old.version + 1, persons=old.persons[:1], mode=Mode.TEAM).canonical_bytes.decode()
    with pytest.raises(Refused) as refused:
        desk.ask(Verb.SET_ROSTER, alone, "alice")
    assert refused.value.code == "roster-too-small"


@pytest.mark.parametrize(("mode", "code"), [(Mode.SOLO, "not-while-live"), (Mode.TEAM, "")])
def test_the_mode_does_not_change_while_real_money_is_at_risk(mode: Mode, code: str) -> None:
    desk = begun(Mode.TEAM, stage=Stage.LIVE_EUR10)
    assert desk.state.position == Position(Stage.LIVE_EUR10)
    if code:
        with pytest.raises(Refused) as refused:
            desk.ask(Verb.SET_ROSTER, next_roster(desk, mode), "alice", "bob")
        assert refused.value.code == code
    else:
        assert desk.ask(Verb.SET_ROSTER, next_roster(desk, mode), "alice", "bob").code == ""


def test_a_revocation_counts_the_persons_by_the_rosters_mode() -> None:
    desk = begun(Mode.SOLO)
    old = desk.state.roster
    assert old is not None
    key = next(person for person in old.persons if person.name == "bob").keys[0].id
    assert desk.ask(Verb.REVOKE, key, "alice").code == ""
    assert desk.state.position.stage is Stage.MOCK
    assert desk.state.mode is Mode.SOLO


def test_a_roster_of_an_earlier_version_keeps_its_digest() -> None:
    desk = Desk()
    assert "mode" not in desk.roster.canonical_bytes.decode()
    assert desk.roster.digest != desk.roster.model_copy(update={"mode": Mode.TEAM}).digest
    desk.boot()
    assert desk.events(e.RosterAdopted)[0].document == desk.roster.canonical_bytes.decode()
