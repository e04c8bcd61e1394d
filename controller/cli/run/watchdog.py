"""``gatehouse watchdog``: the dead man's switch of a deployment, as a process of its own. ``cli.app`` adds it."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(watchdog)


def watchdog(
    directory: DirectoryOption = HERE,
    attached: Annotated[
        bool, typer.Option("--attached", help="`gatehouse run` starts it so: it ends when that controller says goodbye.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Cancel every open order of a deployment when its controller falls silent for the lease, until SIGTERM or Ctrl-C.

    `gatehouse run` starts one by itself where gatehouse.toml says so; on another host this verb does.
    """
    import asyncio

    from controller.cli.loading import loaded_ahead
    from controller.cli.run.watchdog_run import serve
    from controller.cli.shared.output import print_json, say

    loaded_ahead()

    def announce(address: str, lease_s: int) -> None:
        if output is Output.JSON:
            print_json({"event": "ready", "address": address, "lease_s": lease_s})
        else:
            say(f"watchdog at {address}, lease {lease_s} s")

    asyncio.run(serve(directory, announce, attached=attached))
