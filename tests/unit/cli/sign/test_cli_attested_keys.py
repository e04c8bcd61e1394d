"""A security key is listed with its attestation, and what is shown of it says whether its touch is attested or claimed."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path

from controller.authority.roster import KeyAttestation, Person, Roster, RosterKey, roster_key
from policies.authority import Role
from tests.support.attesting import CHALLENGE, Maker
from tests.support.cli_kit import Run
from tests.unit.authority import authority_kit as kit

MAKER, SK = Maker(), kit.sk_public(kit.file_key(81))
ATTESTATION = MAKER.attests(SK)


def written(directory: Path) -> tuple[Path, Path, Path]:
    """What ``ssh-keygen`` leaves behind: the public key, the attestation and the challenge."""
    files = directory / "id_sk.pub", directory / "attestation", directory / "challenge"
    files[0].write_text(SK.line + "\n")
    files[1].write_bytes(base64.b64decode(ATTESTATION.statement))
    files[2].write_bytes(CHALLENGE)
    return files


def test_the_imported_line_holds_the_attestation(run: Run, tmp_path: Path) -> None:
    public, attestation, challenge = written(tmp_path)
    shown = run("keys", "import", public, "--attestation", attestation, "--challenge", challenge)
    (entry,) = tomllib.loads(f"keys = [\n{shown.stdout}]\n")["keys"]
    key = RosterKey.model_validate_json(json.dumps(entry))
    assert key.attestation == ATTESTATION


def test_an_attestation_without_its_challenge_is_refused(run: Run, tmp_path: Path) -> None:
    public, attestation, _ = written(tmp_path)
    assert run("keys", "import", public, "--attestation", attestation).exit_code == 2


def listed(directory: Path, attestation: KeyAttestation | None) -> None:
    entry = roster_key(SK.line)
    person = Person(name="dora", role=Role.APPROVER, keys=(entry.model_copy(update={"attestation": attestation}),))
    (directory / "roster.json").write_bytes(Roster(version=1, persons=(person,)).canonical_bytes)


def test_the_roster_says_attested_or_claimed(run: Run, deployment: Path) -> None:
    settings, policy = deployment / "gatehouse.toml", deployment / "policy.toml"
    settings.write_text('roster = "roster.json"\n' + settings.read_text())
    listed(deployment, ATTESTATION)
    assert "claimed" in run("roster", "show", "--dir", deployment).stdout
    policy.write_text(policy.read_text().replace("[authority]\n", f'[authority]\nattestation_roots = ["{MAKER.root}"]\n'))
    assert "attested" in run("roster", "show", "--dir", deployment).stdout
    listed(deployment, None)
    assert "claimed" in run("roster", "show", "--dir", deployment).stdout
