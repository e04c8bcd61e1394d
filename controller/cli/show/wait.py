"""Waits until a deployment is at a stage. ``gatehouse status --wait-for`` calls it, for scripts that go on from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.cli.shared.client import OperatorClient
from controller.console.schema import StatusView
from exchange.errors import DeadlineExceeded, Halted, Unreachable, UsageError
from policies.stage import Stage


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look and for how long, in seconds. ``now`` only ever grows; ``within_s`` is absent for ever."""

    every_s: float
    within_s: float | None
    now: Callable[[], float]
    sleep: Callable[[float], None]


def wanted_stage(text: str) -> Stage:
    """The stage that a person typed. Raises ``UsageError``."""
    try:
        return Stage.parse(text)
    except ValueError:
        names = ", ".join(stage.value for stage in Stage)
        raise UsageError(
            f"{text!r} is no stage", code="unknown-stage", remedy=f"Use one of {names}; LIVE_EUR10 is the same as LIVE_€10."
        ) from None


def wait_for_stage(directory: Path, stage: Stage, pace: Pace, say: Callable[[str], None]) -> StatusView:
    """The first status at ``stage``. ``say`` gets a line whenever what is waited for changes.

    A controller that does not answer is waited for too, since it may be starting again.

    Raises:
        Halted: the deployment is HALTED, and no signed way out waits for the end of its cooling-off period.
        DeadlineExceeded: it is somewhere else after ``within_s``.
    """
    began, said = pace.now(), ""
    while True:
        found, line = _look(directory)
        if found is not None and found.stage is stage:
            return found
        if found is not None and found.stage is Stage.HALTED and found.pending is None:
            raise Halted(
                f"the deployment is HALTED and not {stage}: {found.halt_reason}",
                code="halted",
                remedy="Run `gatehouse explain halt`; `gatehouse status` shows the ways out.",
            )
        if line != said:
            say(f"waiting for {stage}: {line}")
            said = line
        left = None if pace.within_s is None else pace.within_s - (pace.now() - began)
        if left is not None and left <= 0:
            raise DeadlineExceeded(
                f"it is not {stage} after {pace.within_s:g} s: {line}",
                code="stage-not-reached",
                remedy="Run `gatehouse gates` for what is missing, or wait longer with --within.",
            )
        pace.sleep(pace.every_s if left is None else min(pace.every_s, left))


def _look(directory: Path) -> tuple[StatusView | None, str]:
    try:
        with OperatorClient(directory) as client:
            found = client.status()
    except Unreachable as error:
        return None, error.message
    waits = (
        f", {found.pending.verb} to {found.pending.target} waits for its cooling-off period" if found.pending is not None else ""
    )
    unarmed = f", not armed: {found.not_armed_because}" if not found.armed else ""
    return found, f"the deployment is at {found.position}{waits}{unarmed}"
