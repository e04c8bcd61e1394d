"""``gatehouse inspect`` shows every signed value of a command file, offline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.authority.envelope import Envelope
from controller.authority.roster import KeyType
from controller.authority.signing import propose
from controller.authority.wordcode import word_code
from controller.cli.shared.output import Output
from controller.cli.sign.command_view import print_proposal
from controller.console.schema import ProposalView
from policies import canonical
from policies.authority import Verb
from policies.stage import Environment, Stage
from tests.support.cli_kit import Run, printed
from tests.unit.authority import authority_kit as kit

ROOT = Path(__file__).parents[4]
SHOWN_OTHERWISE = {"not_before_ms", "expires_ms", "expected_step", "target_step", "symbols", "subject"}
"""As times of day, beside their stage, one by one, and laid out."""


def written(tmp_path: Path, envelope: Envelope) -> Path:
    path = tmp_path / "command.json"
    path.write_text(envelope.text)
    return path


def shown(run: Run, path: Path) -> str:
    result = run("inspect", path, "-d", path.parent)
    assert result.exit_code == 0, result.stderr
    return "".join(char for char in result.stdout if char not in "│╭╮╰╯─")


DOCUMENT = '{"artifact":"sha256:' + "7" * 64 + '","name":"maker","version":"2"}'
COMMANDS = [
    pytest.param({}, id="a move"),
    pytest.param({"verb": Verb.RESUME, "expected_stage": Stage.HALTED, "postmortem_digest": "sha256:" + "8" * 64}, id="a resume"),
    pytest.param({"version": 2, "verb": Verb.REVOKE, "subject": "sha256:" + "9" * 64}, id="a revocation"),
    pytest.param({"version": 2, "verb": Verb.SET_RELEASE, "subject": DOCUMENT}, id="a release"),
    pytest.param({"verb": Verb.RAMP, "target_stage": Stage.RAMPING, "target_step": 3}, id="a ramp step"),
]


@pytest.mark.parametrize("changes", COMMANDS)
def test_every_value_that_is_signed_is_shown_whole(run: Run, tmp_path: Path, changes: dict[str, Any]) -> None:
    proposal = propose(kit.a_command(**changes))
    text = shown(run, written(tmp_path, proposal))
    document = json.loads(proposal.payload)
    for name, value in document.items():
        assert name in SHOWN_OTHERWISE or str(value) in text, name
    for symbol in document["symbols"]:
        assert symbol in text
    subject = document.get("subject", "")
    for part in json.loads(subject).values() if subject.startswith("{") else [subject]:
        assert part in text
    assert f"RAMPING step {document['target_step']}" in text or not document["target_step"]
    assert "2027-01-15 07:59:59.000 to 2027-01-15 09:00:00.000 UTC" in text
    digest = canonical.digest(proposal.payload)
    assert digest in text
    assert word_code(digest) in text


def test_json_output_shows_the_command_as_it_is_signed(run: Run, tmp_path: Path) -> None:
    proposal = propose(kit.a_command())
    document = printed(run("inspect", written(tmp_path, proposal), "-d", tmp_path, "-o", "json"))
    assert canonical.encode(document["command"]) == proposal.payload
    assert document["word_code"] == word_code(document["payload_digest"])


def test_a_time_after_the_year_9999_is_shown_as_a_number(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, propose(kit.a_command(expires_ms=2**53 - 1)))
    assert f"{2**53 - 1} ms after 1970" in shown(run, path)


def test_a_signature_that_proves_a_touch_says_so(run: Run, deployment: Path) -> None:
    proposal = kit.PROPOSAL
    roster = ["version = 1"]
    for name, key, kind in (("carol", kit.sk_public(kit.CAROL), None), ("alice", kit.public_key(kit.ALICE), KeyType.FILE)):
        listed = kit.roster_key(key.line, kind)
        entry = f'{{ id = "{listed.id}", type = "{listed.type}", public = "{listed.public}" }}'
        roster += ["[[persons]]", f'name = "{name}"', 'role = "operator"', f"keys = [{entry}]"]
        made = kit.sk_signature(kit.CAROL, proposal.pae).encode() if kind is None else kit.ALICE.sign(kit.PROPOSAL.pae)
        proposal = proposal.add_signature(listed.id, made)
    (deployment / "roster.toml").write_text("\n".join(roster))
    assert "carol (valid, touch claimed), alice (valid)" in shown(run, written(deployment, proposal))


def test_inspect_needs_no_controller_and_no_network(tmp_path: Path) -> None:
    cut_off = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*cut_off, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no network namespaces, so nothing shows that none is needed")
    path = written(tmp_path, propose(kit.a_command()))
    line = [*cut_off, sys.executable, "-m", "controller", "inspect", path, "-o", "json"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    seen = subprocess.run(line, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(seen.stdout)["word_code"] == word_code(canonical.digest(kit.PROPOSAL.payload))


@pytest.mark.parametrize(
    ("environment", "persons", "asked"), [("production", 2, True), ("production", 1, False), ("rehearsal", 2, False)]
)
def test_a_proposal_says_when_a_touched_security_key_is_needed(
    capsys: pytest.CaptureFixture[str], environment: str, persons: int, asked: bool
) -> None:
    payload = propose(kit.a_command(environment=Environment(environment))).payload
    view = ProposalView(
        payload=payload.decode(),
        payload_digest=canonical.digest(payload),
        word_code=word_code(canonical.digest(payload)),
        summary="",
        gate=None,
        persons_needed=persons,
        cooling_off_ms=0,
    )
    print_proposal(view, Path("command.json"), Output.TABLE)
    said = " ".join(capsys.readouterr().out.split())
    assert ("one of them with a touched security key" in said) is asked
