"""Who may sign, under which policy, and for which bot: changed only by those who may, and only away from real money."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from controller.authority.keys import generate_key, public_key
from controller.authority.roster import KeyStatus, KeyType, Person, Roster, RosterKey, roster_key
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.governance import release_document
from controller.core.effects import Latch
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import ConfigError, Refused, Unauthorised
from policies.authority import Role, Verb
from policies.document import canonical_bytes, digest
from policies.schema import Policy
from policies.stage import Mode, Stage
from tests.support.counting import Counted
from tests.support.desk import D, Desk, with_policy
from tests.support.folding import fold


@pytest.fixture(scope="module")
def mock() -> Desk:
    return Desk().arm()


@pytest.fixture(scope="module")
def testing() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


@pytest.fixture(scope="module")
def live() -> Desk:
    return Desk().walk_to(Stage.LIVE_EUR10)


def key_of(desk: Desk, name: str) -> RosterKey:
    return roster_key(public_key(desk.keys[name]).line, KeyType.FILE)


def roster_in_force(desk: Desk) -> Roster:
    assert desk.state.roster is not None
    return desk.state.roster


def next_roster(desk: Desk, *persons: Person, version: int | None = None) -> str:
    old = roster_in_force(desk)
    return Roster(version=version or old.version + 1, persons=persons or old.persons).canonical_bytes.decode()


def joined_by(desk: Desk, name: str) -> tuple[Person, ...]:
    """The persons in force and one more, whose key the desk gets."""
    desk.keys = {**desk.keys, name: generate_key()}
    return (*roster_in_force(desk).persons, Person(name=name, role=Role.APPROVER, keys=(key_of(desk, name),)))


def tighter(collar: int = 50, **changes: object) -> Policy:
    limits = with_policy().limits.model_copy(update={"price_collar_bps": D(collar)})
    return with_policy(limits=limits.model_dump(), **changes)


def text_of(policy: Policy) -> str:
    return canonical_bytes(policy).decode()


RELEASE = release_document("maker", "2", "sha256:" + "7" * 64)


def refusal_of(ask: Callable[[], object]) -> str:
    with pytest.raises((Refused, Unauthorised)) as refusal:
        ask()
    assert refusal.value.remedy
    return refusal.value.code


# revoke


def test_any_one_operator_revokes_a_key_at_once_in_any_stage(live: Desk) -> None:
    desk = live.fork()
    carol = key_of(desk, "carol").id
    assert desk.ask(Verb.REVOKE, carol, "alice").code == ""
    assert desk.state.position.stage is Stage.LIVE_EUR10
    found = roster_in_force(desk).find(carol)
    assert found is not None
    assert (found[1].status, roster_in_force(desk).version) == (KeyStatus.REVOKED, 2)
    adopted = desk.events(e.RosterAdopted)[-1]
    assert isinstance(adopted, e.RosterAdopted)
    assert json.loads(adopted.document)["version"] == 2
    assert adopted.command_id


def test_a_revoked_key_cannot_sign_any_more(mock: Desk) -> None:
    desk = mock.fork()
    desk.ask(Verb.REVOKE, key_of(desk, "carol").id, "bob")
    command = desk.command(Verb.HALT, Position(Stage.HALTED))
    assert refusal_of(lambda: desk.submit(command, "carol")) == "revoked-key"


@pytest.mark.parametrize("stage", [Stage.MOCK, Stage.LIVE_EUR10])
def test_with_too_few_persons_left_the_deployment_halts_and_latches_first(mock: Desk, live: Desk, stage: Stage) -> None:
    desk = (mock if stage is Stage.MOCK else live).fork()
    assert desk.ask(Verb.REVOKE, key_of(desk, "bob").id, "alice").code == ""
    assert (desk.state.position.stage, desk.state.halt_cause) == (Stage.HALTED, "revoke")
    assert type(desk.decisions[-1].effects[0]) is Latch
    assert "needs 2 persons with a valid key, and 1 would remain" in desk.state.halt_reason


def test_a_revocation_voids_commands_signed_before_it(mock: Desk) -> None:
    desk = mock.fork()
    halt = desk.command(Verb.HALT, Position(Stage.HALTED))
    verified = desk.verified(halt, "carol")
    desk.ask(Verb.REVOKE, key_of(desk, "carol").id, "alice")
    assert refusal_of(lambda: desk.submit(halt, "carol")) == "revoked-key"
    # Even if its signature had been checked a moment before the roster changed.
    decision = desk.give(i.CommandSubmitted(verified, anchored=True, seen=desk.seen()))
    assert decision.reply.code == "other-roster"  # type: ignore[union-attr]


def test_a_key_is_revoked_once_and_only_if_it_is_listed(mock: Desk) -> None:
    desk = mock.fork()
    carol = key_of(desk, "carol").id
    desk.ask(Verb.REVOKE, carol, "alice")
    assert refusal_of(lambda: desk.ask(Verb.REVOKE, carol, "alice")) == "already-revoked"
    assert refusal_of(lambda: desk.ask(Verb.REVOKE, "sha256:" + "0" * 64, "alice")) == "no-such-key"


def test_a_key_that_may_only_halt_revokes_no_other_key(mock: Desk) -> None:
    desk = mock.fork()
    assert desk.ask(Verb.REVOKE, key_of(desk, "alice").id, "carol").code == "under-quorum"


# set-roster


def test_a_roster_changes_with_the_quorum_of_the_old_and_of_the_new(mock: Desk) -> None:
    desk = mock.fork()
    subject = next_roster(desk, *joined_by(desk, "dave"))
    assert desk.ask(Verb.SET_ROSTER, subject).code == ""
    assert roster_in_force(desk).version == 2
    assert desk.state.position.stage is Stage.MOCK
    assert desk.move(Verb.HALT, Stage.HALTED, signers=("dave",)).code == ""


@pytest.mark.parametrize(
    ("signers", "code"), [(("alice",), "under-quorum"), (("alice", "carol"), "under-quorum"), (("dave",), "under-quorum")]
)
def test_new_persons_alone_cannot_sign_their_own_roster(mock: Desk, signers: tuple[str, ...], code: str) -> None:
    desk = mock.fork()
    subject = next_roster(desk, *joined_by(desk, "dave"))
    assert desk.ask(Verb.SET_ROSTER, subject, *signers).code == code


def test_the_old_quorum_alone_cannot_change_the_roster(mock: Desk) -> None:
    desk = mock.fork()
    newcomers = (joined_by(desk, "dave")[-1], joined_by(desk, "erin")[-1])
    subject = next_roster(desk, *newcomers)
    assert desk.ask(Verb.SET_ROSTER, subject).code == "under-new-quorum"
    assert desk.ask(Verb.SET_ROSTER, subject, "alice", "bob", "dave").code == "under-new-quorum"
    assert desk.ask(Verb.SET_ROSTER, subject, "alice", "bob", "dave", "erin").code == ""
    assert {person.name for person in roster_in_force(desk).persons} == {"dave", "erin"}


def test_commands_are_judged_by_the_roster_in_force(mock: Desk) -> None:
    desk = mock.fork()
    before = desk.command(Verb.HALT, Position(Stage.HALTED))
    desk.ask(Verb.SET_ROSTER, next_roster(desk, *joined_by(desk, "dave")))
    assert desk.submit(before, "alice").code == "other-roster"


def _reactivated(desk: Desk) -> str:
    desk.ask(Verb.REVOKE, key_of(desk, "carol").id, "alice")
    persons = json.loads(roster_in_force(desk).canonical_bytes)["persons"]
    persons[2]["keys"][0]["status"] = "active"
    return next_roster(desk, *(Person.model_validate_json(json.dumps(one)) for one in persons))


def _forgotten(desk: Desk) -> str:
    desk.ask(Verb.REVOKE, key_of(desk, "carol").id, "alice")
    return next_roster(desk, *roster_in_force(desk).persons[:2])


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        pytest.param(lambda desk: next_roster(desk, version=1), "roster-version", id="the same version"),
        pytest.param(lambda desk: next_roster(desk, version=3), "roster-version", id="a version left out"),
        pytest.param(lambda desk: next_roster(desk, roster_in_force(desk).persons[0]), "roster-too-small", id="one person"),
        pytest.param(_reactivated, "revoked-key-returns", id="a revoked key comes back"),
        pytest.param(_forgotten, "revoked-key-returns", id="a revoked key is forgotten"),
        pytest.param(lambda desk: next_roster(desk).replace(",", ", "), "not-canonical", id="spaces"),
        pytest.param(lambda _: "{}", "roster-malformed", id="no roster"),
    ],
)
def test_a_roster_that_breaks_a_rule_is_refused(mock: Desk, subject: Callable[[Desk], str], code: str, counted: Counted) -> None:
    desk = mock.fork()
    text = subject(desk)
    before = roster_in_force(desk)
    assert refusal_of(lambda: desk.ask(Verb.SET_ROSTER, text)) == code
    counted("attack vectors", kind=code)
    assert roster_in_force(desk) == before


def test_at_a_live_stage_a_roster_can_only_remove_keys(live: Desk) -> None:
    desk = live.fork()
    subject = next_roster(desk, *joined_by(desk, "dave"))
    assert refusal_of(lambda: desk.ask(Verb.SET_ROSTER, subject)) == "not-while-live"
    assert desk.ask(Verb.SET_ROSTER, next_roster(desk, *roster_in_force(desk).persons[:2])).code == ""
    assert desk.state.position.stage is Stage.LIVE_EUR10


def test_in_solo_mode_a_new_roster_waits_too() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).arm()
    reply = desk.ask(Verb.SET_ROSTER, next_roster(desk, *joined_by(desk, "dave")), "alice")
    assert reply.applies_at is not None
    desk.run(desk.policy.authority.cooling_off_ms)
    assert roster_in_force(desk).version == 2


def test_a_revocation_withdraws_a_waiting_command() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).arm()
    desk.ask(Verb.SET_ROSTER, next_roster(desk, *joined_by(desk, "dave")), "alice")
    desk.ask(Verb.REVOKE, key_of(desk, "alice").id, "bob")
    assert desk.state.pending is None
    desk.run(2 * desk.policy.authority.cooling_off_ms)
    assert roster_in_force(desk).find(key_of(desk, "dave").id) is None


# The roster file


def test_the_journalled_roster_survives_a_restart_with_the_first_file(mock: Desk) -> None:
    desk = mock.fork()
    desk.ask(Verb.SET_ROSTER, next_roster(desk, *joined_by(desk, "dave")))
    desk.boot()
    assert roster_in_force(desk).version == 2
    desk.roster = roster_in_force(desk)
    desk.boot()
    assert fold(State(), desk.journal) == desk.state


def test_a_roster_file_that_was_never_in_force_is_refused(mock: Desk) -> None:
    desk = mock.fork()
    desk.ask(Verb.SET_ROSTER, next_roster(desk, *joined_by(desk, "dave")))
    desk.roster = Roster(version=3, persons=desk.roster.persons)
    with pytest.raises(ConfigError) as refusal:
        desk.boot()
    assert refusal.value.code == "roster-changed"


# set-policy and set-release


@pytest.mark.parametrize(
    ("verb", "subject"), [(Verb.SET_POLICY, text_of(tighter())), (Verb.SET_RELEASE, RELEASE)], ids=["policy", "release"]
)
def test_a_new_policy_or_release_goes_back_to_mock_with_its_evidence_void(testing: Desk, verb: Verb, subject: str) -> None:
    desk = testing.fork()
    desk.run(5_000)
    assert desk.ask(verb, subject).code == ""
    moved = desk.events(e.StageChanged)[-1]
    assert isinstance(moved, e.StageChanged)
    assert (moved.cause, moved.stage, desk.state.position) == (verb.value, Stage.MOCK, Position(Stage.MOCK))
    assert desk.state.tally is not None
    assert (desk.state.tally.covered_ms, desk.state.seals) == (0, State().seals)


@pytest.mark.parametrize(
    ("verb", "subject"), [(Verb.SET_POLICY, text_of(tighter())), (Verb.SET_RELEASE, RELEASE)], ids=["policy", "release"]
)
def test_policy_and_release_do_not_change_at_a_live_stage(live: Desk, verb: Verb, subject: str) -> None:
    desk = live.fork()
    assert refusal_of(lambda: desk.ask(verb, subject)) == "not-while-live"


@pytest.mark.parametrize(
    ("verb", "subject"), [(Verb.SET_POLICY, text_of(tighter())), (Verb.SET_RELEASE, RELEASE)], ids=["policy", "release"]
)
def test_a_new_policy_while_halted_leaves_only_a_reset(live: Desk, verb: Verb, subject: str) -> None:
    desk = live.fork()
    desk.move(Verb.HALT, Stage.HALTED)
    assert desk.ask(verb, subject).code == ""
    assert desk.state.position.stage is Stage.HALTED
    desk.run(10_000)
    assert refusal_of(lambda: desk.command(Verb.RESUME, Position(Stage.VALIDATED))) == "validation-void"
    assert desk.move(Verb.RESET, Stage.MOCK, signers=("alice",)).code == ""


def test_a_signed_policy_stays_in_force_until_the_file_changes(mock: Desk) -> None:
    desk = mock.fork()
    signed = tighter()
    desk.ask(Verb.SET_POLICY, text_of(signed))
    desk.boot()
    assert desk.state.policy_digest == digest(signed)
    desk.policy = tighter(40)
    desk.boot()
    assert desk.state.policy_digest == digest(desk.policy)


def test_a_signed_release_stays_in_force_after_a_restart(mock: Desk) -> None:
    desk = mock.fork()
    desk.ask(Verb.SET_RELEASE, RELEASE, "alice")
    desk.boot()
    assert desk.state.release is not None
    assert desk.state.release.version == "2"


@pytest.mark.parametrize(
    ("verb", "subject", "code"),
    [
        pytest.param(Verb.SET_POLICY, text_of(with_policy()), "nothing-changes", id="the policy in force"),
        pytest.param(Verb.SET_POLICY, text_of(tighter()).replace(",", ", "), "not-canonical", id="a policy with spaces"),
        pytest.param(
            Verb.SET_POLICY, text_of(tighter()).replace('"live":"10"', '"live":"11"'), "policy-invalid", id="a higher cap"
        ),
        pytest.param(Verb.SET_POLICY, "{}", "policy-invalid", id="no policy"),
        pytest.param(Verb.SET_RELEASE, "maker 2", "not-canonical", id="no release"),
        pytest.param(Verb.SET_RELEASE, '{"name":"maker","version":"2"}', "release-malformed", id="a release without artifact"),
        pytest.param(Verb.SET_RELEASE, RELEASE.replace("7777", "GGGG"), "release-malformed", id="a digest that is none"),
    ],
)
def test_a_document_that_cannot_be_adopted_is_refused(mock: Desk, verb: Verb, subject: str, code: str, counted: Counted) -> None:
    desk = mock.fork()
    assert refusal_of(lambda: desk.ask(verb, subject)) == code
    counted("attack vectors", kind=code)


def test_one_person_of_a_team_changes_no_policy(mock: Desk) -> None:
    desk = mock.fork()
    assert desk.ask(Verb.SET_POLICY, text_of(tighter()), "alice").code == "under-quorum"


def test_a_policy_for_more_people_than_the_roster_has_is_refused() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).arm()
    desk.ask(Verb.REVOKE, key_of(desk, "bob").id, "alice")
    assert refusal_of(lambda: desk.ask(Verb.SET_POLICY, text_of(tighter()), "alice")) == "roster-too-small"
