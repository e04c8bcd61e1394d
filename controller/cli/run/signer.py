"""``gatehouse signer``: the process that holds the exchange secrets. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(signer)


def signer(
    directory: DirectoryOption = HERE,
    path: Annotated[
        Path | None, typer.Option("--socket", help="Where to listen, for a controller that runs as another user.")
    ] = None,
    descriptor: Annotated[
        int | None, typer.Option("--fd", min=3, help="The inherited socket to the controller that starts this.")
    ] = None,
) -> None:
    """Hold the exchange secrets and sign for the controller. `gatehouse run` starts it, unless gatehouse.toml names a socket."""
    import socket

    from controller.cli.loading import loaded
    from controller.cli.run.signer_run import open_service
    from controller.notifying.service_manager import from_environment
    from controller.signer.process import ignore_signals, listen, protect, serve
    from exchange.errors import UsageError

    loaded()
    protect()
    if path is not None and descriptor is None:
        listen(path, open_service(directory), from_environment())
    elif descriptor is not None and path is None:
        ignore_signals()
        with socket.socket(fileno=descriptor) as connection:
            connection.set_inheritable(False)
            serve(connection, open_service(directory))
    else:
        raise UsageError(
            "the signer needs a socket to listen on",
            code="usage",
            remedy="`gatehouse run` starts the signer by itself. To run it as another user, use --socket PATH.",
        )
