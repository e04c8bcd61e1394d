"""Counting signatories: distinct persons with distinct key material."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from controller.authority.command import Signatory
from controller.authority.signing import sign_with_file_key, sign_with_ssh_key
from controller.authority.verify import count_quorum, verify
from policies.authority import Quorum, Role, Verb, quorum
from policies.stage import Mode, Stage
from tests.unit.authority.authority_kit import ALICE, ALICE_SPARE, BOB, NOW, PROPOSAL, ROSTER

TWO = quorum(Verb.ADVANCE, Stage.VALIDATED, Mode.TEAM)
ONE = quorum(Verb.DEMOTE, Stage.RAMPING, Mode.TEAM)


def signatory(person: str, fingerprint: str, role: Role = Role.OPERATOR) -> Signatory:
    return Signatory(person, role, f"id-of-{fingerprint}", fingerprint)


def test_two_persons_with_one_key_each_count_as_two() -> None:
    signed = sign_with_ssh_key(sign_with_file_key(PROPOSAL, ALICE), BOB)
    counted = count_quorum(verify(signed.text, ROSTER, NOW).signatories, TWO)
    assert counted.satisfied
    assert counted.persons == {"alice", "bob"}
    assert counted.missing == ""


def test_one_person_with_two_keys_counts_as_one() -> None:
    signed = sign_with_file_key(sign_with_file_key(PROPOSAL, ALICE), ALICE_SPARE)
    counted = count_quorum(verify(signed.text, ROSTER, NOW).signatories, TWO)
    assert not counted.satisfied
    assert counted.missing == "1 more person (approver or operator) must sign; alice counts so far"


def test_one_key_of_two_persons_counts_for_neither() -> None:
    counted = count_quorum([signatory("alice", "k"), signatory("bob", "k")], ONE)
    assert not counted.satisfied
    assert counted.persons == frozenset()


def test_a_role_that_may_not_sign_does_not_count() -> None:
    both = [signatory("alice", "a", Role.OBSERVER), signatory("bob", "b", Role.HALT_ONLY)]
    assert count_quorum(both, ONE).missing == "1 more person (approver or operator) must sign; no one counts so far"


def test_a_halt_counts_the_keys_that_may_only_halt() -> None:
    halt = quorum(Verb.HALT, Stage.RAMPING, Mode.TEAM)
    assert count_quorum([signatory("bob", "b", Role.HALT_ONLY)], halt).satisfied


def test_no_signatures_reach_no_quorum() -> None:
    assert count_quorum([], TWO).missing.startswith("2 more persons")


@given(
    st.lists(st.builds(signatory, st.sampled_from("abc"), st.sampled_from("123"), st.sampled_from(list(Role))), max_size=8),
    st.integers(min_value=1, max_value=3),
)
def test_a_reached_quorum_has_distinct_persons_and_keys(signed: list[Signatory], persons: int) -> None:
    wanted = Quorum(persons, frozenset({Role.OPERATOR, Role.APPROVER}))
    counted = count_quorum(signed, wanted)
    allowed = [one for one in signed if one.role in wanted.roles]
    really = any(
        len({one.person for one in some}) == len({one.fingerprint for one in some}) == persons
        for some in itertools.combinations(allowed, persons)
    )
    assert really or not counted.satisfied
    assert counted.satisfied == (counted.missing == "")


@given(st.lists(st.builds(signatory, st.sampled_from("abcd"), st.sampled_from("1234")), max_size=4))
def test_the_order_of_signatures_does_not_matter(signed: list[Signatory]) -> None:
    assert {count_quorum(mixed, TWO) for mixed in itertools.permutations(signed)} == {count_quorum(signed, TWO)}
