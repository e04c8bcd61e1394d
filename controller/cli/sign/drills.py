"""``gatehouse drill``: practise a fault with a signed command, and wait for its result. ``controller.cli.app`` adds it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign.signing import KeysOption, ReasonOption
from policies.authority import Verb
from policies.drills import DrillKind

if TYPE_CHECKING:
    from controller.console.drills import DrillView

LOOK_EVERY_S = 0.2
MORE_S = 60.0
"""How much longer than the drill's own deadline the command waits for its result."""


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
    """Practise a fault in the running deployment, measure what gatehouse does, print the figures, go on.

    halt: stop trading and cancel everything. kill: the same by the thread that needs no writer. crash: kill this controller; start
    it again. stale: withhold market data. clock: make the measured clock wrong. ratelimit: the testnet answers 429. ambiguous: the
    testnet loses the answer to the bot's next order. disk: the journal's file may not grow. watchdog: send no heartbeat until it
    has cancelled everything. hang: block the event loop. restore: open, verify and replay the newest backup in a scratch folder.

    It runs at the testnet stages. kill, stale and watchdog also run with real money while nothing is held and nothing is open;
    restore runs wherever it is not HALTED, and halts nothing. Every other drill becomes a real halt (exit code 5) if it is not
    proven in time, or if anything else goes wrong meanwhile. If the fault could not be practised the drill fails and nothing halts
    (exit code 1).
    """
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.drill_view import drill_text
    from controller.cli.sign.command_files import make_request, subject_of
    from controller.cli.sign.moves import carry_out

    request = make_request(Verb.DRILL, reason=reason, subject=subject_of(Verb.DRILL, kind.value, directory))
    began = _last(directory)
    carry_out(request, key, directory, output, show_receipt=output is Output.TABLE)
    ended = _watch(directory, kind, began)
    if output is Output.JSON:
        print_json(ended)
    else:
        stdout().print(drill_text(ended))
    if ended.ended_by:
        raise typer.Exit(5 if ended.exercised else 1)


def _last(directory: Path) -> str:
    from controller.cli.shared.client import OperatorClient

    with OperatorClient(directory) as client:
        last = client.status().oversight.last_drill
    return last.command_id if last is not None else ""


def _watch(directory: Path, kind: DrillKind, before: str) -> DrillView:
    """Wait until the drill ends. ``before`` is the command id of the previous drill."""
    from controller.cli.shared.output import stderr
    from exchange.errors import DeadlineExceeded
    from policies.drills import DRILLS

    give_up_after_s = DRILLS[kind].within_ms / 1000 + MORE_S
    deadline = time.monotonic() + give_up_after_s
    with stderr().status(f"a {kind} drill runs") as progress:
        while time.monotonic() < deadline:
            said, ended = _look(directory, kind, before)
            if ended is not None:
                return ended
            progress.update(said)
            time.sleep(LOOK_EVERY_S)
    raise DeadlineExceeded(
        f"the drill did not end within {give_up_after_s:.0f} s",
        code="drill-not-ended",
        remedy="Run `gatehouse status`. A drill that fails halts the deployment; after a crash drill start the controller.",
    )


def _look(directory: Path, kind: DrillKind, before: str) -> tuple[str, DrillView | None]:
    """What to show while the drill runs, and its result once it has ended."""
    from controller.cli.shared.client import OperatorClient
    from exchange.errors import Unreachable

    try:
        with OperatorClient(directory) as client:
            status = client.status()
    except Unreachable:
        if kind is not DrillKind.CRASH:
            raise
        return "the controller was killed; start it again with `gatehouse run` unless a supervisor does", None
    last, running = status.oversight.last_drill, status.oversight.drill
    if running is None and last is not None and last.command_id != before:
        return "", last
    if running is None:
        return f"a {kind} drill begins", None
    return f"a {kind} drill runs on {running.venue}: {status.working_orders} orders working, {running.denied} denied", None
