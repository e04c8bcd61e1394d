"""``gatehouse backup``: make, verify, put back and schedule copies of a deployment. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

Identity = Annotated[
    list[Path] | None,
    typer.Option("--identity", "-i", help="A file with an age identity that opens the copy; repeatable. \\[default: settings]"),
]
CheckpointKey = Annotated[
    str | None, typer.Option(help="The public checkpoint key of the deployment, as text: the copy must be signed by it.")
]
Keep = Annotated[int, typer.Option(min=0, help="Keep only so many of the newest copies of this deployment; 0 keeps all.")]
Secrets = Annotated[bool, typer.Option("--with-secrets", help="Copy the secrets too: venue keys, gateway keys, checkpoint key.")]

JournalPlace = Annotated[
    str | None,
    typer.Option(metavar="file|URL", help="Where the journal is kept from now on: in NEWDIR, or in a new, empty database."),
]
JournalSecret = Annotated[Path | None, typer.Option(metavar="FILE", help="The file with the password of that database.")]

app = typer.Typer(help="Make, verify, put back and schedule encrypted copies of a deployment.")


@app.command()
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file for the identity, mode 0600.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Make an age identity, which opens copies, and print its public key, which goes into gatehouse.toml.

    Keep the identity away from the machine that trades. Who loses it cannot open the copies.
    """
    from controller.cli.backup.making import make_identity
    from controller.cli.backup.view import print_identity
    from controller.cli.shared.output import print_json

    public = make_identity(file)
    if output is Output.JSON:
        print_json({"identity_file": str(file), "recipient": public})
    else:
        print_identity(file, public)


@app.command()
def create(
    to: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where the copy is put. \\[default: settings]")] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    with_secrets: Secrets = False,
    keep: Keep = 0,
) -> None:
    """Make an encrypted copy of the deployment, while its controller runs or not.

    It holds the journal with its archives, settings, policy, roster and evidence. A copy has its name only once it is whole.
    """
    from controller.cli.backup.check_in import checked_in
    from controller.cli.backup.making import make_backup
    from controller.cli.backup.view import created_document, print_created
    from controller.cli.shared.output import print_json

    with checked_in(directory):
        made = make_backup(directory, to, with_secrets=with_secrets, keep=keep)
    if output is Output.JSON:
        print_json(created_document(made))
    else:
        print_created(made)


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A copy, or a folder whose newest copy is meant. \\[default: settings]")
    ] = None,
    identity: Identity = None,
    checkpoint_key: CheckpointKey = None,
    scratch: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the copy is opened; it is removed afterwards.")] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Open a copy, check every file, verify the journal in it and replay it. Works on any machine that has the identity.

    In the deployment's own directory the time is kept: `gatehouse status` shows how old the last verified copy is.
    """
    from controller.cli.backup.opening import verify_backup
    from controller.cli.backup.view import print_verified, verified_document
    from controller.cli.shared.output import print_json

    found = verify_backup(directory, file, identity or [], checkpoint_key, scratch)
    if output is Output.JSON:
        print_json(verified_document(found))
    else:
        print_verified(found)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A copy, or a folder whose newest copy is meant.")],
    new: Annotated[Path, typer.Argument(metavar="NEWDIR", help="The new deployment's directory: new, or empty.")],
    identity: Identity = None,
    checkpoint_key: CheckpointKey = None,
    journal: JournalPlace = None,
    journal_secret: JournalSecret = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Put a copy back into a new directory. Its next start is HALTED, and says which entries are lost, if that is known.

    Nothing is overwritten. The way on is a signed resume or reset, as after every halt.
    """
    from controller.cli.backup.opening import destination, restore_into
    from controller.cli.backup.view import print_restored, restored_document
    from controller.cli.shared.output import print_json

    found = restore_into(file, new, identity or [], checkpoint_key, destination(journal, journal_secret))
    if output is Output.JSON:
        print_json(restored_document(found))
    else:
        print_restored(found)


@app.command()
def confirm(
    directory: DirectoryOption = HERE,
    roster: Annotated[str | None, typer.Option(metavar="DIGEST", help="The digest of the roster that was shown.")] = None,
    revoked: Annotated[
        list[str] | None, typer.Option(metavar="KEY_ID", help="A key that was revoked after the copy; may be repeated.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the roster of a restored deployment, and confirm it: a key that was revoked after the copy is valid in it.

    Until then no signed command counts there, unless a checkpoint outside the folder shows that nothing was written after the copy.
    """
    from controller.cli.backup.confirming import confirm_roster, document_of, lines_of
    from controller.cli.shared.output import print_json, stdout

    found = confirm_roster(directory, roster, revoked or [])
    if output is Output.JSON:
        print_json(document_of(found))
    else:
        for line in lines_of(found):
            stdout().print(line, soft_wrap=True, markup=False)


@app.command()
def schedule(
    to: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where the copies are put. \\[default: settings]")] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    every: Annotated[str, typer.Option(help="How often: hourly, or daily.")] = "hourly",
    keep: Keep = 48,
    write: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the two units into this folder.")] = None,
) -> None:
    """Print a systemd service and timer, and a line for cron, that make copies. With --write the units are files.

    It starts nothing: `systemctl enable --now` does.
    """
    from controller.cli.backup.making import planned
    from controller.cli.backup.view import print_schedule, schedule_document
    from controller.cli.shared.output import print_json

    found = planned(directory, to, every=every, keep=keep, write=write)
    if output is Output.JSON:
        print_json(schedule_document(found))
    else:
        print_schedule(found)
