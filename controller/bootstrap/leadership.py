"""Leader election: lead at once when no controller leads, else stand by until the leader's lease is over (ADR 19)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Thread

from controller.bootstrap.beginning import doubt_of_beginning, whole_verification, witnessed_size
from controller.bootstrap.first_halt import (
    FirstHalt,
    MarkPlaces,
    find_first_halt,
    halt_of,
    halt_of_standby,
    mark_places,
    open_high_water,
)
from controller.bootstrap.journal import VerifiedJournal, checkpoint_signing_key, open_verified, recover_state
from controller.bootstrap.metrics import standby_metrics
from controller.bootstrap.read import Deployment
from controller.bootstrap.remote_claims import claim_waits
from controller.bootstrap.restored import halt_of_restored
from controller.bootstrap.servers import open_standby_servers
from controller.core.effects import Alert, AlertKind
from controller.journal.chain import Head
from controller.journal.checkpoint import Anchor, checkpoint_public_key
from controller.journal.claim import AccountClaims, claim_accounts
from controller.journal.lease import RENEW_NS
from controller.journal.location import DatabaseLocation
from controller.journal.port import Journal, JournalError, JournalLocked, LeasedJournal
from controller.journal.tenure import Tenure
from controller.journal.verify import VerifyReport
from controller.runtime.api.standby import StandbyOperator
from controller.runtime.followers.checkpoints import CheckpointPublisher
from controller.runtime.followers.high_water import HighWater
from controller.runtime.followers.latchfile import LatchFile, LatchMark
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.followers.remote_claims import RemoteClaims
from controller.runtime.recovery.follow import Follower, Standby
from controller.runtime.recovery.recover import Recovered, begin, restored_state
from controller.runtime.recovery.snapshot import Snapshots
from controller.runtime.venues.waiting import OnWaiting
from controller.settings.deployment import journal_location
from controller.settings.state_directory import state_directory
from controller.telemetry.alerts import Alerts
from controller.telemetry.facade import Telemetry
from controller.telemetry.meters import Meters
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import Reports
from exchange.errors import IntegrityError
from exchange.ports import Clock

_JOURNAL_LOST = frozenset({"journal-went-back", "journal-broken"})


@dataclass(frozen=True, slots=True)
class ProcessServices:
    """What a process has from its start on, whether it leads or stands by."""

    clock: Clock
    redactor: Redactor
    alerts: Alerts
    telemetry: Telemetry
    meters: Meters
    reports: Reports
    publisher: CheckpointPublisher
    remote_claims: RemoteClaims
    history: RecentHistory
    snapshots: Snapshots
    latch: LatchFile


@dataclass(frozen=True, slots=True)
class Leadership:
    """The journal, taken over, with the start already in it, and the accounts, claimed.

    ``first_halt`` still has to halt the deployment.
    """

    journal: Journal
    recovered: Recovered
    first_halt: FirstHalt | None
    high_water: HighWater
    claims: AccountClaims


async def acquire_leadership(
    deployment: Deployment,
    services: ProcessServices,
    stop: asyncio.Event,
    on_standby: Callable[[], None],
    on_waiting: OnWaiting,
) -> Leadership | None:
    """Take the journal over and journal the start; ``None`` when ``stop`` was set while standing by.

    Raises:
        IntegrityError: the journal does not verify, or lost entries that this process had read.
        JournalLocked: a journal that is a file is held by another process.
        Refused: ``account-claimed``; a controller with another journal trades on one of the accounts.
    """
    place = journal_location(deployment.directory, deployment.settings)
    if not isinstance(place, DatabaseLocation):
        opened = await open_verified(deployment, services.publisher, services.clock)
        await _claim_elsewhere(services, opened.journal, on_waiting)
        return _recover(deployment, services, opened.journal, opened.report, opened.lost)
    tenure = Tenure(deployment.data)
    try:
        found = await _open(deployment, services, place, tenure)
    except JournalLocked:
        leadership = await _stand_by(deployment, services, place, stop, on_standby, on_waiting)
        if leadership is not None:
            tenure.leads(leadership.journal.head)
        return leadership
    with lease_kept(found.journal):
        await _claim_elsewhere(services, found.journal, on_waiting)
        leadership = _recover(deployment, services, found.journal, lost=found.lost)
    tenure.leads(found.journal.head)
    return leadership


@contextmanager
def lease_kept(journal: Journal) -> Iterator[None]:
    """Renew the journal's lease, if it has one, until the writer does: a long fold or a slow venue must not lose it.

    Raises:
        JournalError: at the end, the error of a renewal; ``JournalTakenOver`` when another controller leads by then.
    """
    if not isinstance(journal, LeasedJournal):
        yield
        return
    done, errors = Event(), list[JournalError]()
    renewer = Thread(target=_renew_until, args=(journal, done, errors), name="lease", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        done.set()
        renewer.join()
    if errors:
        raise errors[0]


def _renew_until(journal: LeasedJournal, done: Event, errors: list[JournalError]) -> None:
    while not done.wait(RENEW_NS / 1e9):
        try:
            journal.renew()
        except JournalError as error:
            errors.append(error)
            return


async def _open(deployment: Deployment, services: ProcessServices, place: DatabaseLocation, tenure: Tenure) -> VerifiedJournal:
    try:
        return await open_verified(deployment, services.publisher, services.clock)
    except JournalLocked:
        reader = place.read()
        try:
            lease = reader.lease()
            owner_is_dead = tenure.proves(lease, reader.hash_at)
        finally:
            reader.close()
        if not owner_is_dead:
            raise
        return VerifiedJournal(place.open(deployment.settings.controller_id, over=lease), None)


def _claim(deployment: Deployment) -> AccountClaims:
    return claim_accounts(
        state_directory(),
        deployment.boot.accounts.values(),
        journal_location(deployment.directory, deployment.settings),
        controller_id=deployment.settings.controller_id,
        folder=deployment.directory,
    )


async def _claim_elsewhere(services: ProcessServices, journal: Journal, on_waiting: OnWaiting) -> None:
    """Claim the real account at the witnesses, before the start is journalled. The journal is closed when that is refused."""
    try:
        await services.remote_claims.acquire(claim_waits(services.clock, on_waiting))
    except BaseException:
        journal.close()
        raise


def _recover(
    deployment: Deployment,
    services: ProcessServices,
    journal: Journal,
    report: VerifyReport | None = None,
    lost: tuple[Anchor, ...] = (),
) -> Leadership:
    try:
        claims = _claim(deployment)
        places = mark_places(deployment)
        witnessed = witnessed_size(services.publisher.target_statuses, deployment.boot.witnesses)
        first_halt = halt_of_restored(places, services.latch, journal, lost, witnessed) or find_first_halt(
            places, services.latch, journal, partial(_doubt, deployment, services, places, journal, report)
        )
        unmarked = not open_high_water(places, journal, first_halt).kept
        started = replace(deployment, boot=replace(deployment.boot, unmarked=unmarked))
        recovered = recover_state(started, journal, services.history, services.publisher, services.snapshots, services.clock)
        high_water = open_high_water(places, journal, first_halt)
    except BaseException:
        journal.close()
        raise
    return Leadership(journal, recovered, first_halt, high_water, claims)


def _doubt(
    deployment: Deployment, services: ProcessServices, places: MarkPlaces, journal: Journal, report: VerifyReport | None
) -> str:
    if report is None:
        return ""
    name = deployment.settings.controller_id
    key = checkpoint_public_key(name, checkpoint_signing_key(deployment.data))
    place = journal_location(deployment.directory, deployment.settings)
    whole = whole_verification(place, name, key, services.clock.monotonic_ns)
    witnessed = witnessed_size(services.publisher.target_statuses, deployment.boot.witnesses)
    return doubt_of_beginning(journal, report, witnessed, places, whole)


async def _stand_by(
    deployment: Deployment,
    services: ProcessServices,
    place: DatabaseLocation,
    stop: asyncio.Event,
    on_standby: Callable[[], None],
    on_waiting: OnWaiting,
) -> Leadership | None:
    follower, halt_reason = _make_follower(deployment, services, place)
    standby = Standby(
        read=place.read,
        take_over=lambda lease: place.open(deployment.settings.controller_id, over=lease, seize=lease is None),
        follower=follower,
        clock=services.clock,
    )
    if halt_reason:
        standby.halt(halt_reason)
    write_mark = partial(_write_mark, services.latch, follower)
    operator = StandbyOperator(standby, services.history, deployment.boot, services.clock, write_mark)
    try:
        metrics = standby_metrics(services.meters, standby)
        async with open_standby_servers(deployment, operator, metrics, services.alerts, services.clock):
            on_standby()
            journal = await _follow_until(stop, standby)
    except IntegrityError as error:
        if error.code in _JOURNAL_LOST:
            # The next start must not trust this journal, so it halts. Any other error only needs another version of gatehouse.
            write_mark(error.message)
        raise
    if journal is None:
        return None
    if not standby.handed_over:
        detail = f"epoch {standby.lag.leader_epoch} no longer renews its lease, or must halt; epoch {journal.epoch} leads"
        services.alerts.notify(Alert(AlertKind.TAKEOVER, "this host leads now", detail))
    with lease_kept(journal):
        await _claim_elsewhere(services, journal, on_waiting)
    return _start_leading(deployment, services, follower, journal, standby.halt_reason)


def _make_follower(deployment: Deployment, services: ProcessServices, place: DatabaseLocation) -> tuple[Follower, str]:
    """The follower, and why the latch file of this host demands a halt; empty when it does not."""
    name = deployment.settings.controller_id
    reader = place.read()
    try:
        snapshot = services.snapshots.load(reader.hash_at)
        state = restored_state(reader, services.history, snapshot)
        # The lease shows whether another controller has led since; the state of a snapshot may be too old for that.
        halt_reason = halt_of_standby(services.latch, reader.lease().epoch, reader.hash_at)
    finally:
        reader.close()
    if snapshot is None:
        return Follower(name, services.history, services.publisher.add_entry, state, None), halt_reason
    services.publisher.resume(snapshot.tree)
    return Follower(name, services.history, services.publisher.add_entry, state, Head(snapshot.seq, snapshot.hash, 0)), halt_reason


async def _follow_until(stop: asyncio.Event, standby: Standby) -> LeasedJournal | None:
    stopping, following = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(standby.run())
    try:
        await asyncio.wait({stopping, following}, return_when=asyncio.FIRST_COMPLETED)
        return following.result() if following.done() else None
    finally:
        for task in (stopping, following):
            task.cancel()
        await asyncio.gather(stopping, following, return_exceptions=True)


def _start_leading(
    deployment: Deployment, services: ProcessServices, follower: Follower, journal: LeasedJournal, halt_reason: str
) -> Leadership:
    try:
        claims = _claim(deployment)
        places = mark_places(deployment)
        first_halt = find_first_halt(places, services.latch, journal)
        if first_halt is None and halt_reason:
            # The journal was taken over only for this halt, which must not be lost when the latch file could not be written.
            first_halt = halt_of(LatchMark(halt_reason, journal.epoch, halted=True))
        unmarked = not open_high_water(places, journal, first_halt).kept
        boot = replace(deployment.boot, epoch=journal.epoch, unmarked=unmarked)
        recovered = begin(journal, follower.state, services.history, boot, services.clock, services.publisher.add_entry, folded=0)
        high_water = open_high_water(places, journal, first_halt)
    except BaseException:
        journal.close()
        raise
    return Leadership(journal, recovered, first_halt, high_water, claims)


def _write_mark(latch: LatchFile, follower: Follower, reason: str) -> None:
    latch.write(LatchMark(reason, follower.state.epoch, halted=True))
