"""Shows a command before and after it is signed, for the signing verbs. Everything is decoded from the bytes that are signed, so a
signer does not depend on what the controller says about them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from controller.authority.command import Command
from controller.authority.envelope import Envelope
from controller.authority.meaning import meaning
from controller.authority.verify import read_command, verify
from controller.authority.wordcode import word_code
from controller.cli.shared.gates import gate_table
from controller.cli.shared.output import Output, clock, instant, print_json, short, stdout, styled
from controller.console.schema import GateView, ProposalView, ReceiptView
from controller.core.lifecycle import Position
from exchange.errors import IntegrityError, Unauthorised
from exchange.model import Millis
from policies import canonical
from policies.presence import touches_needed
from policies.stage import Mode


def print_proposal(proposal: ProposalView, path: Path, output: Output) -> None:
    """Print the proposed command, its gate now, and the file to sign."""
    if output is Output.JSON:
        print_json({"file": str(path), **proposal.model_dump(mode="json")})
        return
    console = stdout()
    if proposal.gate is not None:
        console.print(gate_table(proposal.gate))
    print_leaves(proposal.leaves)
    console.print(_panel(proposal.payload.encode(), "no one yet"))
    needed = proposal.persons_needed
    hands = ", one of them with a touched security key" if _asks_for_a_touch(proposal) else ""
    console.print(f"{path}: {needed} of the roster must sign it{hands}, then `gatehouse submit {path}`.")
    if proposal.gate is not None and proposal.gate.verdict != "PASS":
        console.print(Text("The gate does not pass now. `gatehouse submit` judges it anew and refuses until it passes.", "yellow"))


def _asks_for_a_touch(proposal: ProposalView) -> bool:
    command = read_command(proposal.payload.encode())
    mode = Mode.TEAM if proposal.persons_needed > 1 else Mode.SOLO
    return touches_needed(command.verb, command.target_stage, mode, command.environment) > 0


def print_gate(gate: GateView | None) -> None:
    """Print a gate that passes. A gate that refuses is printed with the refusal."""
    if gate is not None and gate.verdict == "PASS":
        stdout().print(gate_table(gate))


def print_leaves(lines: Sequence[str]) -> None:
    """Print what a move leaves behind, before it is signed."""
    for line in lines:
        stdout().print(Text(f"leaves: {line}", "bold yellow"))


def print_command(envelope: Envelope, directory: Path, output: Output) -> None:
    """Print a command file and its signatures, checked against the deployment's roster if there is one."""
    signers = _signers(envelope, directory)
    if output is Output.JSON:
        digest = canonical.digest(envelope.payload)
        command = read_command(envelope.payload).model_dump(mode="json")
        print_json({"payload_digest": digest, "word_code": word_code(digest), "command": command, "signatures": signers})
        return
    words = ", ".join(f"{one['person']} ({one['state']})" if one["person"] else f"{one['key']} ({one['state']})" for one in signers)
    stdout().print(_panel(envelope.payload, words or "no one yet"))


def print_receipt(receipt: ReceiptView, output: Output, *, gate: bool = True) -> None:
    """Print that a command was applied or waits, with its gate if ``gate`` is set."""
    if output is Output.JSON:
        print_json(receipt)
        return
    console, where = stdout(), f"entry {receipt.seq} {receipt.hash}"
    if gate and receipt.gate is not None:
        console.print(gate_table(receipt.gate))
    if (waits := receipt.pending) is not None:
        console.print(
            Text.assemble(
                ("waits ", "bold yellow"),
                f"until {clock(waits.applies_at_ms)} UTC, still at ",
                styled(receipt.position),
                f", {where}",
            )
        )
        console.print(f"Any key can stop it until then: `gatehouse veto --key KEY --reason …` (command {waits.command_id}).")
        return
    if not receipt.recorded:
        console.print(
            Text.assemble(("halting ", "bold yellow"), "orders are stopped and being cancelled; the journal does not say so yet")
        )
        console.print("Watch `gatehouse status`. If the controller ends first, its next start halts.")
        return
    console.print(Text.assemble(("applied ", "bold green"), "now at ", styled(receipt.position), f", {where}"))


def _panel(payload: bytes, signers: str) -> Panel:
    digest = canonical.digest(payload)
    command = read_command(payload)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for label, cell in (
        *_rows(command),
        ("digest", digest),
        ("word code", Text(word_code(digest), "bold")),
        ("signed by", signers),
    ):
        grid.add_row(label, cell)
    title = f"command {command.command_id} (version {command.version})"
    return Panel(grid, title=Text(title), title_align="left", border_style="dim", expand=False)


def _rows(command: Command) -> list[tuple[str, Text | str]]:
    here = Position(command.expected_stage, command.expected_step)
    there = Position(command.target_stage, command.target_step)
    rows: list[tuple[str, Text | str]] = [
        ("asks to", Text.assemble((command.verb.value, "bold"), "  ", styled(str(here)), " → ", styled(str(there)))),
        ("limits", f"{command.cap_eur} EUR on {', '.join(command.symbols) or 'no symbol'}"),
        ("reason", Text(command.reason)),
        ("for", f"{command.controller_id} ({command.environment})"),
        ("account", command.account_fingerprint),
        ("as of", f"journal entry {command.journal_seq} {command.journal_head}"),
        ("release", command.release_digest),
        ("policy", command.policy_digest),
        ("roster", command.roster_digest),
        ("evidence", command.evidence_digest or "none needed"),
        ("valid", f"{instant(command.not_before_ms)} to {instant(command.expires_ms)} UTC"),
    ]
    if command.subject:
        rows.append(("means", Text(meaning(command.verb, command.subject), "bold")))
        rows.append(("subject", Text(_subject(command.subject))))
    if command.postmortem_digest:
        rows.append(("post-mortem", command.postmortem_digest))
    return rows


def _subject(subject: str) -> str:
    """The whole signed subject: an id, or an indented document."""
    try:
        document = canonical.decode(subject.encode())
    except IntegrityError:
        return subject
    digest = canonical.digest(subject.encode())
    return f"{digest}\n{json.dumps(document, ensure_ascii=False, indent=2)}" if isinstance(document, dict) else subject


def _signers(envelope: Envelope, directory: Path) -> list[dict[str, Any]]:
    # What checks a signature loads the certificates of security keys too; a halt shows no signature (ADR 79).
    from controller.cli.sign.command_files import roster_of

    roster = roster_of(directory)
    signers = []
    for entry in envelope.signatures:
        found = roster.find(entry.keyid) if roster is not None else None
        signers.append(
            {"key": short(entry.keyid), "person": found[0].name if found else "", "state": _state(envelope, entry.keyid, directory)}
        )
    return signers


def _state(envelope: Envelope, keyid: str, directory: Path) -> str:
    from controller.authority.attestation import touch_of
    from controller.cli.sign.command_files import roots_in, roster_of

    roster = roster_of(directory)
    if roster is None:
        return "not checked: no roster in this directory"
    alone = Envelope(envelope.payload, tuple(entry for entry in envelope.signatures if entry.keyid == keyid))
    try:
        signatories = verify(alone.text, roster, Millis(time.time_ns() // 1_000_000)).signatories
    except Unauthorised as error:
        return f"does not count: {error.message}"
    found = roster.find(keyid) if any(one.touched for one in signatories) else None
    return f"valid, touch {touch_of(found[1], roots_in(directory))}" if found is not None else "valid"
