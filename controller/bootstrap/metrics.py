"""Connects the metrics of a process: what the writer did, what is true now, and who may ask (ADR 65)."""

from __future__ import annotations

from controller.runtime.api.facts import Published
from controller.runtime.assembly import Assembly
from controller.runtime.followers.counting import Counting
from controller.runtime.recovery.follow import Standby
from controller.telemetry.meters import Meters
from controller.telemetry.observed import Seen
from controller.telemetry.scrape import Scrape
from exchange.ports import Clock


def keep_metrics(meters: Meters, assembly: Assembly, clock: Clock) -> Scrape:
    """Count what the writer does from now on, and show what the leader sees."""
    published = Published(assembly.operator.facts, clock)
    assembly.writer.add_follower(Counting(meters.book).on_batch)
    assembly.writer.add_follower(published.on_batch)
    meters.book.watch(published.latest)
    return Scrape(meters, published.refresh)


def standby_metrics(meters: Meters, standby: Standby) -> Scrape:
    """Show what a standby has read of the journal: never armed, never leading."""

    def seen() -> Seen:
        return Seen(standby.follower.state, leads=False, decided_ns=None, permit_until_ns=0)

    meters.book.watch(seen)
    return Scrape(meters)
