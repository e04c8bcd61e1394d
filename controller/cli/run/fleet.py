"""``gatehouse fleet``: several deployments of this machine on one page, read-only. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(fleet)


def fleet(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The folders of the deployments.")],
    host: Annotated[str, typer.Option(help="The loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 is any free one.")] = 8705,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show several deployments of this machine on one page, until SIGTERM or Ctrl-C. It reads through their local sockets."""
    from controller.cli.loading import loaded
    from controller.cli.run.fleet_run import serve
    from controller.cli.shared.output import print_json, stderr
    from controller.cli.shared.signals import run_until_stopped

    loaded()

    def announce(address: str) -> None:
        if output is Output.JSON:
            print_json({"event": "ready", "address": address})
        else:
            stderr().print(f"fleet page at {address}", markup=False, soft_wrap=True)

    run_until_stopped(serve(directories, host, port, announce))
