"""A policy or release file that was changed: a start shows it and adopts only what is stricter; the rest needs a signature."""

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core.decisions.commands import refusal_now
from controller.core.effects import Alert, AlertKind
from controller.core.lifecycle import Position
from exchange.errors import Refused
from policies.authority import Verb
from policies.document import canonical_bytes, digest, load_policy
from policies.schema import Policy
from policies.stage import Mode, Stage
from tests.support.desk import D, Desk, with_policy
from tests.support.rig import ROOT

MOCK, TESTING, LIVE = Position(Stage.MOCK), Position(Stage.TESTNET_VALIDATING), Position(Stage.LIVE_EUR10)


def collared(bps: int, **changes: object) -> Policy:
    limits = with_policy().limits.model_copy(update={"price_collar_bps": D(bps)})
    return with_policy(limits=limits.model_dump(), **changes)


STRICTER, LOOSER, SOLO = collared(50), collared(150), with_policy(mode=Mode.SOLO)
OTHER_SYMBOLS = with_policy(symbols=("BTCUSDT", "ETHUSDT"))


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    return desk


@pytest.fixture(scope="module")
def mock() -> Desk:
    return Desk().arm()


def booted(desk: Desk, policy: Policy) -> Desk:
    desk = desk.fork()
    desk.policy = policy
    desk.boot()
    return desk


def another_bot(desk: Desk) -> Desk:
    desk = desk.fork()
    desk.release = replace(desk.release, version="2", digest="sha256:" + "e" * 64)
    desk.boot()
    return desk


def alerts_of(desk: Desk) -> list[tuple[str, str]]:
    return [(one.title, one.detail) for one in desk.state.alerts if one.kind is AlertKind.PROPOSAL]


@pytest.mark.parametrize("policy", [LOOSER, SOLO, OTHER_SYMBOLS])
def test_a_changed_policy_file_is_a_proposal_and_changes_nothing(live: Desk, policy: Policy) -> None:
    desk = booted(live, policy)
    assert desk.state.policy == live.state.policy
    assert desk.state.position == LIVE
    proposal = desk.state.proposals["policy"]
    assert (proposal.digest, proposal.at) == (digest(policy), desk.now)
    ((title, detail),) = alerts_of(desk)
    assert title == f"the policy in the file is a proposal and not in force: {digest(policy)[7:19]}"
    assert detail == f"sign `gatehouse set-policy FILE`, or restore the file: {'; '.join(proposal.changes)}"


def test_the_mode_in_a_policy_file_does_not_change_who_must_sign(live: Desk) -> None:
    desk = booted(live, SOLO)
    assert desk.state.proposals["policy"].changes == ("mode: team → solo",)
    assert desk.state.mode is Mode.TEAM
    desk = booted(Desk().walk_to(Stage.VALIDATED), SOLO)
    desk.run(10_000)
    assert desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",)).code == "under-quorum"


def test_a_proposal_is_an_alert_once(live: Desk) -> None:
    desk = live.fork()
    desk.policy = LOOSER
    sent = [effect for effect in desk.boot().effects if isinstance(effect, Alert) and effect.kind is AlertKind.PROPOSAL]
    assert [(one.title, one.detail) for one in sent] == alerts_of(desk)
    again = desk.boot()
    assert [type(event) for event in again.events] == [e.ControllerStarted]
    assert len(alerts_of(desk)) == 1


def test_another_proposal_replaces_the_first(live: Desk) -> None:
    desk = booted(booted(live, LOOSER), SOLO)
    assert desk.state.proposals["policy"].digest == digest(SOLO)
    assert len(alerts_of(desk)) == 2


def test_a_file_that_was_put_back_ends_its_proposal(live: Desk) -> None:
    desk = booted(booted(live, LOOSER), live.policy)
    assert "policy" not in desk.state.proposals
    assert (desk.state.position, desk.events(e.ProposalWithdrawn)) == (LIVE, [e.ProposalWithdrawn(document="policy")])


def test_a_policy_that_is_only_stricter_is_adopted_with_an_alert(live: Desk) -> None:
    desk = booted(live, STRICTER)
    assert (desk.state.policy, desk.state.position) == (STRICTER, MOCK)
    ((title, detail),) = alerts_of(desk)
    assert title == f"a stricter policy file was adopted at a start: {digest(STRICTER)[7:19]}"
    assert detail == "limits.price_collar_bps: 100 → 50"
    assert not desk.state.proposals


def test_the_way_back_from_a_stricter_policy_needs_a_signature(live: Desk) -> None:
    desk = booted(booted(live, STRICTER), live.policy)
    assert desk.state.policy == STRICTER
    assert desk.state.proposals["policy"].digest == digest(live.policy)


