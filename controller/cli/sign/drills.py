"""``gatehouse drill``: practise a halt with a signed command, and wait for its result. ``controller.cli.app`` adds it."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign.signing import KeysOption, ReasonOption
from policies.authority import Verb

if TYPE_CHECKING:
    from controller.console.drills import DrillView

LOOK_EVERY_S = 0.2
GIVE_UP_AFTER_S = 90.0


class DrillKind(StrEnum):
    """What can be practised."""

    HALT = "halt"


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(drill)


def drill(
    kind: Annotated[DrillKind, typer.Argument(help="What to practise.")],
    key: KeysOption,
    reason: ReasonOption = "a drill",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Practise a halt without real money: stop trading, cancel every order, verify that none is open, print the times, go on.

    The drill becomes a real halt (exit code 5) if the venue is not verified empty in time, or if a real halt begins meanwhile.
    """
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.drill_view import drill_text
    from controller.cli.sign.command_files import make_request, subject_of
    from controller.cli.sign.moves import carry_out

    request = make_request(Verb.DRILL, reason=reason, subject=subject_of(Verb.DRILL, kind.value))
    began = _last(directory)
    carry_out(request, key, directory, output, show_receipt=output is Output.TABLE)
    ended = _watch(directory, began)
    if output is Output.JSON:
        print_json(ended)
    else:
        stdout().print(drill_text(ended))
    if ended.ended_by:
        raise typer.Exit(5)


def _last(directory: Path) -> str:
    from controller.cli.shared.client import OperatorClient

    with OperatorClient(directory) as client:
        last = client.status().oversight.last_drill
    return last.command_id if last is not None else ""


def _watch(directory: Path, before: str) -> DrillView:
    """Wait until the drill ends. ``before`` is the command id of the previous drill."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import stderr
    from exchange.errors import DeadlineExceeded

    deadline = time.monotonic() + GIVE_UP_AFTER_S
    with OperatorClient(directory) as client, stderr().status("a halt is being practised") as progress:
        while time.monotonic() < deadline:
            status = client.status()
            last, running = status.oversight.last_drill, status.oversight.drill
            if running is None and last is not None and last.command_id != before:
                return last
            if running is not None:
                left = f"{status.working_orders} orders working, {running.denied} denied"
                progress.update(f"a halt is being practised on {running.venue}: {left}")
            time.sleep(LOOK_EVERY_S)
    raise DeadlineExceeded(
        f"the drill did not end within {GIVE_UP_AFTER_S:.0f} s",
        code="drill-not-ended",
        remedy="Run `gatehouse status`. A drill that fails halts the deployment by itself.",
    )
