"""Connects the metrics and check-ins of a process: what the writer did, what is true now, and who hears of it (ADR 65)."""

from __future__ import annotations

from typing import Protocol

from controller.runtime.api.facts import Published
from controller.runtime.assembly import Assembly
from controller.runtime.followers.check_ins import CheckIns
from controller.runtime.followers.counting import Counting
from controller.runtime.recovery.follow import Standby
from controller.telemetry.meters import Meters
from controller.telemetry.observed import Seen
from controller.telemetry.scrape import Scrape
from controller.telemetry.sentry import NO_REPORTS, Reports
from exchange.ports import Clock


class Exports(Protocol):
    """What leaves a process besides its alerts; ``ProcessServices`` has it."""

    @property
    def meters(self) -> Meters:
        """The exports of metrics."""
        ...

    @property
    def reports(self) -> Reports:
        """The receiver of error reports and check-ins."""
        ...


def keep_metrics(exports: Exports, assembly: Assembly, clock: Clock) -> Scrape:
    """Count what the writer does from now on, check in, and show what the leader sees."""
    meters = exports.meters
    published = Published(assembly.operator.facts, clock)
    assembly.writer.add_follower(Counting(meters.book).on_batch)
    assembly.writer.add_follower(published.on_batch)
    if exports.reports is not NO_REPORTS:
        assembly.writer.add_follower(CheckIns(exports.reports).on_batch)
    meters.book.watch(published.latest)
    return Scrape(meters, published.refresh)


def standby_metrics(meters: Meters, standby: Standby) -> Scrape:
    """Show what a standby has read of the journal: never armed, never leading."""

    def seen() -> Seen:
        return Seen(standby.follower.state, leads=False, decided_ns=None, permit_until_ns=0)

    meters.book.watch(seen)
    return Scrape(meters)
