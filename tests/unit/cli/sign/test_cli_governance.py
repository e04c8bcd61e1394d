"""Commands that wait and commands with a subject, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from types import MethodType

import pytest

from controller.authority.envelope import parse_envelope
from controller.authority.roster import load_roster
from controller.authority.verify import read_command
from controller.console.schema import PendingView, ProposalView, ProposeRequest, ReceiptView
from controller.core.decisions.governance import target_of
from controller.core.events import CommandPending
from policies import canonical
from policies.authority import Verb
from policies.document import digest, load_policy
from policies.stage import Mode, Stage
from tests.support.cli_kit import Run, Served, printed, write_journal
from tests.support.desk import Desk, with_policy
from tests.support.operator_port import DIGEST, NOW, FakePort, a_status

WAITS = PendingView(
    command_id="ab" * 16,
    verb=Verb.ADVANCE,
    target="LIVE_€10",
    persons=("anna",),
    reason="ready",
    since_ms=NOW,
    applies_at_ms=NOW + 3_600_000,
    payload_digest=DIGEST,
)


@pytest.fixture(scope="module")
def waiting() -> Desk:
    """A solo deployment whose step to real money was vetoed, and waits again."""
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.VALIDATED)
    desk.run(10_000)
    for _ in range(2):
        if desk.state.pending is not None:
            desk.ask(Verb.VETO, desk.state.pending.command_id, "carol", reason="not today")
        desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",))
    return desk


def payload_of(verb: Verb, subject: str) -> bytes:
    """What a controller would propose."""
    state = Desk().arm().state
    there = target_of(state, verb)
    document = {
        **dict.fromkeys(("account_fingerprint", "journal_head", "policy_digest", "release_digest", "roster_digest"), DIGEST),
        "version": 2,
        "command_id": "0" * 32,
        "controller_id": "demo",
        "environment": "rehearsal",
        "verb": verb.value,
        "expected_stage": state.position.stage.value,
        "expected_step": 0,
        "target_stage": there.stage.value,
        "target_step": 0,
        "cap_eur": "10",
        "symbols": ["BTCUSDT"],
        "journal_seq": 1,
        "evidence_digest": "",
        "postmortem_digest": "",
        "not_before_ms": NOW,
        "expires_ms": NOW + 1000,
        "reason": "because",
        "subject": subject,
    }
    return canonical.encode(document)


@pytest.fixture
def governed(served: Served) -> Served:
    """A controller that proposes what it is asked; the subject of a veto it finds by itself."""

    async def propose(self: FakePort, request: ProposeRequest, **_: object) -> ProposalView:
        self.proposed.append(request)
        payload = payload_of(request.verb, request.subject or WAITS.command_id).decode()
        return ProposalView(payload=payload, payload_digest=DIGEST, word_code="a-b", summary="", gate=None, persons_needed=1)

    served.port.propose = MethodType(propose, served.port)  # type: ignore[method-assign]
    return served


def signed(governed: Served) -> str:
    """The subject of what was handed in."""
    (envelope,) = governed.port.submitted
    parsed = parse_envelope(envelope)
    assert parsed.signatures
    return read_command(parsed.payload).subject


def key(governed: Served) -> Path:
    return governed.directory / "keys" / "alice.key"


def test_a_veto_without_an_id_stops_the_waiting_command(run: Run, governed: Served) -> None:
    result = run("veto", "--key", key(governed), "-r", "no", "-d", governed.directory)
    assert result.exit_code == 0, result.output
    assert governed.port.proposed[0].subject is None
    assert signed(governed) == WAITS.command_id


def test_a_key_is_revoked_by_its_id(run: Run, governed: Served) -> None:
    key_id = load_roster(governed.directory / "roster.toml").persons[1].keys[0].id
    assert run("revoke", key_id, "--key", key(governed), "-r", "lost", "-d", governed.directory).exit_code == 0
    assert signed(governed) == key_id


def test_a_policy_is_signed_in_full_and_shown_in_full(run: Run, governed: Served) -> None:
    file = governed.directory / "policy.toml"
    result = run("set-policy", file, "--key", key(governed), "-r", "tighter", "-d", governed.directory)
    assert result.exit_code == 0, result.output
    assert canonical.digest(signed(governed).encode()) == digest(load_policy(file.read_bytes()))
    for words in ('"cooling_off_ms": 10000', '"price_collar_bps": "100"', "subject"):
        assert words in result.stdout


def test_a_roster_is_signed_in_full(run: Run, governed: Served) -> None:
    file = governed.directory / "roster.toml"
    assert run("set-roster", file, "--key", key(governed), "-r", "new", "-d", governed.directory).exit_code == 0
    assert canonical.digest(signed(governed).encode()) == load_roster(file).digest


def test_a_release_is_named_by_the_digest_of_its_file(run: Run, governed: Served, tmp_path: Path) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text("buy()")
    arguments = ("--name", "maker", "--version", "2", "--artifact", bot)
    assert run("set-release", *arguments, "--key", key(governed), "-r", "fix", "-d", governed.directory).exit_code == 0
    assert json.loads(signed(governed)) == {"name": "maker", "version": "2", "artifact": canonical.digest(b"buy()")}


def test_a_proposal_takes_its_subject_from_a_file(run: Run, governed: Served, tmp_path: Path) -> None:
    file = governed.directory / "roster.toml"
    arguments = ("propose", "set-roster", "--subject", file, "-r", "x", "-f", tmp_path / "c.json", "-d", governed.directory)
    assert run(*arguments).exit_code == 0
    assert governed.port.proposed[0].subject == load_roster(file).canonical_bytes.decode()


def test_a_receipt_of_a_command_that_waits_says_until_when(run: Run, governed: Served) -> None:
    async def submit(self: FakePort, envelope_text: str) -> ReceiptView:
        return ReceiptView(seq=9, hash=DIGEST, position="VALIDATED", gate=None, pending=WAITS)

    governed.port.submit = MethodType(submit, governed.port)  # type: ignore[method-assign]
    result = run("revoke", "x", "--key", key(governed), "-r", "x", "-d", governed.directory)
    assert "waits until" in result.stdout
    assert "gatehouse veto" in result.stdout
    assert "applied" not in result.stdout


def test_status_shows_the_waiting_command_and_how_to_stop_it(run: Run, served: Served) -> None:
    served.port.view = a_status(pending=WAITS)
    shown = run("status", "-d", served.directory).stdout
    for words in ("advance to LIVE_€10 by anna is applied in ", WAITS.command_id, "gatehouse veto"):
        assert words in shown
    assert printed(run("status", "-d", served.directory, "-o", "json"))["pending"]["command_id"] == WAITS.command_id


def test_a_vetoed_command_is_explained_from_signature_to_veto(run: Run, deployment: Path, waiting: Desk) -> None:
    write_journal(waiting, deployment)
    first, second = (event for event in waiting.events(CommandPending) if isinstance(event, CommandPending))
    shown = run("explain", first.command_id, "-d", deployment).stdout
    for words in ("command-pending", "signed by alice", "any key can veto it", "withdrawn by veto: not today"):
        assert words in shown
    assert run("explain", "command", first.command_id, "-d", deployment).stdout == shown
    assert run("explain", "nonsense", first.command_id, "-d", deployment).exit_code == 2
    assert "withdrawn" not in run("explain", second.command_id, "-d", deployment).stdout
