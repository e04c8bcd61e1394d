"""``gatehouse schema``: the JSON Schema of what a verb prints with ``-o json``. ``controller.cli.app`` adds it."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.shared.output import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(schema)


def schema(
    verb: Annotated[
        list[str] | None, typer.Argument(metavar="[VERB]", help="A verb, as in `status` or `journal verify`; or `error`.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the JSON Schema of what a verb prints with `-o json`. Without a verb it lists them.

    `error` is what every verb prints to standard error when it fails with `-o json`.
    """
    import json

    from controller.cli.schemas.registry import PRINTED, schema_of
    from controller.cli.shared.output import print_json
    from exchange.errors import UsageError

    name = " ".join(verb or ())
    if not name:
        if output is Output.JSON:
            print_json(sorted(PRINTED))
        else:
            typer.echo("\n".join(sorted(PRINTED)))
        return
    if name not in PRINTED:
        raise UsageError(
            f"{name[:60]!r} prints no JSON", code="no-such-schema", remedy="`gatehouse schema` lists the verbs that do."
        )
    typer.echo(json.dumps(schema_of(name), ensure_ascii=False, indent=2))
