"""Publishes checkpoints to targets of any kind, and compares what they hold with the journal (architecture.md §7).

``runtime`` calls it. A target is read before it is written. It must hold a checkpoint of this history: a checkpoint of more or of
other entries means that two histories exist, and then nothing overwrites that evidence.
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
    """A target holds a checkpoint of more entries than the journal has, or of other entries."""


class Outcome(StrEnum):
    """The result of publishing one checkpoint to one target."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Offer:
    """A signed checkpoint. ``at_s`` is now, in seconds; ``prove`` returns the consistency proof from an older size to this one."""

    note: str
    checkpoint: Checkpoint
    at_s: int
    prove: Callable[[int], Awaitable[tuple[bytes, ...]]]


class CheckpointTarget(Protocol):
    """A store of checkpoints, preferably one that the journal's host cannot rewrite."""

    @property
    def name(self) -> str:
        """Its name for people, unique in a deployment: ``git remote backup``."""
        ...

    async def read(self) -> Checkpoint | None:
        """The newest checkpoint it holds; ``None`` when it holds none, or can only be written.

        Raises:
            Unreachable: it did not answer in time.
            IntegrityError: it holds something that this controller's key did not sign, or a checkpoint was removed.
        """
        ...

    async def publish(self, offer: Offer) -> None:
        """Store a checkpoint; durable when this returns. The caller has called ``read`` just before.

        Raises:
            Unreachable: it did not answer in time.
            Refused: it does not accept the checkpoint.
            Contradicts: it holds another history.
        """
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """The result of publishing to a target. ``size`` is the size it is known to hold; ``problem`` is empty when taken."""

    target: str
    outcome: Outcome
    size: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a target holds; unknown when there is a ``problem``, because it is not reachable."""

    target: str
    held: Checkpoint | None
    problem: str = ""


async def read_from(target: CheckpointTarget) -> Reading:
    """Read what a target holds; an unreachable target is a ``problem`` in the result.

    Raises:
        IntegrityError: the target holds an invalid checkpoint; the message names the target.
    """
    try:
        return Reading(target.name, await target.read())
    except IntegrityError as error:
        raise IntegrityError(f"{target.name}: {error.message}", code=error.code, remedy=error.remedy) from error
    except GatehouseError as error:
        return Reading(target.name, None, error.message)


async def publish_to(target: CheckpointTarget, offer: Offer, now: Callable[[], History]) -> Publication:
    """Read a target, compare what it holds with the journal of ``now``, and send it the checkpoint."""
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
    """Check that a held checkpoint belongs to this journal's history. Raises ``Contradicts``."""
    if held.size > history.size:
        raise contradiction(f"it knows {held.size} entries and the journal has {history.size}")
    tree = await asyncio.to_thread(history.at, held.size)
    if tree.root() != held.root:
        raise contradiction(f"its first {held.size} entries are not those of the journal")


def contradiction(why: str) -> Contradicts:
    """The error that says that two histories exist."""
    return Contradicts(
        f"{why}: the journal was cut, replaced or rewritten, or another controller writes one of the same name",
        code="checkpoint-contradicted",
        remedy="Halt, keep the journal and the checkpoints unchanged as evidence, and restore the journal of that checkpoint.",
    )
