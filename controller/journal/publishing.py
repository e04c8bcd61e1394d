"""Where checkpoints go, whatever kind of place it is, and what it means when such a place does not agree (architecture.md §7).

A target is read before it is written to. What it holds must be a checkpoint of this very history: one that knows more entries, or
other ones, means that two histories exist, and then nothing is written over the evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from controller.journal.checkpoint import Checkpoint
from controller.journal.history import History
from exchange.errors import DeadlineExceeded, GatehouseError, IntegrityError, Unreachable


class Contradicts(IntegrityError):
    """A target knows more entries than the journal has, or other ones."""


class Outcome(StrEnum):
    """What became of one checkpoint at one target."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Offer:
    """A signed checkpoint. ``at_s`` is now, in seconds; ``prove`` gives the consistency proof from an older size to this one."""

    note: str
    checkpoint: Checkpoint
    at_s: int
    prove: Callable[[int], Awaitable[tuple[bytes, ...]]]


class CheckpointTarget(Protocol):
    """Somewhere checkpoints are kept, preferably where the journal's host cannot rewrite them."""

    @property
    def name(self) -> str:
        """How people know it, unique in a deployment: ``git remote backup``."""
        ...

    async def read(self) -> Checkpoint | None:
        """The newest checkpoint it holds; ``None`` when it holds none, or can only be written to.

        Raises:
            Unreachable: it did not answer, or not in time.
            IntegrityError: what it holds is not a checkpoint of this controller's key, or was taken away.
        """
        ...

    async def publish(self, offer: Offer) -> None:
        """Keep a checkpoint; durable there when this returns. ``read`` was asked just before.

        Raises:
            Unreachable: it did not answer, or not in time.
            Refused: it does not take it.
            Contradicts: it knows of another history.
        """
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of a checkpoint at a target. ``size`` is what it is known to hold; ``problem`` is empty when taken."""

    target: str
    outcome: Outcome
    size: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a target holds. With a ``problem`` nothing is known of it, because it is not reachable."""

    target: str
    held: Checkpoint | None
    problem: str = ""


async def read_from(target: CheckpointTarget) -> Reading:
    """Ask a target what it holds; one that cannot be reached is in the answer.

    Raises:
        IntegrityError: naming the target, when what it holds cannot be believed.
    """
    try:
        return Reading(target.name, await target.read())
    except IntegrityError as error:
        raise IntegrityError(f"{target.name}: {error.message}", code=error.code, remedy=error.remedy) from error
    except GatehouseError as error:
        return Reading(target.name, None, error.message)


async def publish_to(target: CheckpointTarget, offer: Offer, now: Callable[[], History]) -> Publication:
    """Read a target, hold what it has against the journal of ``now``, and give it the checkpoint."""
    size = 0
    try:
        held = await target.read()
        if held is not None:
            size = held.size
            await agree(held, now())
            if size >= offer.checkpoint.size:
                return Publication(target.name, Outcome.TAKEN, size)
        await target.publish(offer)
    except Contradicts as error:
        return Publication(target.name, Outcome.CONTRADICTS, size, error.message)
    except (Unreachable, DeadlineExceeded) as error:
        return Publication(target.name, Outcome.UNREACHABLE, size, error.message)
    except GatehouseError as error:
        return Publication(target.name, Outcome.REFUSED, size, error.message)
    return Publication(target.name, Outcome.TAKEN, offer.checkpoint.size)


async def agree(held: Checkpoint, history: History) -> None:
    """Check that a held checkpoint is of the journal's own past. Raises ``Contradicts``."""
    if held.size > history.size:
        raise contradiction(f"it knows {held.size} entries and the journal has {history.size}")
    tree = await asyncio.to_thread(history.at, held.size)
    if tree.root() != held.root:
        raise contradiction(f"its first {held.size} entries are not those of the journal")


def contradiction(why: str) -> Contradicts:
    """Two histories exist."""
    return Contradicts(
        f"{why}: the journal was cut, replaced or rewritten, or another controller writes one of the same name",
        code="checkpoint-contradicted",
        remedy="Halt, keep journal and checkpoints as they are for inquiry, and restore the journal the checkpoint was taken of.",
    )
