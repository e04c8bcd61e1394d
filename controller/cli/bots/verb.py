"""``gatehouse bot-config``: prints what a client needs to trade through the gateway. ``cli.app`` adds it."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.bots.clients import ClientName
from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(bot_config)


def bot_config(
    client: Annotated[ClientName, typer.Argument(metavar="CLIENT", help=f"One of: {', '.join(ClientName)}.")],
    bot: Annotated[str, typer.Argument(metavar="BOT", help="The bot's name, as `gatehouse status` lists it.")],
    api_key: Annotated[str, typer.Option("--api-key", help="Which of the bot's keys, where it has several.")] = "",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the configuration of a client that trades as a bot of this deployment; paste it into a file. It holds no secret."""
    from controller.cli.bots.access import access_of
    from controller.cli.bots.clients import load_clients
    from controller.cli.bots.forms import configuration, file_name, variable
    from controller.cli.shared.output import print_json
    from controller.cli.show.policy import load
    from controller.settings.deployment import load_settings

    settings, known = load_settings(directory), load_clients()[client]
    policy = load(directory / settings.policy)
    access, secret = access_of(directory, settings, policy, bot, api_key)
    text = configuration(known, access, str(secret))
    if output is Output.TABLE:
        typer.echo(text, nl=False)
        return
    print_json(
        {
            "client": client.value,
            "version": known.version,
            "bot": bot,
            "key": access.key,
            "gateway": access.gateway,
            "secret_file": str(secret),
            "secret_variable": variable(client),
            "file": file_name(client),
            "configuration": text,
        }
    )
