"""Reads a journal or an export for a report: the chain is checked while its entries are collected. ``cli.show.report`` calls it."""

from __future__ import annotations

from collections.abc import Iterable

from controller.journal.chain import ChainWalk, Entry
from controller.report.collect import Collected, Collector, Signed
from controller.report.document import document
from controller.report.sealed import Sealed, seal
from exchange.errors import GatehouseError, IntegrityError, UsageError


def report_of(
    entries: Iterable[Entry], controller_id: str, *, command_id: str = "", upto: int | None = None
) -> tuple[Sealed, Signed | None]:
    """The report as of the last entry, as of entry ``upto``, or of the applied command ``command_id``, with that command.

    Raises:
        IntegrityError: ``journal-broken``, naming the first wrong entry and how far the journal is good.
        UsageError: ``no-evidence`` for a command that is not there or passed no gate; ``nothing-to-report``.
    """
    collector, walk = Collector(), ChainWalk(controller_id)
    rest = iter(entries)
    for entry in rest:
        if upto is not None and entry.seq > upto:
            break
        if (problem := walk.step(entry, rest)) is not None:
            raise _broken(problem.message, walk.head.seq)
        try:
            collector.take(entry)
        except GatehouseError as error:
            raise _broken(f"entry {entry.seq} cannot be read: {error.message}", walk.head.seq - 1) from error
        if command_id and (signed := _last(collector.found, command_id)) is not None:
            return seal(document(collector.found, signed)), signed
    if command_id:
        raise UsageError(
            f"no command {command_id} passed a gate",
            code="no-evidence",
            remedy="List applied commands with `gatehouse journal tail --kind command-accepted`.",
        )
    return seal(document(collector.found)), None


def _last(found: Collected, command_id: str) -> Signed | None:
    signed = found.signed[-1] if found.signed else None
    return signed if signed is not None and signed.accepted.command_id == command_id and signed.accepted.result else None


def _broken(why: str, good: int) -> IntegrityError:
    until = f"entries 1 to {good} are good: `gatehouse report --upto {good}` reports them. " if good else ""
    return IntegrityError(
        f"the journal cannot be reported: {why}",
        code="journal-broken",
        remedy=f"{until}Halt, keep a copy of the damaged journal, run `gatehouse journal verify`, and restore a verified backup.",
    )
