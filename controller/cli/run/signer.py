"""``gatehouse signer``: the process that holds the exchange secrets; ``gatehouse run`` starts it. ``cli.app`` adds it."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(signer)


def signer(
    descriptor: Annotated[int, typer.Option("--fd", min=3, help="The inherited socket to the controller.")],
    directory: DirectoryOption = HERE,
) -> None:
    """Sign for the controller that started this process, until it closes the socket. `gatehouse run` starts it by itself."""
    import socket

    from controller.cli.run.signer_run import open_service
    from controller.signer.process import protect, serve

    protect()
    with socket.socket(fileno=descriptor) as connection:
        connection.set_inheritable(False)
        serve(connection, open_service(directory))
