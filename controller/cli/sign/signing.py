"""Verbs for a command file: propose, sign, inspect, submit, approve (architecture.md §5). ``cli.app`` adds them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from policies.authority import Verb

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The command file, as `propose` wrote it.")]
KeysOption = Annotated[
    list[str],
    typer.Option(
        "--key", "-k", metavar="KEY", help="A private key file, or the URI of a key in a token or a vault; once per signature."
    ),
]
AttachOption = Annotated[
    list[Path], typer.Option("--attach", "-a", help="A signature file that ssh-keygen made over the message; once per signature.")
]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why, for the journal.")]
TargetOption = Annotated[str | None, typer.Option("--to", help="The target stage, where the verb has a choice.")]
StepOption = Annotated[int | None, typer.Option("--step", min=1, max=64, help="The ramp step, with --to RAMPING.")]
PostmortemOption = Annotated[Path | None, typer.Option("--postmortem", help="The post-mortem of the halt; its digest is signed.")]

SubjectOption = Annotated[
    str | None,
    typer.Option("--subject", help="For verbs that change no stage: the id of a key or command, or a file."),
]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (propose, sign, inspect, submit, approve):
        app.command()(verb)


def propose(
    verb: Annotated[Verb, typer.Argument(help="The verb of the command.")],
    reason: ReasonOption,
    to: TargetOption = None,
    step: StepOption = None,
    postmortem: PostmortemOption = None,
    subject: SubjectOption = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Where to write the command; by default <command id>.json in the current directory."),
    ] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Get a command to sign from the controller and write it to a file. Nothing is applied yet."""
    from controller.authority.envelope import Envelope
    from controller.authority.verify import read_command
    from controller.cli.shared.client import OperatorClient
    from controller.cli.sign.command_files import file_at, make_request, subject_of, write_envelope
    from controller.cli.sign.command_view import print_proposal

    about = subject_of(verb, subject, directory)
    story = file_at(postmortem, directory) if postmortem is not None else None
    request = make_request(verb, reason=reason, to=to, step=step, postmortem=story, subject=about)
    with OperatorClient(directory) as client:
        proposal = client.propose(request)
    payload = proposal.payload.encode()
    path = file if file is not None else Path(f"{read_command(payload).command_id}.json")
    write_envelope(Envelope(payload), path)
    print_proposal(proposal, path, output)


def sign(
    file: FileArgument,
    key: KeysOption = [],  # noqa: B006 - typer reads it, nothing changes it
    attach: AttachOption = [],  # noqa: B006 - likewise
    message: Annotated[
        Path | None, typer.Option(help="Write the bytes for `ssh-keygen -Y sign` to this file and sign nothing.")
    ] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Sign a command file with a key file, a key in a token or a vault, or ssh-keygen (--message and --attach).

    Name a key in a token or a vault by its URI: hsm:2?label=TOKEN (PKCS#11, with PYKCS11LIB naming the module)
    or hv:NAME (HashiCorp Vault).

    With a security key or a passphrase: `gatehouse sign FILE --message M`, then
    `ssh-keygen -Y sign -n gatehouse-command@v1 -f KEY M`, then `gatehouse sign FILE --attach M.sig`.
    """
    from controller.cli.sign.command_files import attach_signatures, read_envelope, sign_with, write_envelope, write_message
    from controller.cli.sign.command_view import print_command
    from exchange.errors import UsageError

    if sum((bool(key), bool(attach), message is not None)) != 1:
        raise UsageError(
            "exactly one of --key, --attach and --message is needed", code="usage", remedy="Use `gatehouse sign FILE --key KEY`."
        )
    envelope = read_envelope(file)
    if message is not None:
        write_message(envelope, message)
    else:
        envelope = sign_with(attach_signatures(envelope, attach), key, directory)
    if message is None:
        write_envelope(envelope, file)
    print_command(envelope, directory, output)


def inspect(file: FileArgument, directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Show what a command file asks for, its word code and who signed it."""
    from controller.cli.sign.command_files import read_envelope
    from controller.cli.sign.command_view import print_command

    print_command(read_envelope(file), directory, output)


def submit(file: FileArgument, directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Submit a signed command. The gate is evaluated now and the decision is journalled before it takes effect."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.sign.command_files import read_envelope
    from controller.cli.sign.command_view import print_receipt

    text = read_envelope(file).text
    with OperatorClient(directory) as client:
        print_receipt(client.submit(text), output)


def approve(
    file: FileArgument,
    key: KeysOption = [],  # noqa: B006 - typer reads it, nothing changes it
    attach: AttachOption = [],  # noqa: B006 - likewise
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Add signatures to a command file and submit it."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.sign.command_files import attach_signatures, read_envelope, sign_with, write_envelope
    from controller.cli.sign.command_view import print_command, print_receipt
    from exchange.errors import UsageError

    if not key and not attach:
        raise UsageError(
            "there is no signature to add",
            code="usage",
            remedy="Add --key or --attach. To submit without a new signature run `gatehouse submit FILE`.",
        )
    envelope = sign_with(attach_signatures(read_envelope(file), attach), key, directory)
    write_envelope(envelope, file)
    if output is Output.TABLE:
        print_command(envelope, directory, output)
    with OperatorClient(directory) as client:
        print_receipt(client.submit(envelope.text), output)
