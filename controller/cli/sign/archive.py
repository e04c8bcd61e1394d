"""``gatehouse archive``: let old entries of the journal be archived, with a signed command. ``controller.cli.app`` adds it."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign.signing import KeysOption, ReasonOption
from policies.authority import Verb


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(archive)


def archive(
    key: KeysOption,
    reason: ReasonOption,
    keep: Annotated[int, typer.Option(metavar="DAYS", min=0, help="Keep the entries of this many days in the journal.")] = 30,
    upto: Annotated[int | None, typer.Option(metavar="SEQ", min=1, help="Archive up to this entry, whatever its age.")] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let old entries of the journal be moved to an archive. Nothing moves yet.

    Then stop the controller and run `gatehouse journal archive`. What is still open keeps its entries in the journal.
    """
    from controller.cli.journal.closing import last_to_archive
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out

    subject = last_to_archive(directory, keep_days=keep, upto=upto)
    carry_out(make_request(Verb.ARCHIVE, reason=reason, subject=subject), key, directory, output)
