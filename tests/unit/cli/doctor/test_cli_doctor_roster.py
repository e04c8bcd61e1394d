"""``gatehouse doctor`` warns early of keys and signers that would later stop a step up."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.authority.roster import KeyStatus, Person, Roster, roster_key
from controller.cli.doctor.result import CheckResult
from controller.cli.doctor.roster import check_roster, roster_in_force
from controller.settings.deployment import load_settings
from exchange.model import Millis
from policies.authority import Role, Verb
from policies.document import load_policy
from policies.schema import Policy
from policies.stage import Mode
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk
from tests.unit.authority import authority_kit as kit
from tests.unit.authority.authority_kit import ALICE, ALICE_SPARE, BOB, CAROL, DAVE, ERIN, NOW, listed, person, sk_public

EXAMPLES = Path(__file__).parents[4] / "policies" / "examples"
DAY = 86_400_000
TEAM, SOLO, DEMO = (load_policy((EXAMPLES / f"{name}.toml").read_bytes()) for name in ("team", "solo", "demo"))
CAROLS = roster_key(sk_public(CAROL).line)
DAVES = roster_key(sk_public(DAVE).line)


def roster(*persons: Person, mode: Mode | None = Mode.TEAM) -> Roster:
    return Roster(version=1, persons=persons, mode=mode)


def rows(checked: Roster, policy: Policy = TEAM) -> dict[str, CheckResult]:
    return {row.name: row for row in check_roster(checked, policy, NOW)}


def warned(checked: Roster, policy: Policy = TEAM) -> dict[str, str]:
    """What is warned of, each with something to do about it."""
    found = rows(checked, policy)
    assert all(row.fix for row in found.values() if row.warns)
    return {name: row.found for name, row in found.items() if row.verdict == "WARN"}


SOUND = roster(
    person("alice", CAROLS, listed(ALICE)),
    person("bob", DAVES, listed(BOB), role=Role.APPROVER),
    person("erin", kit.on_token(kit.p256_public(kit.HANK)), roster_key(sk_public(ERIN).line), role=Role.APPROVER),
)


def test_a_roster_with_keys_and_persons_to_spare_is_fine() -> None:
    assert warned(SOUND) == {}
    assert {row.verdict for row in rows(SOUND).values()} == {"PASS"}


def test_a_person_with_a_single_key_is_named() -> None:
    listed_roster = roster(*SOUND.persons[:2], person("zoe", roster_key(sk_public(ERIN).line)))
    assert warned(listed_roster) == {"roster backups": "zoe has a single key: if it is lost, that person cannot sign"}


@pytest.mark.parametrize(
    "spare",
    [{"status": KeyStatus.REVOKED}, {"valid_until": Millis(NOW)}, {"valid_from": Millis(NOW + 1)}],
    ids=["revoked", "expired", "not valid yet"],
)
def test_a_key_that_cannot_sign_now_does_not_count_as_a_backup(spare: dict[str, object]) -> None:
    alice = person("alice", CAROLS, listed(ALICE_SPARE, **spare))
    assert "alice has a single key" in warned(roster(alice, *SOUND.persons[1:]))["roster backups"]


def test_a_person_who_can_only_halt_needs_no_backup_key() -> None:
    ivo = person("ivo", listed(kit.file_key(9)), role=Role.HALT_ONLY)
    assert warned(roster(*SOUND.persons, ivo)) == {}


@pytest.mark.parametrize(
    ("days", "says"), [(29, "expires in 29 days, on 2027-02-13 08:00 UTC"), (0, "expired on 2027-01-15 08:00 UTC")]
)
def test_a_key_that_expires_within_30_days_is_named_with_its_day(days: int, says: str) -> None:
    alice = person("alice", CAROLS, listed(ALICE), listed(ALICE_SPARE, valid_until=Millis(NOW + days * DAY)))
    found = warned(roster(alice, *SOUND.persons[1:]))
    assert set(found) == {"roster expiry"}
    assert found["roster expiry"].startswith("alice's sha256:")
    assert found["roster expiry"].endswith(says)


def test_a_key_that_expires_later_is_not_named() -> None:
    alice = person("alice", CAROLS, listed(ALICE, valid_until=Millis(NOW + 30 * DAY)))
    assert warned(roster(alice, *SOUND.persons[1:])) == {}


def test_no_spare_signer_is_warned_of() -> None:
    found = warned(roster(*SOUND.persons[:2]))
    assert found == {"roster signers": "2 can sign (alice, bob) and 2 must: if one of them is away, no step up can be signed"}


def test_fewer_signers_than_must_sign_is_a_failure() -> None:
    row = rows(roster(SOUND.persons[0]))["roster signers"]
    assert (row.verdict, row.found) == ("FAIL", "1 can sign (alice) and 2 must")
    assert row.fix


def test_in_solo_mode_one_other_signer_is_enough() -> None:
    assert warned(roster(*SOUND.persons[:2], mode=Mode.SOLO), SOLO) == {}
    assert set(warned(roster(SOUND.persons[0], mode=Mode.SOLO), SOLO)) == {"roster signers"}


def test_the_mode_of_the_roster_counts_and_not_the_policys() -> None:
    one = SOUND.persons[0]
    assert rows(roster(one, mode=Mode.TEAM), SOLO)["roster signers"].found == "1 can sign (alice) and 2 must"
    assert rows(roster(one, mode=Mode.SOLO), TEAM)["roster signers"].found.startswith("1 can sign (alice) and 1 must")
    assert rows(roster(one, mode=Mode.SOLO))["roster mode"].found == "solo: 1 must sign what adds risk"


def test_a_roster_without_a_mode_is_named_with_what_to_add() -> None:
    row = rows(roster(*SOUND.persons, mode=None))["roster mode"]
    assert (row.verdict, row.found) == (
        "WARN",
        "the roster does not say whether one person or a team decides, so the policy in force does",
    )
    assert 'mode = "team"' in row.fix


def test_a_team_without_a_security_key_is_warned_before_going_live() -> None:
    plain = roster(
        *(
            person(name, listed(kit.file_key(seed)), listed(kit.file_key(seed + 50)))
            for name, seed in (("a", 1), ("b", 2), ("c", 3))
        )
    )
    assert warned(plain) == {"roster hardware": "no one has a security key; going live needs a touched security key"}


def test_a_signer_for_real_money_without_a_security_key_is_named() -> None:
    bob, erin = person("bob", listed(BOB), listed(DAVE)), SOUND.persons[2]
    token = person("hank", kit.on_token(kit.p384_public(kit.IDA)), listed(ALICE_SPARE))
    found = warned(roster(SOUND.persons[0], bob, erin, token))
    assert found == {"roster hardware": "bob, hank sign without a security key: anyone who copies the key can sign"}


def test_in_solo_mode_a_key_file_in_production_is_named() -> None:
    files = person("alice", listed(ALICE), listed(ALICE_SPARE)), person("bob", listed(BOB), listed(DAVE))
    assert warned(roster(*files, mode=Mode.SOLO), SOLO) == {
        "roster hardware": "alice, bob sign without a security key: anyone who copies the key can sign"
    }


def test_a_rehearsal_needs_no_security_key() -> None:
    assert DEMO.mode is Mode.TEAM
    assert "roster hardware" not in warned(roster(person("a", listed(ALICE)), person("b", listed(BOB))), DEMO)


def test_warnings_leave_the_exit_code_of_doctor_at_zero(run: Run, deployment: Path) -> None:
    found = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    backups = found["roster backups"]
    assert (backups["verdict"], backups["ok"]) == ("WARN", True)
    assert "gatehouse set-roster" in backups["fix"]
    assert found["roster hardware"]["verdict"] == "PASS"


def test_the_roster_in_force_comes_from_the_journal_not_the_file(deployment: Path) -> None:
    desk = Desk().arm()
    assert desk.state.roster is not None
    assert desk.ask(Verb.REVOKE, desk.state.roster.persons[2].keys[0].id, "alice").code == ""
    settings = load_settings(deployment)
    assert roster_in_force(deployment, settings) != desk.state.roster
    write_journal(desk, deployment)
    assert roster_in_force(deployment, settings) == desk.state.roster
