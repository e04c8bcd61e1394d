"""Verbs for bots' gateway keys: make, issue, revoke. Secrets stay in their files. ``cli.app`` adds them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign import keys
from controller.cli.sign.signing import KeysOption, ReasonOption
from policies.authority import Verb

group = keys.app
"""`gatehouse keys`, with the verb of this file."""

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The bot's name: small letters, digits and hyphens.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file that are one word."""
    for verb in (issue_bot_key, revoke_bot_key):
        app.command()(verb)


@keys.app.command("bot")
def make(name: NameArgument, directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Make a gateway key for a bot, with its secret in a 0600 file here. The gateway refuses it until `gatehouse issue-bot-key`."""
    from pydantic import TypeAdapter, ValidationError

    from controller.bootstrap.bot_secrets import make_bot_key
    from controller.cli.shared.output import print_json, stdout, table
    from controller.core.decisions.bot_keys import BotName
    from controller.settings.deployment import load_settings
    from exchange.errors import UsageError

    settings = load_settings(directory)
    try:
        TypeAdapter(BotName).validate_python(name)
    except ValidationError:
        raise UsageError(
            f"{name!r} is not a valid bot name", code="usage", remedy="Use at most 32 small letters, digits and hyphens."
        ) from None
    made = make_bot_key(directory, name, settings.data)
    if output is Output.JSON:
        print_json({"bot": made.bot, "key": made.key, "secret_file": str(made.path), "document": str(made.document)})
        return
    stdout().print(table(("bot", "key", "secret (give it to the bot)"), [(made.bot, made.key, made.path)]))
    stdout().print(f"The key is not issued yet. Issue it: `gatehouse issue-bot-key {name} --key YOUR_KEY --reason …`.")
    stdout().print(f"If two persons must sign: `gatehouse propose issue-bot-key --subject {made.document} --reason …`.")


def issue_bot_key(
    name: NameArgument,
    key: KeysOption,
    reason: ReasonOption,
    api_key: Annotated[
        str, typer.Option("--api-key", help="The bot's key to issue; by default its only key that is not issued.")
    ] = "",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let a bot use the gateway, at once. With real money it needs as many signatures as a step up."""
    from controller.bootstrap.bot_secrets import bot_secret
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out
    from controller.core.decisions.bot_keys import key_document, secret_digest
    from controller.settings.deployment import load_settings

    settings = load_settings(directory)
    chosen = api_key or _unissued(directory, name)
    digest = secret_digest(chosen, bot_secret(directory, settings, name, chosen))
    request = make_request(Verb.ISSUE_BOT_KEY, reason=reason, subject=key_document(name, chosen, digest))
    carry_out(request, key, directory, output)


def revoke_bot_key(
    api_key: Annotated[str, typer.Argument(metavar="API_KEY", help="The gateway key, as `gatehouse status` lists it.")],
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Revoke a bot's key for ever, at once, and cancel the bot's open orders. One signature by any key is enough."""
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out

    carry_out(make_request(Verb.REVOKE_BOT_KEY, reason=reason, subject=api_key), key, directory, output)


def _unissued(directory: Path, name: str) -> str:
    from controller.bootstrap.bot_secrets import made_keys
    from controller.cli.shared.client import OperatorClient
    from controller.settings.deployment import load_settings
    from exchange.errors import UsageError

    with OperatorClient(directory) as client:
        issued = {one.key for one in client.status().oversight.bot_keys}
    listed = [one.key for one in load_settings(directory).bots if one.name == name]
    found = [key for key in dict.fromkeys((*listed, *(one.key for one in made_keys(directory, name)))) if key not in issued]
    if len(found) != 1:
        what = (
            f"{len(found)} keys of {name} are not issued yet: {', '.join(found)}"
            if found
            else f"{name} has no key that can be issued"
        )
        remedy = "Choose one with --api-key." if found else f"Make one with `gatehouse keys bot {name}`."
        raise UsageError(what, code="which-bot-key", remedy=remedy)
    return found[0]
