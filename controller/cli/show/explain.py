"""Why: everything the journal knows about one order, command, gate, rule or entry."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

_WORDS = ("refusal", "command", "order", "gate", "entry")


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(explain)


def explain(
    subject: Annotated[
        str,
        typer.Argument(
            help="An order id (ours or the bot's), a command or alert id, a gate, an entry's number, `halt`, `drill` or `refusal`."
        ),
    ],
    name: Annotated[str, typer.Argument(help="The id, after a word: `explain refusal ID`; without one the last refusal.")] = "",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Explain a decision from the journal: what was measured, what was asked, and what would change the answer."""
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.explanations import explain_subject
    from exchange.errors import UsageError

    if name and subject not in _WORDS:
        raise UsageError(f"{subject!r} is not a word that takes an id", code="usage", remedy=f"Use one of {', '.join(_WORDS)}.")
    found = explain_subject(directory, name or subject)
    if output is Output.JSON:
        print_json(found.document)
        return
    console = stdout()
    for part in found.parts:
        console.print(part)
