"""Verbs that change the stage: each proposes, signs and submits one command; `halt` needs no key (architecture.md §3, §5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign.signing import KeysOption, PostmortemOption, ReasonOption, StepOption, TargetOption
from exchange.errors import DeadlineExceeded, Unreachable
from policies.authority import Verb

HALT_ANSWER_S = 4.0
"""A halt waits this long for the controller's socket, then goes through the latch file."""

if TYPE_CHECKING:
    from controller.console.schema import ProposeRequest


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (advance, ramp, demote, resume, reset, halt):
        app.command()(verb)


def advance(
    key: KeysOption,
    reason: ReasonOption,
    to: TargetOption = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Go one stage up. Needs a passing gate, and two persons for real money."""
    _move(Verb.ADVANCE, key, reason, directory, output, to=to)


def ramp(
    key: KeysOption,
    reason: ReasonOption,
    step: StepOption = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Go one ramp step up. Needs a passing gate and two persons."""
    _move(Verb.RAMP, key, reason, directory, output, step=step)


def demote(
    key: KeysOption,
    reason: ReasonOption,
    to: TargetOption = None,
    step: StepOption = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Go down to a lower stage. Needs no gate and one person."""
    _move(Verb.DEMOTE, key, reason, directory, output, to=to, step=step)


def resume(
    key: KeysOption,
    reason: ReasonOption,
    postmortem: PostmortemOption = None,
    to: TargetOption = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Leave HALTED, at most to the stage before the halt. Needs two persons and a post-mortem."""
    _move(Verb.RESUME, key, reason, directory, output, to=to, postmortem=postmortem)


def reset(key: KeysOption, reason: ReasonOption, directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Leave HALTED, go to MOCK and start again."""
    _move(Verb.RESET, key, reason, directory, output)


def halt(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, for the journal.")] = "an operator stopped it",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Halt now: no new order, every open order cancelled. Needs no key on this machine.

    If the controller does not answer, the halt goes into its latch file, which a running controller and every start read.
    """
    from controller.cli.shared.client import OperatorClient
    from controller.cli.sign.command_view import print_receipt
    from controller.cli.sign.latch import halt_without_answer

    try:
        with OperatorClient(directory, answer_within_s=HALT_ANSWER_S) as client:
            receipt = client.halt(reason)
    except (Unreachable, DeadlineExceeded) as error:
        halt_without_answer(directory, reason, error, output)
        return
    print_receipt(receipt, output)


def _move(
    verb: Verb,
    keys: Sequence[str],
    reason: str,
    directory: Path,
    output: Output,
    *,
    to: str | None = None,
    step: int | None = None,
    postmortem: Path | None = None,
) -> None:
    from controller.cli.sign.command_files import file_at, make_request

    story = file_at(postmortem, directory) if postmortem is not None else None
    carry_out(make_request(verb, reason=reason, to=to, step=step, postmortem=story), keys, directory, output)


def carry_out(
    request: ProposeRequest,
    keys: Sequence[str],
    directory: Path,
    output: Output,
    *,
    show_receipt: bool = True,
    before_signing: Callable[[str], None] | None = None,
) -> None:
    """Propose a command, sign it with these keys, show it, and submit it. ``before_signing`` gets the subject of the proposal."""
    from controller.authority.envelope import Envelope
    from controller.authority.verify import read_command
    from controller.cli.shared.client import OperatorClient
    from controller.cli.sign.command_files import sign_with
    from controller.cli.sign.command_view import print_command, print_gate, print_leaves, print_receipt

    with OperatorClient(directory) as client:
        proposal = client.propose(request)
        if before_signing is not None:
            before_signing(read_command(proposal.payload.encode()).subject)
        if output is Output.TABLE:
            print_gate(proposal.gate)
            print_leaves(proposal.leaves)
        envelope = sign_with(Envelope(proposal.payload.encode()), keys, directory)
        if output is Output.TABLE:
            print_command(envelope, directory, output)
        receipt = client.submit(envelope.text)
        if show_receipt:
            print_receipt(receipt, output, gate=False)
