"""``gatehouse version``: what is installed. ``cli.app`` adds it."""

from __future__ import annotations

import typer

from controller.cli.shared.output import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(version)


def version(output: OutputOption = Output.TABLE) -> None:
    """Print the version, the Python it runs on, and where it is installed."""
    import platform

    from controller.cli.shared.output import print_json
    from controller.version import SOURCE_ROOT, VERSION

    if output is Output.JSON:
        print_json({"version": VERSION, "python": platform.python_version(), "installed": str(SOURCE_ROOT)})
    else:
        typer.echo(f"gatehouse {VERSION}, Python {platform.python_version()}, {SOURCE_ROOT}")
