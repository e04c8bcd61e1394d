"""Becoming the one that leads: at once when nobody does, else after standing by until the leader's lease is over (ADR 19)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Thread

from controller.bootstrap.journal import fold, open_verified, standing_mark
from controller.bootstrap.read import Deployment
from controller.bootstrap.servers import open_standby_servers
from controller.core.effects import Alert, AlertKind
from controller.journal.chain import Head
from controller.journal.lease import RENEW_NS, Lease
from controller.journal.location import DatabaseLocation
from controller.journal.port import Journal, JournalError, JournalLocked, LeasedJournal
from controller.journal.tenure import Tenure
from controller.runtime.api.standby import StandbyOperator
from controller.runtime.followers.checkpoints import CheckpointPublisher
from controller.runtime.followers.latchfile import LatchFile, Mark
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.recovery.follow import Follower, Standby
from controller.runtime.recovery.recover import Recovered, begin, resumed
from controller.runtime.recovery.snapshot import Snapshots
from controller.settings.deployment import journal_location
from controller.telemetry.alerts import Alerts
from controller.telemetry.facade import Telemetry
from controller.telemetry.redact import Redactor
from exchange.errors import IntegrityError
from exchange.ports import Clock

_LOST = frozenset({"journal-went-back", "journal-broken"})


@dataclass(frozen=True, slots=True)
class ProcessServices:
    """What a process has before it leads."""

    clock: Clock
    redactor: Redactor
    alerts: Alerts
    telemetry: Telemetry
    witnesses: CheckpointPublisher
    memory: RecentHistory
    snapshots: Snapshots
    latch: LatchFile


@dataclass(frozen=True, slots=True)
class Leadership:
    """The journal, taken over, and the start already in it. ``left_behind`` still has to halt the deployment."""

    journal: Journal
    recovered: Recovered
    left_behind: Mark | None


async def acquire_leadership(
    deployment: Deployment, around: ProcessServices, stop: asyncio.Event, on_standby: Callable[[], None]
) -> Leadership | None:
    """Take the journal over and journal the start; ``None`` when ``stop`` was set while standing by.

    Raises:
        IntegrityError: the journal does not verify, or lost entries that this process had read.
        JournalLocked: a journal that is a file is held by another process.
    """
    place = journal_location(deployment.directory, deployment.settings)
    if not isinstance(place, DatabaseLocation):
        return _folded(deployment, around, await open_verified(deployment, around.witnesses, around.clock))
    tenure = Tenure(deployment.data)
    try:
        journal = await _opened(deployment, around, place, tenure)
    except JournalLocked:
        led = await _stood_by(deployment, around, place, stop, on_standby)
        if led is not None:
            tenure.leads(led.journal.head)
        return led
    with lease_kept(journal):
        led = _folded(deployment, around, journal)
    tenure.leads(journal.head)
    return led


@contextmanager
def lease_kept(journal: Journal) -> Iterator[None]:
    """Renew the journal's lease, if it has one, until the writer does: a long fold or a slow venue must not lose it.

    Raises:
        JournalError: at the end, what a renewal met; ``JournalTakenOver`` when another controller leads by then.
    """
    if not isinstance(journal, LeasedJournal):
        yield
        return
    done, met = Event(), list[JournalError]()
    keeper = Thread(target=_renew_until, args=(journal, done, met), name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
    if met:
        raise met[0]


def _renew_until(journal: LeasedJournal, done: Event, met: list[JournalError]) -> None:
    while not done.wait(RENEW_NS / 1e9):
        try:
            journal.renew()
        except JournalError as error:
            met.append(error)
            return


async def _opened(deployment: Deployment, around: ProcessServices, place: DatabaseLocation, tenure: Tenure) -> Journal:
    try:
        return await open_verified(deployment, around.witnesses, around.clock)
    except JournalLocked:
        reader = place.read()
        try:
            lease = reader.lease()
            dead = tenure.proves(lease, reader.hash_at)
        finally:
            reader.close()
        if not dead:
            raise
        return place.open(deployment.settings.controller_id, over=lease)


def _folded(deployment: Deployment, around: ProcessServices, journal: Journal) -> Leadership:
    try:
        left_behind = standing_mark(around.latch, journal)
        recovered = fold(deployment, journal, around.memory, around.witnesses, around.snapshots, around.clock)
    except BaseException:
        journal.close()
        raise
    return Leadership(journal, recovered, left_behind)


async def _stood_by(
    deployment: Deployment, around: ProcessServices, place: DatabaseLocation, stop: asyncio.Event, on_standby: Callable[[], None]
) -> Leadership | None:
    follower, lease = _follower(deployment, around, place)
    standby = Standby(
        read=place.read,
        take_over=lambda lease: place.open(deployment.settings.controller_id, over=lease, seize=lease is None),
        follower=follower,
        clock=around.clock,
    )
    left_behind = around.latch.read()
    # Of a journal that failed us, the lease knows best whether another has led since: what was folded so far may be old.
    if left_behind is not None and left_behind.stands(lease.epoch):
        standby.halt(left_behind.reason)
    mark = partial(_mark, around.latch, follower)
    operator = StandbyOperator(standby, around.memory, deployment.boot, around.clock, mark)
    try:
        async with open_standby_servers(deployment, operator):
            on_standby()
            journal = await _unless(stop, standby)
    except IntegrityError as error:
        if error.code in _LOST:
            # The next start must not take what it finds for the truth: it halts. One of another version only has to be replaced.
            mark(error.message)
        raise
    if journal is None:
        return None
    if not standby.handed_over:
        detail = f"epoch {standby.lag.leader_epoch} was not heard of any more, or is to be halted; epoch {journal.epoch} leads"
        around.alerts.notify(Alert(AlertKind.TAKEOVER, "this host has taken the lead over", detail))
    return _began(deployment, around, follower, journal, standby.halting)


def _follower(deployment: Deployment, around: ProcessServices, place: DatabaseLocation) -> tuple[Follower, Lease]:
    name = deployment.settings.controller_id
    reader = place.read()
    try:
        snapshot = around.snapshots.load(reader.hash_at)
        state = resumed(reader, around.memory, snapshot)
        lease = reader.lease()
    finally:
        reader.close()
    if snapshot is None:
        return Follower(name, around.memory, around.witnesses.entry, state, None), lease
    around.witnesses.resume(snapshot.tree)
    return Follower(name, around.memory, around.witnesses.entry, state, Head(snapshot.seq, snapshot.hash, 0)), lease


async def _unless(stop: asyncio.Event, standby: Standby) -> LeasedJournal | None:
    stopping, following = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(standby.run())
    try:
        await asyncio.wait({stopping, following}, return_when=asyncio.FIRST_COMPLETED)
        return following.result() if following.done() else None
    finally:
        for task in (stopping, following):
            task.cancel()
        await asyncio.gather(stopping, following, return_exceptions=True)


def _began(deployment: Deployment, around: ProcessServices, follower: Follower, journal: LeasedJournal, halting: str) -> Leadership:
    try:
        left_behind = standing_mark(around.latch, journal)
        if left_behind is None and halting:
            # The journal was taken from whoever led, for nothing but this halt: a file that could not be written must not lose it.
            left_behind = Mark(halting, journal.epoch, halted=True)
        boot = replace(deployment.boot, epoch=journal.epoch)
        recovered = begin(journal, follower.state, around.memory, boot, around.clock, around.witnesses.entry, folded=0)
    except BaseException:
        journal.close()
        raise
    return Leadership(journal, recovered, left_behind)


def _mark(latch: LatchFile, follower: Follower, reason: str) -> None:
    latch.mark(Mark(reason, follower.state.epoch, halted=True))