def test_a_signature_brings_a_proposed_policy_into_force(mock: Desk) -> None:
    desk = booted(mock, LOOSER)
    desk.sweep_all()
    assert desk.ask(Verb.SET_POLICY, canonical_bytes(LOOSER).decode(), "alice", "bob").code == ""
    assert (desk.state.policy, dict(desk.state.proposals)) == (LOOSER, {})
    assert [type(event) for event in desk.boot().events] == [e.ControllerStarted]


def test_a_signature_for_another_policy_leaves_the_proposal(mock: Desk) -> None:
    desk = booted(mock, LOOSER)
    desk.sweep_all()
    assert desk.ask(Verb.SET_POLICY, canonical_bytes(STRICTER).decode(), "alice", "bob").code == ""
    assert (desk.state.policy, desk.state.proposals["policy"].digest) == (STRICTER, digest(LOOSER))


def test_other_symbols_are_signed_now_and_adopted_at_the_next_start(mock: Desk) -> None:
    desk = mock.fork()
    subject = canonical_bytes(OTHER_SYMBOLS).decode()
    assert desk.ask(Verb.SET_POLICY, subject, "alice", "bob").code == ""
    assert (desk.state.policy, desk.state.policy_approved) == (mock.policy, digest(OTHER_SYMBOLS))
    with pytest.raises(Refused, match="signed already"):
        desk.ask(Verb.SET_POLICY, subject, "alice", "bob")
    desk.boot()
    assert desk.state.policy == mock.policy
    desk = booted(desk, OTHER_SYMBOLS)
    assert (desk.state.policy, desk.state.policy_approved) == (OTHER_SYMBOLS, "")


def test_an_approval_is_for_one_policy(mock: Desk) -> None:
    desk = mock.fork()
    assert desk.ask(Verb.SET_POLICY, canonical_bytes(OTHER_SYMBOLS).decode(), "alice", "bob").code == ""
    desk = booted(desk, LOOSER)
    assert desk.state.policy == mock.policy
    assert desk.state.policy_approved == digest(OTHER_SYMBOLS)
    assert booted(desk, OTHER_SYMBOLS).state.policy == OTHER_SYMBOLS


def test_a_policy_of_another_environment_is_never_signed(mock: Desk) -> None:
    production = load_policy((ROOT / "policies" / "examples" / "team.toml").read_bytes())
    with pytest.raises(Refused) as refused:
        mock.fork().ask(Verb.SET_POLICY, canonical_bytes(production).decode(), "alice", "bob")
    assert refused.value.code == "other-environment"


def test_another_release_is_a_proposal_and_leads_to_mock(live: Desk) -> None:
    desk = another_bot(live)
    assert desk.state.release == live.state.release
    assert desk.state.position == MOCK
    assert desk.state.proposals["release"].changes == ("version: 1 → 2",)
    ((title, detail),) = alerts_of(desk)
    assert title == f"the release in the file is a proposal and not in force: {'e' * 12}"
    assert "sign `gatehouse set-release`, or restore the file: version: 1 → 2" in detail


def test_nothing_leads_up_while_another_release_is_proposed(mock: Desk) -> None:
    desk = another_bot(mock)
    desk.sweep_all()
    desk.trade(6)
    desk.run(40_000)
    refusal = refusal_now(desk.state, desk.policy, Verb.ADVANCE, TESTING, desk.seen(), desk.now)
    assert refusal is not None
    assert refusal.code == "release-proposed"
    assert "version: 1 → 2" in refusal.message


@pytest.mark.parametrize("settle", ["sign", "restore"])
def test_a_signature_or_the_old_file_settles_the_release(mock: Desk, settle: str) -> None:
    desk = another_bot(mock)
    desk.sweep_all()
    desk.trade(6)
    if settle == "sign":
        subject = '{"artifact":"sha256:%s","name":"maker","version":"2"}' % ("7" * 64)
        assert desk.ask(Verb.SET_RELEASE, subject, "alice").code == ""
        assert desk.state.release is not None
        desk.release = desk.state.release
    else:
        desk.release = mock.release
    desk.boot()
    assert desk.state.release == desk.release
    assert "release" not in desk.state.proposals
    assert desk.state.tally is not None
    assert desk.state.tally.orders == 0


def test_the_first_start_adopts_both_files() -> None:
    desk = Desk()
    desk.boot()
    assert (desk.state.policy, desk.state.release, dict(desk.state.proposals)) == (desk.policy, desk.release, {})
