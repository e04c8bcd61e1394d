"""Proposing, signing, inspecting and submitting commands, and halting without a key."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import MethodType

import pytest

from controller.authority.envelope import parse_envelope
from controller.authority.roster import load_roster
from controller.authority.verify import read_command, verify
from controller.authority.wordcode import word_code
from controller.console.port import GateRefused
from controller.console.schema import ProposalView, ProposeRequest
from controller.core.lifecycle import Position
from exchange.errors import Unauthorised
from exchange.model import Millis
from policies import canonical
from policies.authority import Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, Served, printed
from tests.support.desk import Desk
from tests.support.operator_port import FakePort, a_gate


@pytest.fixture(scope="module")
def payload() -> bytes:
    """A real command."""
    desk = Desk().walk_to(Stage.VALIDATED)
    return canonical.encode(desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10)).model_dump(mode="json"))


@pytest.fixture
def proposing(served: Served, payload: bytes) -> Served:
    """A controller that proposes it."""
    digest = canonical.digest(payload)

    async def propose(self: FakePort, request: ProposeRequest, **_: object) -> ProposalView:
        self.proposed.append(request)
        words = word_code(digest)
        return ProposalView(
            payload=payload.decode(), payload_digest=digest, word_code=words, summary="", gate=a_gate(), persons_needed=2
        )

    served.port.propose = MethodType(propose, served.port)  # type: ignore[method-assign]
    return served


@pytest.fixture
def proposal(run: Run, proposing: Served, tmp_path: Path) -> Path:
    file = tmp_path / "c.json"
    result = run("propose", "advance", "--reason", "real", "--file", file, "--dir", proposing.directory)
    assert result.exit_code == 0
    return file


def test_a_proposal_shows_what_it_asks_and_its_word_code(run: Run, proposing: Served, tmp_path: Path) -> None:
    result = run("propose", "advance", "-r", "real", "-f", tmp_path / "c.json", "-d", proposing.directory)
    for words in (
        "VALIDATED → LIVE_€10",
        "10 EUR on BTCUSDT",
        "word code",
        "2 of the roster must sign it",
        "The gate does not pass now",
    ):
        assert words in result.stdout


def test_the_stage_can_be_typed_without_its_euro_sign(run: Run, proposing: Served, tmp_path: Path) -> None:
    run("propose", "advance", "-r", "real", "--to", "LIVE_EUR10", "-f", tmp_path / "c.json", "-d", proposing.directory)
    assert proposing.port.proposed[-1].target is Stage.LIVE_EUR10


def test_two_persons_sign_the_same_bytes_one_after_the_other(run: Run, proposing: Served, proposal: Path) -> None:
    directory = proposing.directory
    before = parse_envelope(proposal.read_text()).payload
    for person in ("alice", "bob"):
        assert run("sign", proposal, "--key", directory / "keys" / f"{person}.key", "--dir", directory).exit_code == 0
    envelope = parse_envelope(proposal.read_text())
    assert envelope.payload == before
    shown = printed(run("inspect", proposal, "--dir", directory, "-o", "json"))
    assert [(one["person"], one["state"]) for one in shown["signatures"]] == [("alice", "valid"), ("bob", "valid")]


def test_one_key_cannot_sign_twice(run: Run, proposing: Served, proposal: Path) -> None:
    key = proposing.directory / "keys" / "alice.key"
    result = run("sign", proposal, "--key", key, "--key", key, "-d", proposing.directory)
    assert result.exit_code == 4
    assert parse_envelope(proposal.read_text()).signatures == ()


def test_a_changed_payload_shows_that_its_signature_does_not_count(run: Run, proposing: Served, proposal: Path) -> None:
    directory = proposing.directory
    run("sign", proposal, "--key", directory / "keys" / "alice.key", "-d", directory)
    envelope = parse_envelope(proposal.read_text())
    forged = type(envelope)(envelope.payload.replace(b'"cap_eur":"10"', b'"cap_eur":"99"'), envelope.signatures)
    proposal.write_text(forged.text)
    shown = printed(run("inspect", proposal, "-d", directory, "-o", "json"))
    assert shown["signatures"][0]["state"].startswith("does not count")


def test_a_submitted_file_arrives_byte_for_byte(run: Run, proposing: Served, proposal: Path) -> None:
    directory = proposing.directory
    result = run("approve", proposal, "--key", directory / "keys" / "bob.key", "-d", directory)
    assert result.exit_code == 0
    assert "applied now at VALIDATED" in result.stdout
    assert proposing.port.submitted == [proposal.read_text()]


def test_an_envelope_signed_on_the_command_line_verifies_with_the_roster(run: Run, proposing: Served) -> None:
    directory = proposing.directory
    keys = ("--key", directory / "keys" / "alice.key", "--key", directory / "keys" / "bob.key")
    assert run("advance", *keys, "-r", "real", "-d", directory).exit_code == 0
    envelope = proposing.port.submitted[0]
    now = Millis(read_command(parse_envelope(envelope).payload).not_before_ms)
    verified = verify(envelope, load_roster(directory / "roster.toml"), now)
    assert [one.person for one in verified.signatories] == ["alice", "bob"]


def test_a_resume_without_a_post_mortem_is_refused_before_it_is_signed(run: Run, proposing: Served) -> None:
    result = run("propose", "resume", "-r", "it is over", "-d", proposing.directory)
    assert result.exit_code == 2
    assert "--postmortem FILE" in result.stderr
    assert proposing.port.proposed == []


def test_paths_as_the_documents_write_them_are_found_in_the_deployment(run: Run, proposing: Served) -> None:
    directory = proposing.directory
    (directory / "post-mortem.md").write_text("what happened")
    names = ("--key", "keys/alice.key", "--postmortem", "post-mortem.md")
    assert run("resume", *names, "-r", "real", "-d", directory).exit_code == 0
    assert proposing.port.proposed[-1].postmortem == canonical.digest(b"what happened")
    assert len(parse_envelope(proposing.port.submitted[0]).signatures) == 1


def test_a_key_that_is_nowhere_is_named_as_it_was_typed(run: Run, proposing: Served) -> None:
    result = run("advance", "--key", "keys/carol.key", "-r", "real", "-d", proposing.directory)
    assert (result.exit_code, "keys/carol.key cannot be read" in result.stderr) == (2, True)


def test_a_gate_that_refuses_is_shown_rule_by_rule_and_exits_with_three(run: Run, proposing: Served) -> None:
    async def submit(self: FakePort, envelope_text: str) -> None:
        raise GateRefused("not yet", code="gate-not-passed", remedy="Wait.", gate=a_gate())

    proposing.port.submit = MethodType(submit, proposing.port)  # type: ignore[method-assign]
    key = proposing.directory / "keys" / "alice.key"
    result = run("advance", "--key", key, "-r", "now", "-d", proposing.directory)
    assert result.exit_code == 3
    assert "covered-time" in result.stderr
    as_json = run("advance", "--key", key, "-r", "now", "-d", proposing.directory, "-o", "json")
    assert printed(as_json, error=True)["gate"]["rules"][0]["id"] == "covered-time"


def test_too_few_signatures_exit_with_four(run: Run, proposing: Served) -> None:
    async def submit(self: FakePort, envelope_text: str) -> None:
        raise Unauthorised("one more must sign", code="under-quorum", remedy="Have another person sign.")

    proposing.port.submit = MethodType(submit, proposing.port)  # type: ignore[method-assign]
    key = proposing.directory / "keys" / "alice.key"
    assert run("advance", "--key", key, "-r", "now", "-d", proposing.directory).exit_code == 4


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")
def test_an_attached_signature_of_ssh_keygen_verifies(run: Run, proposing: Served, proposal: Path, tmp_path: Path) -> None:
    key, message = tmp_path / "id", tmp_path / "m"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    assert run("sign", proposal, "--message", message, "-d", proposing.directory).exit_code == 0
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "gatehouse-command@v1", "-f", key, message], check=True, capture_output=True
    )
    assert run("sign", proposal, "--attach", tmp_path / "m.sig", "-d", proposing.directory).exit_code == 0
    assert len(parse_envelope(proposal.read_text()).signatures) == 1


@pytest.mark.parametrize("extra", [(), ("--key", "k", "--message", "m")])
def test_sign_takes_exactly_one_of_its_three_options(run: Run, proposal: Path, extra: tuple[str, ...]) -> None:
    assert run("sign", proposal, *extra).exit_code == 2


def test_a_stage_that_does_not_exist_is_a_usage_error(run: Run, proposing: Served) -> None:
    result = run("propose", "demote", "-r", "x", "--to", "NOWHERE", "-d", proposing.directory)
    assert result.exit_code == 2
    assert "TESTNET_VALIDATING" in result.stderr


def test_an_empty_reason_is_a_usage_error(run: Run, proposing: Served) -> None:
    assert run("propose", "advance", "-r", "", "-d", proposing.directory).exit_code == 2


def test_a_post_mortem_is_sent_as_its_digest(run: Run, proposing: Served, tmp_path: Path) -> None:
    file = tmp_path / "pm.md"
    file.write_text("what happened")
    run("propose", "resume", "-r", "x", "--postmortem", file, "-f", tmp_path / "c.json", "-d", proposing.directory)
    assert proposing.port.proposed[-1].postmortem == canonical.digest(b"what happened")


def test_a_halt_needs_no_key(run: Run, served: Served) -> None:
    result = run("halt", "--reason", "smoke", "-d", served.directory)
    assert result.exit_code == 0
    assert served.port.halted == ["smoke"]
    assert "HALTED" in result.stdout


def test_a_file_that_is_not_a_command_is_refused(run: Run, deployment: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}")
    assert run("inspect", tmp_path / "x", "-d", deployment).exit_code == 4
    assert run("inspect", tmp_path / "missing", "-d", deployment).exit_code == 2
