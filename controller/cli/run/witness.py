"""``gatehouse witness``: signs the checkpoints of other machines' journals. It needs no deployment. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(witness)


def witness(
    directory: Annotated[Path, typer.Option("--dir", help="Where it stores what it signed. If it is lost, retire this witness.")],
    log: Annotated[list[str], typer.Option("--log", help="A log's public key, as `gatehouse journal checkpoint` prints it.")],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:8720",
    key: Annotated[Path | None, typer.Option(help="Its key file; by default DIR/witness.key, made at the first start.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Serve https with this certificate and its chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key (PEM).")] = None,
    name: Annotated[str, typer.Option(help="The name in its cosignatures.")] = "gatehouse-witness",
    output: OutputOption = Output.TABLE,
) -> None:
    """Run a witness: it cosigns checkpoints that extend earlier ones and refuses all others, until SIGTERM or Ctrl-C."""
    from controller.cli.loading import loaded
    from controller.cli.run.witness_run import serve, tls_files
    from controller.cli.shared.output import print_json, stderr
    from controller.cli.shared.signals import run_until_stopped

    loaded()

    def announce(address: str, public: str) -> None:
        if output is Output.JSON:
            print_json({"event": "ready", "address": address, "key": public})
        else:
            stderr().print(f"witness at {address}, public key {public}", markup=False, soft_wrap=True)

    run_until_stopped(serve(directory, listen, key, name, log, announce, tls_files(tls_cert, tls_key)))
