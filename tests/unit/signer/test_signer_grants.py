"""What the signer takes as authority: signed, for this deployment, and newer than all it has seen. Lowering needs no signature."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.authority.envelope import parse_envelope
from controller.authority.roster import KeyAttestation, Person, Roster, roster_key
from exchange.errors import Refused
from policies.authority import Role, Verb
from policies.stage import Environment, Mode, Stage
from tests.support.attesting import Maker
from tests.unit.authority.authority_kit import ALICE, BOB, CAROL, DAVE, file_key, listed, sk_public, sk_signature
from tests.unit.signer.signer_kit import OTHER, ROSTER, Desk

HOUR = 3_600_000


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def refused(desk: Desk, envelope: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        desk.grant(envelope)
    assert caught.value.code == code


def ramp(desk: Desk, *, step: int = 1, **changes: Any) -> str:
    fields = {"verb": Verb.RAMP, "expected_stage": Stage.LIVE_EUR10, "target_stage": Stage.RAMPING, "target_step": step}
    return desk.command(**(fields | {"cap_eur": "15", "journal_seq": 99} | changes))


def test_a_signed_move_to_real_money_grants_its_cap(desk: Desk) -> None:
    desk.to_live()
    assert desk.grants.cap_eur == 10


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"controller_id": "desk-2"}, "other-controller"),
        ({"account_fingerprint": "sha256:" + "9" * 64}, "other-account"),
        ({"environment": Environment.PRODUCTION}, "other-environment"),
        ({"roster_digest": "sha256:" + "9" * 64}, "signer-roster"),
        ({"verb": Verb.DEMOTE, "expected_stage": Stage.RAMPING}, "signer-verb"),
        ({"expected_stage": Stage.MOCK}, "no-such-edge"),
        ({"expected_stage": Stage.TESTNET_VALIDATING}, "no-such-edge"),
        ({"target_stage": Stage.RAMPING, "target_step": 1}, "no-such-edge"),
        ({"cap_eur": "10.01"}, "other-limits"),
        ({"expires_ms": 1_800_000_000_000 + 25 * HOUR}, "signer-time"),
        ({"not_before_ms": 1_800_000_000_001}, "signer-time"),
    ],
)
def test_a_command_that_does_not_fit_grants_nothing(desk: Desk, changes: dict[str, Any], code: str) -> None:
    refused(desk, desk.command(**changes), code)
    assert desk.grants.cap_eur == 0


@pytest.mark.parametrize("signers", [(ALICE,), (BOB,)])
def test_a_team_needs_two_persons(desk: Desk, signers: tuple[Any, ...]) -> None:
    refused(desk, desk.command(*signers), "under-quorum")


MAKER, SK = Maker(), file_key(71)


@pytest.mark.parametrize(
    ("attestation", "believed"),
    [(MAKER.attests(sk_public(SK)), True), (Maker().attests(sk_public(SK)), False), (None, False)],
    ids=["of the maker", "of another maker", "none"],
)
def test_the_signer_believes_a_touch_of_an_attested_key_only(
    desk: Desk, attestation: KeyAttestation | None, believed: bool
) -> None:
    entry = roster_key(sk_public(SK).line).model_copy(update={"attestation": attestation})
    roster = Roster(version=1, persons=(*ROSTER.persons, Person(name="dora", role=Role.APPROVER, keys=(entry,))))
    desk.restart(roster, environment=Environment.PRODUCTION, attestation_roots=(MAKER.root,))
    envelope = parse_envelope(desk.command(ALICE, environment=Environment.PRODUCTION, roster_digest=roster.digest))
    text = envelope.add_signature(sk_public(SK).fingerprint, sk_signature(SK, envelope.pae).encode()).text
    if believed:
        desk.grant(text)
        assert desk.grants.cap_eur == 10
    else:
        refused(desk, text, "under-quorum")


def test_one_person_is_enough_in_solo_mode(tmp_path: Path) -> None:
    desk = Desk(tmp_path, mode=Mode.SOLO)
    desk.grant(desk.command(ALICE))
    assert desk.grants.cap_eur == 10


def test_a_stranger_grants_nothing(desk: Desk) -> None:
    refused(desk, desk.command(ALICE, DAVE), "unknown-key")


def test_a_signature_over_other_bytes_grants_nothing(desk: Desk) -> None:
    one, other = json.loads(desk.command()), json.loads(desk.command())
    refused(desk, json.dumps({**one, "signatures": other["signatures"]}), "bad-signature")


@pytest.mark.parametrize(("changes", "granted"), [({}, 15), ({"cap_eur": "25.01"}, 10), ({"target_step": 2}, 10)])
def test_a_ramp_goes_one_step_and_not_above_the_floors_in_code(desk: Desk, changes: dict[str, Any], granted: int) -> None:
    desk.to_live()
    step = ramp(desk, **changes)
    if granted == 10:
        refused(desk, step, "other-limits" if "cap_eur" in changes else "no-such-edge")
    else:
        desk.grant(step)
    assert desk.grants.cap_eur == granted


def test_lowering_needs_no_signature_and_lasts(desk: Desk) -> None:
    envelope = desk.to_live()
    desk.lower("0")
    desk.lower("10")
    desk.grant(envelope)
    assert desk.grants.cap_eur == 0
    desk.to_live(journal_seq=77)
    assert desk.grants.cap_eur == 10


def test_an_older_authority_is_a_replay(desk: Desk) -> None:
    old = desk.to_live()
    desk.grant(ramp(desk))
    refused(desk, old, "signer-replay")
    assert desk.grants.cap_eur == 15


def test_another_authority_about_the_same_entry_is_a_replay(desk: Desk) -> None:
    desk.to_live()
    refused(desk, desk.command(), "signer-replay")


def test_a_restart_needs_the_authority_again(desk: Desk) -> None:
    envelope = desk.to_live()
    desk.restart()
    assert desk.grants.cap_eur == 0
    desk.grant(envelope)
    assert desk.grants.cap_eur == 10


def test_an_authority_outlives_the_command_that_gave_it(desk: Desk) -> None:
    envelope = desk.to_live()
    desk.clock.pass_ms(100 * HOUR)
    desk.restart()
    desk.grant(envelope)
    assert desk.grants.cap_eur == 10


def test_an_authority_outlives_the_keys_that_signed_it(desk: Desk) -> None:
    short = listed(ALICE, valid_until=desk.clock.ms + HOUR)
    roster = Roster(version=1, persons=(Person(name="alice", role=Role.OPERATOR, keys=(short,)), *ROSTER.persons[1:]))
    desk.restart(roster)
    envelope = desk.to_live(roster_digest=roster.digest)
    desk.clock.pass_ms(2 * HOUR)
    refused(desk, desk.command(roster_digest=roster.digest, journal_seq=99), "expired-key")
    desk.restart(roster)
    desk.grant(envelope)
    assert desk.grants.cap_eur == 10


def test_a_restart_remembers_the_newest_authority_and_what_is_left_of_it(desk: Desk) -> None:
    old, newest = desk.to_live(), ramp(desk)
    desk.grant(newest)
    desk.lower("12")
    desk.restart()
    refused(desk, old, "signer-replay")
    desk.grant(newest)
    assert desk.grants.cap_eur == 12


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"grant": 1}', "\xff"])
def test_a_damaged_memory_grants_nothing_and_is_left_for_a_person(desk: Desk, damage: str) -> None:
    envelope = desk.to_live()
    desk.path.write_text(damage, encoding="latin-1")
    desk.restart()
    refused(desk, envelope, "signer-memory")
    assert desk.path.read_text(encoding="latin-1") == damage


def test_the_memory_is_readable_by_its_owner_only(desk: Desk) -> None:
    desk.to_live()
    assert desk.path.stat().st_mode & 0o777 == 0o600


# The roster


def set_roster(desk: Desk, roster: Roster, after: Roster, *signers: Any) -> str:
    return desk.command(
        *signers,
        version=2,
        verb=Verb.SET_ROSTER,
        expected_stage=Stage.VALIDATED,
        target_stage=Stage.VALIDATED,
        cap_eur="0",
        roster_digest=roster.digest,
        subject=after.canonical_bytes.decode(),
    )


def revoke(desk: Desk, key: Any, *signers: Any) -> str:
    return desk.command(
        *signers,
        version=2,
        verb=Verb.REVOKE,
        expected_stage=Stage.LIVE_EUR10,
        target_stage=Stage.LIVE_EUR10,
        subject=listed(key).id,
    )


WITHOUT_BOB = ROSTER.revoking(listed(BOB).id)
WITH_DAVE = ROSTER.model_copy(
    update={"version": 2, "persons": (*ROSTER.persons, Person(name="dave", role=Role.OPERATOR, keys=(listed(DAVE),)))}
)


def test_a_roster_follows_from_the_one_before(desk: Desk) -> None:
    desk.grant(set_roster(desk, ROSTER, WITH_DAVE))
    desk.grant(desk.command(BOB, DAVE, roster_digest=WITH_DAVE.digest))
    assert desk.grants.cap_eur == 10


def test_a_roster_that_a_stranger_made_is_not_taken(desk: Desk) -> None:
    refused(desk, set_roster(desk, ROSTER, WITH_DAVE, ALICE, DAVE), "under-quorum")
    refused(desk, desk.command(BOB, DAVE, roster_digest=WITH_DAVE.digest), "signer-roster")


def test_a_revoked_key_does_not_return(desk: Desk) -> None:
    desk.grant(revoke(desk, BOB, BOB))
    again = ROSTER.model_copy(update={"version": 3})
    refused(desk, set_roster(desk, WITHOUT_BOB, again, ALICE, CAROL), "roster-version")


def test_a_revoked_key_grants_nothing_more(desk: Desk) -> None:
    old = desk.command()
    desk.grant(revoke(desk, BOB, ALICE))
    refused(desk, old, "signer-replay")
    refused(desk, desk.command(roster_digest=WITHOUT_BOB.digest), "revoked-key")
    desk.grant(desk.command(ALICE, CAROL, roster_digest=WITHOUT_BOB.digest))
    assert desk.grants.cap_eur == 10


def test_what_a_key_signed_before_it_was_revoked_is_restored(desk: Desk) -> None:
    envelope, revoked = desk.to_live(), revoke(desk, BOB, ALICE)
    desk.grant(revoked)
    desk.restart()
    desk.grant(envelope)
    desk.grant(revoked)
    assert desk.grants.cap_eur == 10


def test_a_restart_takes_nothing_new_that_a_revoked_key_signed(desk: Desk) -> None:
    desk.to_live()
    desk.grant(revoke(desk, BOB, ALICE))
    desk.restart()
    refused(desk, desk.command(journal_seq=500), "signer-replay")


def test_the_symbols_are_those_that_were_signed(desk: Desk) -> None:
    desk.to_live(symbols=(OTHER,))
    assert desk.grants.grant is not None
    assert desk.grants.grant.symbols == {OTHER}
    assert desk.grants.cap_eur == Decimal(10)


@pytest.mark.parametrize(
    ("pinned", "roster", "granted"),
    [(Mode.SOLO, Mode.TEAM, 0), (Mode.TEAM, Mode.SOLO, 10), (Mode.SOLO, None, 10), (Mode.TEAM, None, 0)],
)
def test_the_mode_of_the_roster_counts_and_not_that_of_a_file(
    tmp_path: Path, pinned: Mode, roster: Mode | None, granted: int
) -> None:
    named = ROSTER.model_copy(update={"mode": roster})
    desk = Desk(tmp_path, mode=pinned)
    desk.restart(named)
    envelope = desk.command(ALICE, roster_digest=named.digest)
    if granted:
        desk.grant(envelope)
    else:
        refused(desk, envelope, "under-quorum")
    assert desk.grants.cap_eur == granted


@pytest.mark.parametrize(("signers", "code"), [((ALICE,), "under-quorum"), ((ALICE, BOB), "")])
def test_a_roster_that_makes_a_team_is_signed_by_the_team(tmp_path: Path, signers: tuple[Any, ...], code: str) -> None:
    solo = ROSTER.model_copy(update={"mode": Mode.SOLO})
    team = ROSTER.model_copy(update={"mode": Mode.TEAM, "version": 2})
    desk = Desk(tmp_path)
    desk.restart(solo)
    subject = team.canonical_bytes.decode()
    change = desk.command(
        *signers, version=2, verb=Verb.SET_ROSTER, roster_digest=solo.digest, subject=subject,
        expected_stage=Stage.MOCK, target_stage=Stage.MOCK, cap_eur="10", symbols=("BTCUSDT",),
    )  # fmt: skip
    if code:
        refused(desk, change, code)
        return
    desk.grant(change)
    refused(desk, desk.command(ALICE, roster_digest=team.digest, journal_seq=500), "under-quorum")
