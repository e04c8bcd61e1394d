"""The roster's rules at work, line by line: who counts, who may give a key up, and what production asks of a person's hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller.authority.command import Command, VerifiedCommand
from controller.authority.keys import generate_key, public_key
from controller.authority.roster import KeyAttestation, KeyType, Person, Roster, RosterKey, roster_key
from controller.authority.signing import propose, sign_with_file_key
from controller.authority.verify import verify
from controller.core import inputs as i
from controller.core.decisions.binding import check_authorised
from controller.core.decisions.draft import CommandReply
from controller.core.lifecycle import Position
from exchange.errors import GatehouseError
from policies.authority import Role, Verb
from policies.presence import touches_needed
from policies.schema import Policy
from policies.stage import Environment, Mode, Stage
from tests.support.attesting import Maker
from tests.support.counting import Counted
from tests.support.desk import Desk, with_policy
from tests.unit.authority import authority_kit as kit
from tests.unit.authority.authority_kit import CAROL as TOUCHER

ROLES = {"alice": Role.OPERATOR, "bob": Role.APPROVER, "carol": Role.HALT_ONLY, "olga": Role.OBSERVER}
HOUR = 3_600_000


def desk_of(*more: Person, mode: Mode = Mode.TEAM, **keys: tuple[RosterKey, ...]) -> Desk:
    """A deployment of Alice, Bob, Carol and Olga with a key file each; or with ``keys``, and of some more persons."""
    desk = Desk(with_policy(mode=mode))
    desk.keys = {name: generate_key() for name in ROLES} | {"spare": generate_key()}
    persons = [Person(name=name, role=role, keys=keys.get(name) or (file_key(desk, name),)) for name, role in ROLES.items()]
    desk.roster = Roster(version=1, persons=(*persons, *more))
    return desk


def file_key(desk: Desk, name: str, **changes: Any) -> RosterKey:
    return roster_key(public_key(desk.keys[name]).line, KeyType.FILE).model_copy(update=changes)


def relisted(desk: Desk, name: str, *keys: RosterKey) -> Desk:
    """The same persons, one of them with these keys."""
    persons = tuple(one.model_copy(update={"keys": keys}) if one.name == name else one for one in desk.roster.persons)
    desk.roster = desk.roster.model_copy(update={"persons": persons})
    return desk


def in_force(desk: Desk) -> Roster:
    assert desk.state.roster is not None
    return desk.state.roster


def key_id(desk: Desk, name: str) -> str:
    return public_key(desk.keys[name]).fingerprint


def outcome(ask: Callable[[], CommandReply]) -> str:
    """``applied``, or the code of the refusal."""
    try:
        reply = ask()
    except GatehouseError as error:
        return error.code if error.remedy else "says nothing to do"
    return reply.code or "applied"


# Giving a key up


@pytest.mark.parametrize("name", ROLES)
def test_every_role_can_revoke_its_own_key_alone(name: str) -> None:
    desk = desk_of().arm()
    assert desk.ask(Verb.REVOKE, key_id(desk, name), name).code == ""
    assert outcome(lambda: desk.submit(desk.command(Verb.HALT, Position(Stage.HALTED)), name)) != "applied"


@pytest.mark.parametrize("name", ["carol", "olga"])
def test_a_key_without_the_right_revokes_no_other_key(name: str, counted: Counted) -> None:
    desk = desk_of().arm()
    assert outcome(lambda: desk.ask(Verb.REVOKE, key_id(desk, "alice"), name)) == "under-quorum"
    assert in_force(desk).version == 1
    counted("attack vectors", kind="under-quorum")


# Who counts


def test_two_keys_of_one_person_count_once(counted: Counted) -> None:
    desk = desk_of()
    relisted(desk, "alice", file_key(desk, "alice"), file_key(desk, "spare")).walk_to(Stage.VALIDATED)
    desk.run(40_000)
    assert outcome(lambda: desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice", "spare"))) == "under-quorum"
    assert outcome(lambda: desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice", "bob"))) == "applied"
    counted("attack vectors", kind="under-quorum")


def test_persons_with_expired_keys_do_not_count_as_signers() -> None:
    desk = desk_of()
    relisted(desk, "bob", file_key(desk, "bob", valid_until=desk.now + 3000)).arm()
    desk.run(4000)
    assert desk.state.position.stage is Stage.MOCK
    assert desk.ask(Verb.REVOKE, key_id(desk, "carol"), "alice").code == ""
    assert (desk.state.position.stage, desk.state.halt_cause) == (Stage.HALTED, "revoke")


def test_a_roster_whose_second_signer_has_an_expired_key_is_too_small() -> None:
    desk = desk_of().arm()
    old = file_key(desk, "bob", valid_until=desk.now)
    persons = tuple(one.model_copy(update={"keys": (old,)}) if one.name == "bob" else one for one in in_force(desk).persons)
    new = Roster(version=2, persons=persons).canonical_bytes.decode()
    assert outcome(lambda: desk.ask(Verb.SET_ROSTER, new, "alice", "bob")) == "roster-too-small"


def _longer(desk: Desk) -> RosterKey:
    return file_key(desk, "alice", valid_until=desk.now + 9 * HOUR)


def _shorter(desk: Desk) -> RosterKey:
    return file_key(desk, "alice", valid_until=desk.now + HOUR // 2)


def _for_ever(desk: Desk) -> RosterKey:
    return file_key(desk, "alice")


def _for_openssh(desk: Desk) -> RosterKey:
    return roster_key(public_key(desk.keys["alice"]).line).model_copy(update={"valid_until": desk.now + HOUR})


@pytest.mark.parametrize("relist", [_longer, _shorter, _for_ever, _for_openssh])
def test_at_a_live_stage_a_roster_cannot_change_a_key(relist: Callable[[Desk], RosterKey], counted: Counted) -> None:
    desk = desk_of()
    until = desk.now + 24 * HOUR
    relisted(desk, "alice", file_key(desk, "alice", valid_until=until)).walk_to(Stage.LIVE_EUR10)
    persons = tuple(
        one.model_copy(update={"keys": (relist(desk),)}) if one.name == "alice" else one for one in in_force(desk).persons
    )
    new = Roster(version=2, persons=persons).canonical_bytes.decode()
    assert outcome(lambda: desk.ask(Verb.SET_ROSTER, new, "alice", "bob")) == "not-while-live"
    counted("attack vectors", kind="not-while-live")


@pytest.mark.parametrize("version", [1, 3, 2**53 - 1])
def test_a_roster_with_a_wrong_version_is_refused(version: int, counted: Counted) -> None:
    desk = desk_of().arm()
    new = Roster(version=version, persons=in_force(desk).persons).canonical_bytes.decode()
    assert outcome(lambda: desk.ask(Verb.SET_ROSTER, new, "alice", "bob")) == "roster-version"
    counted("attack vectors", kind="roster-version")


def test_a_roster_also_needs_its_own_quorum(counted: Counted) -> None:
    desk = desk_of().arm()
    strangers = tuple(
        Person(name=name, role=Role.OPERATOR, keys=(roster_key(public_key(generate_key()).line, KeyType.FILE),))
        for name in ("xenia", "yuri")
    )
    new = Roster(version=2, persons=strangers).canonical_bytes.decode()
    assert outcome(lambda: desk.ask(Verb.SET_ROSTER, new, "alice", "bob")) == "under-new-quorum"
    counted("attack vectors", kind="under-new-quorum")


# The roster in force where a command applies


def test_signatures_are_judged_by_the_roster_at_application(counted: Counted) -> None:
    """A holder who knows that her key is being revoked signs under the roster to come, and hands it in a moment before."""
    desk = desk_of().arm()
    before = in_force(desk)
    after = desk.fork()
    assert after.ask(Verb.REVOKE, key_id(desk, "carol"), "alice").code == ""
    halt = after.command(Verb.HALT, Position(Stage.HALTED))
    slipped = verify(sign_with_file_key(propose(halt), desk.keys["carol"]).text, before, desk.now)
    reply = after.give(i.CommandSubmitted(slipped, anchored=True, seen=after.seen())).reply
    assert isinstance(reply, CommandReply)
    assert reply.code == "other-roster"
    counted("attack vectors", kind="other-roster")


# A person's hands


def touching() -> Desk:
    """Dora signs with a security key."""
    return desk_of(Person(name="dora", role=Role.OPERATOR, keys=(roster_key(kit.sk_public(TOUCHER).line),)))


def signed_by(desk: Desk, command: Command, *signers: str) -> VerifiedCommand:
    envelope = propose(command)
    for name in signers:
        if name == "dora":
            made = kit.sk_signature(TOUCHER, envelope.pae).encode()
            envelope = envelope.add_signature(kit.sk_public(TOUCHER).fingerprint, made)
        else:
            envelope = sign_with_file_key(envelope, desk.keys[name])
    return verify(envelope.text, in_force(desk), desk.now)


@pytest.fixture(scope="module")
def validated() -> Desk:
    return touching().walk_to(Stage.VALIDATED)


@pytest.mark.parametrize(
    ("environment", "mode", "signers", "code"),
    [
        pytest.param(Environment.PRODUCTION, Mode.TEAM, ("alice", "bob"), "not-touched", id="two key files in production"),
        pytest.param(Environment.PRODUCTION, Mode.TEAM, ("dora",), "under-quorum", id="a security key alone"),
        pytest.param(Environment.PRODUCTION, Mode.TEAM, ("alice", "dora"), "", id="a key file and a security key"),
        pytest.param(Environment.PRODUCTION, Mode.SOLO, ("alice",), "", id="one person, who waits instead"),
        pytest.param(Environment.REHEARSAL, Mode.TEAM, ("alice", "bob"), "", id="two key files in a rehearsal"),
    ],
)
def test_real_money_in_production_needs_a_touched_security_key(
    validated: Desk, environment: Environment, mode: Mode, signers: tuple[str, ...], code: str, counted: Counted
) -> None:
    desk = validated.fork()
    command = desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10))
    state = replace(desk.state, environment=environment)
    verified = signed_by(desk, command, *signers)
    if not code:
        assert check_authorised(state, verified, with_policy(mode=mode)).persons == (2 if mode is Mode.TEAM else 1)
        return
    with pytest.raises(GatehouseError) as refused:
        check_authorised(state, verified, with_policy(mode=mode))
    assert refused.value.code == code
    counted("attack vectors", kind=code)


MAKER = Maker()


def attesting(attestation: KeyAttestation | None) -> tuple[Desk, VerifiedCommand, Policy]:
    """A desk at VALIDATED, the step to real money signed by alice and with dora's key, and a policy that names a maker."""
    entry = roster_key(kit.sk_public(TOUCHER).line).model_copy(update={"attestation": attestation})
    desk = desk_of(Person(name="dora", role=Role.APPROVER, keys=(entry,))).walk_to(Stage.VALIDATED)
    verified = signed_by(desk, desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10)), "alice", "dora")
    return desk, verified, with_policy(authority={"cooling_off_ms": 10_000, "attestation_roots": (MAKER.root,)})


