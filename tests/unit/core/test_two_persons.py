"""In a team no one alone puts more real money at risk: no matter who proposed, two persons with two keys have signed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.command import Signatory
from controller.authority.verify import count_quorum
from controller.core.lifecycle import EDGES, Edge
from policies.authority import Role, Verb, quorum
from policies.ramp import cap_eur
from policies.stage import LIVE_STAGES, Mode, Stage
from tests.unit.policies.policy_kit import REHEARSAL

TEAM = Mode.TEAM
CHANGES_WHO_OR_HOW_MUCH = {Verb.SET_ROSTER, Verb.SET_POLICY}
"""They move nothing up themselves, but decide who may sign and how much may be risked from then on."""

KEYS_OF_BOTS = {Verb.ISSUE_BOT_KEY}
"""Who can place orders with real money, where real money is at work."""

signatories = st.builds(
    Signatory,
    person=st.sampled_from(("alice", "bob", "carol", "dave")),
    role=st.sampled_from(Role),
    key_id=st.sampled_from(("k1", "k2", "k3")),
    fingerprint=st.sampled_from(("f1", "f2", "f3", "f4")),
)


def risks_more_money(edge: Edge) -> bool:
    """Whether a move can raise what may be lost at the live venue."""
    before = cap_eur(REHEARSAL, edge.source, 1) if edge.source in LIVE_STAGES else 0
    after = cap_eur(REHEARSAL, edge.target, 2) if edge.target in LIVE_STAGES else 0
    return edge.verb is not Verb.DEMOTE and after > before


def needs_two(verb: Verb, stage: Stage) -> bool:
    """Written down a second time, from what the verbs do."""
    moves = any(edge.verb is verb and edge.source is stage and risks_more_money(edge) for edge in EDGES)
    return moves or verb in CHANGES_WHO_OR_HOW_MUCH or (verb in KEYS_OF_BOTS and stage in LIVE_STAGES)


PAIRS = [(verb, stage) for verb, stage in product(Verb, Stage) if needs_two(verb, stage)]


def test_the_moves_that_risk_more_money_are_the_four_of_the_design() -> None:
    assert {(edge.verb, edge.source) for edge in EDGES if risks_more_money(edge)} == {
        (Verb.ADVANCE, Stage.VALIDATED),
        (Verb.RAMP, Stage.LIVE_EUR10),
        (Verb.RAMP, Stage.RAMPING),
        (Verb.RESUME, Stage.HALTED),
    }


@pytest.mark.parametrize(("verb", "stage"), PAIRS)
def test_a_move_with_more_real_money_needs_two_signers(verb: Verb, stage: Stage) -> None:
    needed = quorum(verb, stage, TEAM)
    assert needed.persons >= 2
    assert needed.roles == {Role.OPERATOR, Role.APPROVER}


@pytest.mark.parametrize(("verb", "stage"), PAIRS)
@given(signed=st.lists(signatories, max_size=6))
def test_signatures_of_one_person_or_one_key_are_not_enough(verb: Verb, stage: Stage, signed: list[Signatory]) -> None:
    counted = count_quorum(signed, quorum(verb, stage, TEAM))
    adding = [one for one in signed if one.role in {Role.OPERATOR, Role.APPROVER}]
    if counted.satisfied:
        assert len({one.person for one in adding}) >= 2
        assert len({one.fingerprint for one in adding}) >= 2
        assert len(counted.persons) >= 2


@pytest.mark.parametrize(("verb", "stage"), PAIRS)
@given(signed=st.lists(signatories, min_size=1, max_size=6))
def test_the_proposer_alone_is_not_enough(verb: Verb, stage: Stage, signed: list[Signatory]) -> None:
    proposer = signed[0].person
    alone = [replace(one, person=proposer) for one in signed]
    assert not count_quorum(alone, quorum(verb, stage, TEAM)).satisfied


@pytest.mark.parametrize(("verb", "stage"), [pair for pair in product(Verb, Stage) if pair not in PAIRS])
def test_a_move_without_more_risk_needs_no_second_person(verb: Verb, stage: Stage) -> None:
    # An advance, a ramp or a resume from a stage it does not lead out of is refused no matter who signs.
    leads = any(edge.verb is verb and edge.source is stage for edge in EDGES)
    assert quorum(verb, stage, TEAM).persons == 1 or not leads
