"""Looks and variants are declared in the policy, counted in the journal, and refused when there is none left (ADR 60)."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions import declared
from controller.core.decisions.draft import SealReply
from controller.core.decisions.evidence import gather
from controller.core.lifecycle import Position
from exchange.errors import Refused
from gates.verdict import Verdict
from policies.authority import Verb
from policies.rules import GateName, MetricName
from policies.stage import Stage
from tests.support.desk import Desk, replace, with_policy

VALIDATED = Position(Stage.VALIDATED)
VALIDATING = Position(Stage.TESTNET_VALIDATING)


def validating(looks: int = 2, variants: int = 2) -> Desk:
    """A run whose gate passes, under a policy that declares so much."""
    policy = with_policy(performance={"looks": looks, "variants": variants})
    desk = Desk(policy).walk_to(Stage.TESTNET_VALIDATING)
    desk.trade(6)
    desk.run(40_000)
    return desk


@pytest.fixture(scope="module")
def ready() -> Desk:
    return validating()


@pytest.fixture
def desk(ready: Desk) -> Desk:
    return ready.fork()


def propose(desk: Desk, *, seal: bool = True, target: Position = VALIDATED) -> SealReply:
    reply = desk.give(i.ProposalAsked(Verb.ADVANCE, target, seal=seal, seen=desk.seen())).reply
    assert isinstance(reply, SealReply)
    return reply


def used(desk: Desk) -> int:
    assert desk.state.tally is not None
    return desk.state.tally.looks


def test_a_verdict_that_was_asked_for_is_a_look(desk: Desk) -> None:
    propose(desk)
    assert used(desk) == 1
    (sealed,) = [event for event, _ in desk.journal[-3:] if isinstance(event, e.EvidenceSealed)]
    assert sealed.look


def test_a_verdict_before_the_minima_are_met_is_no_look() -> None:
    desk = Desk(with_policy(performance={"looks": 1, "variants": 1})).walk_to(Stage.TESTNET_VALIDATING)
    desk.run(2_000)
    for _ in range(3):
        propose(desk)
    assert used(desk) == 0


def test_one_look_more_than_declared_is_refused(desk: Desk) -> None:
    for _ in range(2):
        propose(desk)
        desk.run(1_000)
    entries = len(desk.journal)
    with pytest.raises(Refused, match="2 of 2 declared verdicts") as caught:
        propose(desk)
    assert caught.value.code == "looks-used"
    assert len(desk.journal) == entries


def test_a_look_that_is_shown_without_a_seal_is_refused_too(desk: Desk) -> None:
    for _ in range(2):
        propose(desk)
    with pytest.raises(Refused, match="declared verdicts"):
        propose(desk, seal=False)


def test_a_signed_command_cannot_seal_one_look_more(desk: Desk) -> None:
    shown = propose(desk, seal=False)
    for _ in range(2):
        desk.run(1_000)
        propose(desk)
    base = replace_evidence(desk, shown)
    reply = desk.give(i.CommandSubmitted(desk.verified(base, "alice"), anchored=True, shown=shown.unsealed, seen=desk.seen())).reply
    assert reply.code == "looks-used"  # type: ignore[union-attr]
    assert desk.state.position == VALIDATING


def replace_evidence(desk: Desk, shown: SealReply) -> Any:
    """A command that names evidence that was shown and not sealed."""
    other = desk.fork()
    other.state = replace(other.state, tally=replace(other.state.tally, looks=0))
    return other.command(Verb.ADVANCE, VALIDATED, evidence_digest=shown.evidence_digest, journal_seq=desk.state.seq)


def test_the_last_look_may_still_be_used(desk: Desk) -> None:
    propose(desk)
    assert not desk.move(Verb.ADVANCE, Stage.VALIDATED).code
    assert desk.state.position == VALIDATED


def test_a_new_run_has_all_its_looks(desk: Desk) -> None:
    for _ in range(2):
        propose(desk)
    desk.move(Verb.DEMOTE, Stage.MOCK)
    desk.walk_to(Stage.TESTNET_VALIDATING)
    assert used(desk) == 0


def test_a_release_that_begins_a_validation_is_a_variant(desk: Desk) -> None:
    assert desk.state.release is not None
    assert set(desk.state.variants) == {desk.state.release.digest}


def test_the_same_release_may_begin_again(desk: Desk) -> None:
    for _ in range(3):
        desk.move(Verb.DEMOTE, Stage.MOCK)
        desk.walk_to(Stage.TESTNET_VALIDATING)
    assert len(desk.state.variants) == 1


def test_one_variant_more_than_declared_is_refused() -> None:
    desk = validating(variants=1)
    desk.move(Verb.DEMOTE, Stage.MOCK)
    desk.release = i.Release("bot", "2", "sha256:" + "c" * 64, "sha256:" + "e" * 64)
    desk.ask(Verb.SET_RELEASE, '{"artifact":"sha256:' + "c" * 64 + '","name":"bot","version":"2"}')
    desk.trade(6)
    desk.run(40_000)
    with pytest.raises(Refused, match="1 releases began a validation, and the policy declares 1") as caught:
        propose(desk, target=VALIDATING)
    assert caught.value.code == "variants-used"


def test_without_a_declaration_nothing_is_refused() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.trade(6)
    desk.run(40_000)
    for _ in range(5):
        propose(desk)
    assert declared.looks(desk.state, desk.policy) is None


def test_what_is_left_is_said_at_the_gate_where_it_counts(desk: Desk) -> None:
    propose(desk)
    line, _ = declared.lines(desk.state, desk.policy, GateName.VALIDATION)
    assert line == "looks: 1 of 2 declared verdicts were asked for, 1 left in this run"
    (line,) = declared.lines(desk.state, desk.policy, GateName.TESTNET_READY)
    assert line == "variants: 1 of 2 declared releases began a validation, 1 left"
    assert declared.lines(desk.state, desk.policy, GateName.LIVE_READY) == ()


def test_the_evidence_says_how_often_was_tried(desk: Desk) -> None:
    propose(desk)
    bundle = gather(desk.state, desk.policy, GateName.VALIDATION)
    assert bundle is not None
    looks, variants = bundle.metric(MetricName.LOOKS_USED), bundle.metric(MetricName.VARIANTS_TRIED)
    assert looks is not None
    assert variants is not None
    assert (looks.value, variants.value) == (1, 1)


def test_a_failed_verdict_is_a_look_too(desk: Desk) -> None:
    desk.state = replace(desk.state, tally=replace(desk.state.tally, reconciliation_breaks=1))
    assert f'"{Verdict.FAIL}"' in propose(desk).result
    assert used(desk) == 1