def test_a_touch_of_an_attested_key_is_believed() -> None:
    desk, verified, policy = attesting(MAKER.attests(kit.sk_public(TOUCHER)))
    assert check_authorised(replace(desk.state, environment=Environment.PRODUCTION), verified, policy).persons == 2


@pytest.mark.parametrize("attestation", [None, Maker().attests(kit.sk_public(TOUCHER))], ids=["none", "of another maker"])
def test_software_that_says_it_was_touched_is_not_believed(attestation: KeyAttestation | None, counted: Counted) -> None:
    desk, verified, policy = attesting(attestation)
    with pytest.raises(GatehouseError) as refused:
        check_authorised(replace(desk.state, environment=Environment.PRODUCTION), verified, policy)
    assert refused.value.code == "not-attested"
    assert "dora's key" in refused.value.message
    assert check_authorised(desk.state, verified, policy).persons == 2
    counted("attack vectors", kind="not-attested")


def test_a_touch_by_a_person_who_does_not_count_is_ignored(counted: Counted) -> None:
    desk = desk_of(Person(name="dora", role=Role.HALT_ONLY, keys=(roster_key(kit.sk_public(TOUCHER).line),)))
    desk.walk_to(Stage.VALIDATED)
    verified = signed_by(desk, desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10)), "alice", "bob", "dora")
    with pytest.raises(GatehouseError) as refused:
        check_authorised(replace(desk.state, environment=Environment.PRODUCTION), verified, desk.policy)
    assert refused.value.code == "not-touched"
    counted("attack vectors", kind="not-touched")


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("target", Stage)
def test_a_verb_that_lowers_risk_needs_no_touch(verb: Verb, target: Stage) -> None:
    upward = verb in {Verb.ADVANCE, Verb.RAMP, Verb.RESUME, Verb.ISSUE_BOT_KEY} and target in {Stage.LIVE_EUR10, Stage.RAMPING}
    assert touches_needed(verb, target, Mode.TEAM, Environment.PRODUCTION) == int(upward)
    assert touches_needed(verb, target, Mode.TEAM, Environment.REHEARSAL) == 0
    assert touches_needed(verb, target, Mode.SOLO, Environment.PRODUCTION) == 0
