"""``gatehouse rehearse``. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(rehearse)


def rehearse(
    directory: Annotated[Path, typer.Argument(help="A new or empty directory for the rehearsed deployment.")],
    tape: Annotated[
        list[Path], typer.Option("--tape", help="Bars (CSV) or a recorded tape; several are played one after the other, and again.")
    ],
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=1000, help="Covered hours that the validation needs.")] = 72,
    bot: Annotated[
        str | None,
        typer.Option("--bot", help="A module with `async def trade(port)`, or CLIENT PROGRAM; without it a small maker trades."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Everything that is left to chance follows from it.")] = 1,
    faults: Annotated[
        str,
        typer.Option(
            "--faults", help="What happens in the middle of the validation: names from ops/docs/rehearsal.md, with commas."
        ),
    ] = "",
    until: Annotated[str, typer.Option("--until", help="The stage at which the rehearsal ends.")] = "LIVE_EUR10",
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A policy without its section testnet; by default one that fits --hours.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take a bot through the whole lifecycle in virtual time, in one process: hours of trading in minutes, and a journal of it."""
    from controller.cli.rehearse.show import rehearse_and_show

    rehearse_and_show(directory, tuple(tape), hours, seed, until=until, bot=bot, faults=faults, policy=policy, output=output)
