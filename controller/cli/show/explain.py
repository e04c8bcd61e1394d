"""``gatehouse explain``: what the journal says about one order, command, gate, rule or entry. ``cli.app`` adds it."""

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
            help="The id of an order, command, alert or entry, a gate's name, "
            "`gate`, `halt`, `drill`, `proposal`, `testnet` or `refusal`."
        ),
    ],
    name: Annotated[str, typer.Argument(help="The id after `refusal`: `explain refusal ID`. Without it: the last refusal.")] = "",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Explain a decision from the journal: the measured values, the thresholds and what would change the decision."""
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.explanations import explain_subject
    from exchange.errors import UsageError

    if name and subject not in _WORDS:
        raise UsageError(f"{subject!r} takes no id", code="usage", remedy=f"Use one of {', '.join(_WORDS)}.")
    found = explain_subject(directory, name or subject)
    if output is Output.JSON:
        print_json(found.document)
        return
    console = stdout()
    for part in found.parts:
        console.print(part)
