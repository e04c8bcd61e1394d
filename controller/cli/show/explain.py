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
    name: Annotated[
        str,
        typer.Argument(
            help="After `refusal`: its id; without it, the last refusal. After `gate`: a gate, or a rule of the next one; "
            "without it, every rule of the next gate."
        ),
    ] = "",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Explain a decision from the journal: the measured values, the thresholds and what would change the decision."""
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.explanations import explain_subject
    from controller.cli.show.rule_explained import explain_rule, is_rule
    from exchange.errors import UsageError

    if name and subject not in _WORDS:
        raise UsageError(f"{subject!r} takes no id", code="usage", remedy=f"Use one of {', '.join(_WORDS)}.")
    found = explain_rule(directory, name) if subject == "gate" and is_rule(name) else explain_subject(directory, name or subject)
    if output is Output.JSON:
        print_json(found.document)
        return
    console = stdout()
    for part in found.parts:
        console.print(part)
