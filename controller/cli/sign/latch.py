"""Halts through the latch file when the controller does not answer. ``gatehouse halt`` uses it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from controller.cli.shared.client import data_directory, listener
from controller.cli.shared.output import Output, print_json, stdout
from controller.runtime.followers.latchfile import LATCH_FILE, LatchFile, LatchMark, latch_elsewhere
from controller.settings.state_directory import state_directory
from exchange.errors import DeadlineExceeded, GatehouseError, Unreachable

TAKEN_WITHIN_S = 3.0
"""A running controller looks every 200 ms; its journal then needs a moment to hold the halt, and the mark names its entry."""


def halt_without_answer(directory: Path, reason: str, error: GatehouseError, output: Output) -> None:
    """Write the halt into the latch file, and wait until a controller has recorded it.

    Raises:
        GatehouseError: ``error``, when no controller has ever run here.
        Unreachable: the file cannot be written, or no controller has recorded the halt yet.
    """
    data = data_directory(directory)
    if not data.is_dir():
        raise error
    latch, elsewhere = LatchFile(data / LATCH_FILE), state_directory()
    # The copy is where the controller's user looks for it, so only that user can write it.
    own = elsewhere is not None and data.stat().st_uid == os.geteuid()
    copied = LatchFile(data / LATCH_FILE, latch_elsewhere(elsewhere, directory)) if own and elsewhere is not None else latch
    try:
        copied.put(LatchMark(reason or "an operator stopped it", 0, halted=True))
    except OSError as failure:
        raise Unreachable(
            f"NOT HALTED: {error.message}, and the latch file {data / LATCH_FILE} cannot be written: {failure.strerror}",
            code="halt-not-written",
            remedy=f"Stop the controller with `kill {listener(directory) or 'PID'}`, then cancel the open orders on the "
            f"venue's own page.",
        ) from None
    deadline = time.monotonic() + TAKEN_WITHIN_S
    while (mark := latch.read()) is not None and not mark.seq and time.monotonic() < deadline:
        time.sleep(0.1)
    if mark is None or mark.seq:
        if output is Output.JSON:
            print_json({"halted": True, "through": "latch file", "because": error.code})
        else:
            stdout().print("halted through the latch file; the controller's socket did not answer. Read `gatehouse status`.")
        return
    raise _not_recorded(error, listener(directory))


def _not_recorded(error: GatehouseError, pid: int) -> Unreachable:
    """What is certain, and what a person has to do: it differs between a controller that is silent and one that is not there."""
    if isinstance(error, DeadlineExceeded):
        why = "the controller is up but does not answer. The halt is in the latch file, and it has not recorded it yet"
        remedy = (
            "It sends no order from 250 ms after the file was written, but nothing is cancelled. Run `gatehouse status`; if "
            "that does "
            f"not show HALTED, end it with `kill -KILL {pid or 'PID'}` and start it again: that start is HALTED and cancels "
            f"what is open. "
            "Look at the open orders on the venue's own page."
        )
    elif error.code == "not-answering":
        why = f"{error.message}. The halt is in the latch file, which it reads when it runs"
        remedy = (
            "Run `gatehouse status` until it shows HALTED. If you cannot wait, end the process with `kill`: then nothing "
            "sends orders, "
            "and the next start is HALTED and cancels what is open."
        )
    else:
        why = f"{error.message}. The halt is in the latch file for the next start, which is HALTED"
        remedy = (
            "If no controller runs, nothing sends orders, but open ones stay at the venue: look at its own page, or start the "
            "controller, which cancels them."
        )
    return Unreachable(f"NOT HALTED: {why}", code="halt-not-recorded", remedy=remedy)
