"""``gatehouse init``: writes the files of a new deployment. ``cli.app`` adds it."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import Output, OutputOption

if TYPE_CHECKING:
    from controller.cli.setup.questions import Answers


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
    profile: Annotated[
        Profile | None,
        typer.Option(
            help="solo, team: real money on MEXC; demo: two local venues, a sample bot. Without it five questions are asked."
        ),
    ] = None,
    person: Annotated[
        list[str], typer.Option(help="The name of a signer; once for solo, twice for team, the operator first.")
    ] = [],  # noqa: B006
    live_key: Annotated[str, typer.Option(help="The public half of the MEXC API key; its secret goes into a file.")] = "",
    watchdog_key: Annotated[
        str, typer.Option(help="The public half of the watchdog's own MEXC API key, of the same account.")
    ] = "",
    bot: Annotated[Path | None, typer.Option(help="The bot's file. Its digest identifies the bot.")] = None,
    units: Annotated[bool, typer.Option("--systemd", help="For the packaged units; DIR is /var/lib/gatehouse/NAME.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write a new deployment: settings, policy, roster and new keys. Secret files have mode 0600."""
    from controller.cli.setup.deployment import DEFAULT_PORTS, TESTNET_KEY, write_deployment
    from controller.cli.setup.production import TESTNET_KEY as OWN_TESTNET_KEY
    from controller.cli.setup.production import Wanted, write_production
    from controller.cli.setup.units import check_name, lay_out
    from exchange.errors import UsageError
    from policies.stage import Mode

    if units:
        check_name(directory)
    if profile is None:
        answers = _answers()
        profile = Profile(answers.profile)
        person, live_key = person or list(answers.persons), live_key or answers.live_key
        watchdog_key, bot = watchdog_key or answers.watchdog_key, bot or answers.bot
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
    _show(directory, written, _next(directory, profile, units=units), output)


@dataclass(frozen=True, slots=True)
class _Next:
    """What to do with the new deployment: a sentence, and the commands in their order."""

    sentence: str
    commands: tuple[str, ...]


def _show(directory: Path, written: list[tuple[str, str]], following: _Next, output: Output) -> None:
    from controller.cli.shared.output import print_json, stdout, table

    if output is Output.JSON:
        files = [{"file": str(path), "purpose": purpose} for path, purpose in written]
        print_json({"directory": str(directory), "files": files, "next": following.commands})
        return
    console = stdout()
    console.print(table(("file", "what it is"), written))
    console.print(following.sentence)
    for command in following.commands:
        console.print(f"  {command}", soft_wrap=True)


def _answers() -> Answers:
    """Ask, where somebody can answer."""
    from controller.cli.setup.questions import asked
    from exchange.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError(
            "`gatehouse init` needs --profile, because nobody can answer its questions: standard input is no terminal",
            code="usage",
            remedy="Add --profile solo, team or demo, and see `gatehouse init --help` for --person, --live-key and --bot.",
        )
    return asked(lambda question, default: typer.prompt(question, default=default, show_default=bool(default), err=True).strip())


def _next(directory: Path, profile: Profile, *, units: bool) -> _Next:
    from controller.cli.setup.deployment import DEFAULT_PORTS, TESTNET_KEY, accounts_file

    where = shlex.quote(str(directory))
    doctor, status = f"gatehouse doctor --dir {where}", f"gatehouse status --dir {where}"
    if units:
        name = directory.resolve().name
        start = f"systemctl enable --now gatehouse@{name}"
        if profile is Profile.DEMO:
            return _Next("Next, as root:", (f"systemctl enable --now gatehouse-testnet@{name}-live", doctor, start, status))
        sentence = (
            "Next, as root. Put the secrets where the table says, and let the units reach MEXC (reach-mexc.conf, in install.md). "
            "The first command names what is still missing, the second starts the testnet, the signer and the watchdog too:"
        )
        return _Next(sentence, (doctor, start, status))
    if profile is not Profile.DEMO:
        sentence = "Next. The first names what is still missing, the second starts the testnet, the signer and the watchdog too:"
        return _Next(sentence, (doctor, f"gatehouse run --dir {where}", status))
    venues = (
        f"gatehouse testnet --port {port} --accounts {shlex.quote(str(accounts_file(directory, venue)))}"
        + (f" --identity {shlex.quote(str(directory / TESTNET_KEY))}" if venue == "testnet" else "")
        for venue, port in (("testnet", DEFAULT_PORTS.testnet), ("live", DEFAULT_PORTS.live))
    )
    sentence = "Next, each in a terminal of its own: the two local venues, and the deployment. Then see it with status:"
    return _Next(sentence, (*venues, f"gatehouse run --dir {where}", status))
