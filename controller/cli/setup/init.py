"""``gatehouse init``: writes the files of a new deployment. ``cli.app`` adds it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import Output, OutputOption


class Profile(StrEnum):
    """What kind of deployment to make."""

    SOLO = "solo"
    TEAM = "team"
    DEMO = "demo"


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(init)


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The new directory. It is made if it is missing, and must be empty.")
    ],
    profile: Annotated[Profile, typer.Option(help="solo, team: real money on MEXC; demo: two local venues, a sample bot.")],
    person: Annotated[
        list[str], typer.Option(help="The name of a signer; once for solo, twice for team, the operator first.")
    ] = [],  # noqa: B006
    live_key: Annotated[str, typer.Option(help="The public half of the MEXC API key; its secret goes into a file.")] = "",
    watchdog_key: Annotated[
        str, typer.Option(help="The public half of the watchdog's own MEXC API key, of the same account.")
    ] = "",
    bot: Annotated[Path | None, typer.Option(help="The bot's file. Its digest identifies the bot.")] = None,
    units: Annotated[bool, typer.Option("--systemd", help="For the packaged units; DIR is /etc/gatehouse/NAME.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write a new deployment: settings, policy, roster and new keys. Secret files have mode 0600."""
    from controller.cli.setup.deployment import DEFAULT_PORTS, TESTNET_KEY, accounts_file, write_deployment
    from controller.cli.setup.production import TESTNET_KEY as OWN_TESTNET_KEY
    from controller.cli.setup.production import Wanted, write_production
    from controller.cli.setup.units import check_name, lay_out
    from controller.cli.shared.output import print_json, stdout, table
    from exchange.errors import UsageError
    from policies.stage import Mode

    if units:
        check_name(directory)
    if profile is Profile.DEMO:
        if person or live_key or watchdog_key or bot is not None:
            raise UsageError(
                "the demo has its own persons, key and bot",
                code="usage",
                remedy="Use --profile demo without --person, --live-key, --watchdog-key and --bot.",
            )
        written = write_deployment(directory, DEFAULT_PORTS)
    else:
        written = write_production(directory, Wanted(Mode(profile.value), person, live_key, bot, watchdog_key))
    if units:
        demo = profile is Profile.DEMO
        written = lay_out(directory, DEFAULT_PORTS, TESTNET_KEY if demo else OWN_TESTNET_KEY, written, demo=demo)
    if output is Output.JSON:
        print_json({"directory": str(directory), "files": [{"file": str(path), "purpose": purpose} for path, purpose in written]})
        return
    console = stdout()
    console.print(table(("file", "what it is"), written))
    if units:
        console.print(f"Next: `systemctl start gatehouse@{directory.resolve().name}`, then `gatehouse doctor --dir {directory}`.")
    elif profile is Profile.DEMO:
        console.print("Next, each in a terminal of its own, the two local venues and the deployment:")
        for venue, port in (("testnet", DEFAULT_PORTS.testnet), ("live", DEFAULT_PORTS.live)):
            command = f"  gatehouse testnet --port {port} --accounts {accounts_file(directory, venue)}"
            if venue == "testnet":
                command += f" --identity {directory / TESTNET_KEY}"
            console.print(command, soft_wrap=True)
        console.print(f"  gatehouse run --dir {directory}", soft_wrap=True)
        console.print(f"Then `gatehouse doctor --dir {directory}` and `gatehouse status --dir {directory}`.", soft_wrap=True)
    else:
        console.print(
            f"Next: `gatehouse doctor --dir {directory}`, then `gatehouse run --dir {directory}`, which starts the testnet too.",
            soft_wrap=True,
        )
