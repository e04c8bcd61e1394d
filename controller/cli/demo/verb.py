"""``gatehouse demo``. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(demo)


def demo(
    end: Annotated[bool, typer.Option("--exit", help="End after the last chapter. Without it the demo keeps running.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", "-d", help="A new or empty directory for the demo's deployment; by default a temporary one."),
    ] = None,
) -> None:
    """Take a sample bot from mock money to real orders on local venues, breach a guard, and see the deployment halt."""
    from controller.cli.demo.show import run_demo

    run_demo(directory, stay=not end)
