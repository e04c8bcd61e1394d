"""Runs the statistics of the run beside the controller. A start calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from controller.bootstrap.beside import run_beside
from controller.core.effects import Alert
from controller.runtime.assembly import Assembly
from controller.runtime.statistics import Statistics


def keep_statistics(assembly: Assembly, notify: Callable[[Alert], object], stack: AsyncExitStack) -> None:
    """Compute them every hour until ``stack`` ends, and before each proposal whose gate asks for them."""
    statistics = Statistics(lambda: assembly.writer.state, assembly.operator.measured)
    assembly.operator.before_proposal = statistics.before_proposal
    run_beside("statistics of the run", statistics.run, notify, stack)
