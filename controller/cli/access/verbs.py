"""``gatehouse access add|list|revoke``: tokens for the console on other machines (ADR 75). ``controller.cli.app`` adds them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

if TYPE_CHECKING:
    from pathlib import Path

    from controller.console.tokens import Grant, TokenFile

app = typer.Typer(help="Say who may use the console from another machine, with a token for each person.", no_args_is_help=True)


def _tokens(directory: Path) -> TokenFile:
    from controller.console.tokens import TokenFile
    from controller.settings.console import DEFAULT_TOKENS
    from controller.settings.deployment import load_settings

    remote = load_settings(directory).console.remote
    return TokenFile(directory / (remote.tokens if remote is not None else DEFAULT_TOKENS))


def _now() -> int:
    return time.time_ns() // 1_000_000


@app.command()
def add(
    person: Annotated[str, typer.Argument(help="Whose token it is; a halt is journalled with this name.")],
    role: Annotated[str, typer.Option(help="observer reads; halt also halts and hands in signed commands.")] = "observer",
    days: Annotated[int, typer.Option(help="How many days it is in force, at most 366.")] = 90,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a token and show it once. gatehouse keeps only its SHA-256; a running controller knows it at once."""
    from controller.cli.shared.output import print_json, stdout
    from controller.console.tokens import AccessRole
    from exchange.errors import UsageError
    from exchange.model import Millis

    if role not in set(AccessRole):
        raise UsageError(f"there is no role {role[:40]!r}", code="bad-role", remedy="Choose observer or halt.")
    grant, token = _tokens(directory).add(person, AccessRole(role), days, Millis(_now()))
    if output is Output.JSON:
        print_json({**_row(grant), "token": token})
        return
    stdout().print(f"{grant.person} ({grant.role}, id {grant.id}) until {_day(grant.ends_at)}. It is shown this once:")
    print(token)  # noqa: T201 - in one piece, whatever the width of the terminal
    stdout().print("In a browser the name is the person, and the password is the token. A program sends it as a bearer token.")


@app.command("list")
def list_grants(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """List the tokens: whose, what for, until when. The tokens themselves are nowhere."""
    from controller.cli.shared.output import print_json, stdout
    from exchange.model import Millis

    grants = _tokens(directory).grants()
    if output is Output.JSON:
        print_json([_row(one) for one in grants])
        return
    now = Millis(_now())
    for one in grants:
        state = "ENDED" if one.is_over(now) else "until"
        stdout().print(f"{one.id}  {one.person}  {one.role}  {state} {_day(one.ends_at)}")
    if not grants:
        stdout().print("No token was made: nobody can use the console from another machine.")


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="PERSON|ID", help="A person, whose tokens all end, or the id of one token.")],
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """End a token, or all tokens of a person, at once. No restart is needed."""
    from controller.cli.shared.output import print_json, stdout

    gone = _tokens(directory).revoke(name)
    if output is Output.JSON:
        print_json([_row(one) for one in gone])
        return
    stdout().print("Revoked: " + ", ".join(f"{one.id} of {one.person}" for one in gone))


def _row(grant: Grant) -> dict[str, object]:
    return grant.model_dump(mode="json", exclude={"sha256"})


def _day(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_ms / 1000))
