"""Answering for an alert, and practising a halt."""

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
    """Add the verbs of this file."""
    for verb in (ack_alert, drill):
        app.command()(verb)


def ack_alert(
    alert: Annotated[str, typer.Argument(metavar="ID", help="The alert's id, as `gatehouse status` lists it.")],
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say that you have seen an alert and answer for it. Any one key can; nothing else changes, and no halt is lifted."""
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out

    carry_out(make_request(Verb.ACK_ALERT, reason=reason, subject=alert), key, directory, output)


def drill(
    kind: Annotated[DrillKind, typer.Argument(help="What to practise.")],
    key: KeysOption,
    reason: ReasonOption = "a drill",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Practise a halt where no real money is at work: latch, cancel everything, prove it, print how long it took, go on.

    Exit code 5 when it became a real halt: the venue was not proven empty in time, or something broke meanwhile.
    """
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.oversight_view import drill_text
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
    """Follow the drill until it has ended. ``before`` is the command of the last one."""
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
        "the drill did not end in time", code="drill-not-ended", remedy="See `gatehouse status`; it halts by itself when it fails."
    )
