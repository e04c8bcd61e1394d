"""Runs a rehearsal with progress on standard error, and prints and keeps its result. ``rehearse.verb`` calls it."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from controller.cli.rehearse.parts import processes
from controller.cli.shared.output import Output, print_json, say, stderr, stdout
from controller.cli.show.report import show_report, write_report
from controller.rehearsal.bots import load_bot
from controller.rehearsal.faults import named
from controller.rehearsal.policy import policy_file
from controller.rehearsal.production import Compared, compared
from controller.rehearsal.run import Result, rehearse
from controller.rehearsal.scene import Rehearsal, Script
from exchange.errors import ConfigError, UsageError
from policies.stage import Stage

RESULT_FILE = "rehearsal.json"
LOG_FILE = "rehearsal.log"


def rehearse_and_show(
    directory: Path,
    tapes: tuple[Path, ...],
    hours: float,
    seed: int,
    *,
    until: str,
    bot: str | None,
    faults: str,
    policy: Path | None,
    output: Output,
) -> None:
    """Rehearse, and show how it ended. Raises ``GatehouseError``."""
    script = Script(
        directory=directory,
        tapes=tapes,
        hours=hours,
        seed=seed,
        bot=load_bot(bot),
        until=_stage(until),
        faults=named(faults),
        policy=policy_file(policy) if policy is not None else None,
    )
    try:
        with _progress(hours) as show, _log_beside(directory):
            result = rehearse(script, processes(), show)
    except KeyboardInterrupt:
        say(f"The rehearsal was interrupted. {directory} has its journal until then; it cannot go on there. Use a new directory.")
        raise
    if output is Output.TABLE:
        # At once: a full disk keeps the report from being written, and must not hide the verdict.
        _print(directory, result)
    # The run of the validation is what was rehearsed; where it did not pass, the report says how far it came.
    sealed, written = write_report(directory, result.validated_by or None, None)
    reports = {name: str(path) for name, path in written.items()}
    against = compared(sealed.document)
    document = {"simulated": True, "accelerated": True, "directory": str(directory), **asdict(result), "reports": reports}
    document["production"] = [asdict(one) for one in against]
    if output is Output.JSON:
        print_json(document)
    else:
        show_report(sealed, written)
        _print_production(against)
    _keep(directory / RESULT_FILE, document)


def _keep(path: Path, document: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the result cannot be written to {path}: {error.strerror or error}",
            code="result-not-written",
            remedy="Free space on the disk; the result above is complete.",
        ) from None


def _stage(name: str) -> Stage:
    found = next((stage for stage in Stage if name in {stage.value, stage.name}), None)
    if found is None or found in {Stage.HALTED, Stage.RAMPING}:
        raise UsageError(
            f"{name} is no stage that a rehearsal ends at",
            code="rehearsal-until",
            remedy="Use --until with MOCK, TESTNET_VALIDATING, VALIDATED or LIVE_EUR10.",
        )
    return found


@contextmanager
def _progress(hours: float) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[at]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task("MOCK", total=hours * 3600, at="")

        def show(rehearsal: Rehearsal, status: dict[str, Any]) -> None:
            at = rehearsal.loop.time()
            described = f"{status['position']}, {rehearsal.port.sent} orders"
            progress.update(task, completed=at, description=described, at=f"{int(at // 3600)}:{int(at // 60 % 60):02d} h")

        yield show


@contextmanager
def _log_beside(directory: Path) -> Iterator[None]:
    """What the parts of the deployment log goes into the folder, once there is one."""
    directory_log = logging.FileHandler(directory / LOG_FILE, delay=True, encoding="utf-8")
    directory_log.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(directory_log)
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(directory_log)
        root.setLevel(before)
        directory_log.close()


def _print_production(against: Sequence[Compared]) -> None:
    console = stdout()
    counts = Counter(one.verdict for one in against)
    console.print(
        "What production would say, which no rehearsal decides: " + ", ".join(f"{n} {word}" for word, n in counts.items())
    )
    for one in against:
        console.print(f"  {one.verdict:<8}{one.metric:<26}{one.measured or '-':<18}{one.asked:<10} of {one.samples}", markup=False)


def _print(directory: Path, result: Result) -> None:
    console = stdout()
    speed = result.virtual_s / result.wall_s if result.wall_s else 0
    console.print(f"verdict  {result.verdict}   (simulated, accelerated, {result.source}; seed {result.seed})")
    console.print(f"signed   {'; '.join(result.signed) or 'nothing'}")
    if result.bot_ended:
        console.print(f"bot      it ended before the rehearsal: {result.bot_ended}")
    if result.struck:
        console.print(f"faults   {', '.join(result.struck)}")
    console.print(f"journal  {result.journal_seq} entries, head {result.journal_head}")
    console.print(
        f"took     {result.wall_s:.1f} s for {result.virtual_s / 3600:.2f} h ({speed:.0f} times as fast), "
        f"{result.cpu_s:.1f} s of CPU, {result.peak_mib} MiB at most"
    )
    console.print(f"counts   {', '.join(f'{name} {count:,}' for name, count in result.counts.items())}")
    console.print(f"next     gatehouse report --dir {directory}; gatehouse journal verify --allow-unwitnessed --dir {directory}")
