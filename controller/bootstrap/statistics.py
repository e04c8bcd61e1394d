"""Runs the statistics of the run beside the controller. A start calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from controller.bootstrap.beside import run_beside
from controller.core.effects import Alert
from controller.runtime.assembly import Assembly
from controller.runtime.figures_process import in_a_process
from controller.runtime.statistics import EVERY_S, Compute, Statistics


def keep_statistics(
    assembly: Assembly,
    notify: Callable[[Alert], object],
    stack: AsyncExitStack,
    *,
    compute: Compute = in_a_process,
    every_s: float = EVERY_S,
) -> None:
    """Compute them every hour until ``stack`` ends, and before each proposal whose gate asks for them.

    A rehearsal is one process, and computes them on its loop.
    """
    statistics = Statistics(lambda: assembly.writer.state, assembly.operator.measured, compute=compute, every_s=every_s)
    assembly.operator.before_proposal = statistics.before_proposal
    run_beside("statistics of the run", statistics.run, notify, stack)
