"""``gatehouse release``: compute the digest that identifies a bot. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import Output, OutputOption

app = typer.Typer(help="Compute what identifies a bot.")


@app.callback()
def release() -> None:
    """Compute what identifies a bot."""


@app.command()
def digest(path: Annotated[Path, typer.Argument(help="The bot's file or directory.")], output: OutputOption = Output.TABLE) -> None:
    """Print the digest of a bot's file or directory, as `artifact` in gatehouse.toml and `set-release --artifact` take it."""
    from controller.cli.shared.output import print_json
    from controller.settings.artifact import artifact_digest

    found = artifact_digest(path)
    if output is Output.JSON:
        print_json({"path": str(path), "artifact": found})
        return
    typer.echo(found)
