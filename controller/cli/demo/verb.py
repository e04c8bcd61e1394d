"""The demo's verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(demo)


def demo(
    end: Annotated[bool, typer.Option("--exit", help="End when the story is told, instead of leaving everything up.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", "-d", help="A new or empty directory for the demo's deployment; by default a temporary one."),
    ] = None,
) -> None:
    """Take a sample bot from mock money to real orders on local venues, break a rule, and watch it being halted."""
    from controller.cli.demo.show import run_demo

    run_demo(directory, stay=not end)
