"""The watchdog's process: it hears controllers, decides with ``controller.watchdog.lease``, and does what was decided.

``controller.cli.run.watchdog_run`` makes one. Beats are taken in the same turn of the event loop in which they arrive, so that a
lease is never judged before what already lies in the socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from controller.watchdog import lease
from controller.watchdog.emptying import read_open
from controller.watchdog.lease import Action, Cancel, End, Event, Kind, Look, Note, Phase, Read, Tell, Terms
from controller.watchdog.log import WatchdogLog, settled
from controller.watchdog.peer import Peer
from controller.watchdog.protocol import LINES_AT_ONCE, AbsorbedSent, Answer, BeatSent, GoodbyeSent, LogAsked, LogLines, Message
from exchange.errors import ConfigError
from exchange.model import Millis
from exchange.ports import Clock, Venue, VenueName

TICK_S = 0.1
LOG_WITHIN_S = 0.5
"""How long an action waits for its entry in the log to be durable: the disk may be what stopped the controller."""

_log = logging.getLogger(__name__)

Address = Path | tuple[str, int]
"""A unix socket, or a host and a port."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a watchdog is responsible for: the deployment, the terms, and the venues for which it has a key that can cancel."""

    controller_id: str
    terms: Terms
    venues: Mapping[VenueName, Venue]
    token: str = ""


class Watchdog:
    """One dead man's switch. ``tell`` gets its alerts: a title and a detail."""

    def __init__(self, charge: Charge, log: WatchdogLog, clock: Clock, tell: Callable[[str, str], None]) -> None:
        self.charge = charge
        self._log = log
        self._clock = clock
        self._tell = tell
        self._machine = lease.resumed(*log.last_move(), clock.monotonic_ns())
        self._actions: asyncio.Queue[tuple[Action, asyncio.Future[bool] | None]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._read_ns: int | None = None
        self._problem = ""
        self._stops = 0
        self._listens = False
        self.ticks = 0
        """How often it has judged the lease since it listens. It hangs when this stands still."""
        self.ended = asyncio.Event()

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self._machine.phase

    async def run(self, address: Address, on_listening: Callable[[str], None]) -> None:
        """Listen and watch until it is stopped or nobody needs it. Raises ``ConfigError`` when it cannot listen."""
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(self._act()), group.create_task(self._tick())]
            async with self._listening(address, group):
                self._listens = True
                on_listening(str(address) if isinstance(address, Path) else f"{address[0]}:{address[1]}")
                await self.ended.wait()
            for task in (*working, *self._tasks):
                task.cancel()

    def stop(self) -> None:
        """End, as SIGTERM asks. While orders are being cancelled the first call only says so, and the second one ends it."""
        self._stops += 1
        if self.phase is Phase.FIRING and self._stops == 1:
            _log.critical("orders of a silent controller are being cancelled; ask once more to stop before they are gone")
            return
        self._log.append(Note(Kind.STOPPED, "it was asked to stop"), self._clock.now())
        self.ended.set()

    # What a controller says

    def heard(self, message: Message) -> Message:
        """Take one message of a controller, and answer it."""
        match message:
            case BeatSent():
                targets = message.targets(frozenset(self.charge.venues))
                self._decide(lease.Beat(message.epoch, message.seq, message.age_ms * 1_000_000, targets))
            case GoodbyeSent():
                self._decide(lease.Goodbye(message.epoch))
            case AbsorbedSent():
                if (message.seq, message.hash) == (self._log.head.seq, self._log.head.hash):
                    self._decide(lease.Absorbed(message.epoch))
            case LogAsked():
                lines = self._log.lines_after(message.after, LINES_AT_ONCE)
                return LogLines(lines=list(lines), more=message.after + len(lines) < self._log.head.seq)
        return self._answer()

    def _answer(self) -> Answer:
        now_ns, terms = self._clock.monotonic_ns(), self.charge.terms
        return Answer(
            phase=self.phase,
            beat=self._machine.seq,
            lease_ms=terms.lease_ns // 1_000_000,
            head_seq=self._log.head.seq,
            head_hash=self._log.head.hash,
            fired_seq=self._log.fired_seq,
            served=sorted(self.charge.venues),
            read_age_ms=None if self._read_ns is None else (now_ns - self._read_ns) // 1_000_000,
            problem=self._problem,
        )

    # What it decides and does

    def _decide(self, event: Event) -> None:
        self._machine, actions = lease.decide(self._machine, event, self.charge.terms, self._clock.monotonic_ns())
        for action in actions:
            written = None
            if isinstance(action, Note):
                _log.warning("%s: %s", action.kind, action.detail)
                written = asyncio.ensure_future(settled(self._log.append(action, self._now()), LOG_WITHIN_S))
            self._actions.put_nowait((action, written))

    async def _act(self) -> None:
        while True:
            action, written = await self._actions.get()
            match action:
                case Note() if written is not None:
                    await written
                case Cancel() | Look():
                    task = asyncio.create_task(self._read(action))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                case Tell():
                    self._tell(action.title, action.detail)
                case End():
                    _log.warning("it ends: %s", action.because)
                    self.ended.set()
                case _:
                    pass

    async def _read(self, action: Cancel | Look) -> None:
        cancelling = isinstance(action, Cancel)
        venues, targets = self.charge.venues, action.targets
        read: Read = await read_open(venues, targets, self._clock, reading=action.reading, cancelling=cancelling)
        if read.problem and read.problem != self._problem:
            self._tell("the watchdog cannot read the open orders", read.problem)
        self._problem = read.problem
        if read.orders is not None and targets:
            self._read_ns = self._clock.monotonic_ns()
        self._decide(read)

    async def _tick(self) -> None:
        # The loop's clock stands still while the machine is suspended, so that time is not this process's own.
        loop, late_s = asyncio.get_running_loop(), 0.0
        while True:
            self._decide(lease.Tick(int(late_s * lease.SECOND)))
            self.ticks += self._listens
            due_s = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            late_s = max(0.0, loop.time() - due_s)

    def _now(self) -> Millis:
        return self._clock.now()

    # Where it listens

    def _peer(self) -> Peer:
        return Peer(self.charge.controller_id, self.charge.token, self.heard)

    @asynccontextmanager
    async def _listening(self, address: Address, group: asyncio.TaskGroup) -> AsyncIterator[None]:
        if not isinstance(address, Path):
            host, port = address
            try:
                server = await asyncio.get_running_loop().create_server(self._peer, host, port)
            except OSError as error:
                raise _cannot_listen(f"{host}:{port}", error) from None
            try:
                yield
            finally:
                server.close()
            return
        listener = _PathListener(self._peer, address)
        await listener.bind()
        keeping = group.create_task(listener.keep())
        try:
            yield
        finally:
            keeping.cancel()
            listener.close()


class _PathListener:
    """A unix socket that is bound again when somebody removes it: the controller could not be heard any more."""

    def __init__(self, peer: Callable[[], Peer], path: Path) -> None:
        self._peer = peer
        self._path = path
        self._server: asyncio.Server | None = None

    async def bind(self) -> None:
        # The lock on the folder shows that no other watchdog listens here: what is there is left over.
        with suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o177)
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._peer, os.fspath(self._path))
        except OSError as error:
            raise _cannot_listen(str(self._path), error) from None
        finally:
            os.umask(before)

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if not self._path.is_socket():
                self.close()
                await self.bind()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        with suppress(FileNotFoundError):
            self._path.unlink()


def _cannot_listen(where: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"the watchdog cannot listen on {where}: {error.strerror}",
        code="watchdog-address",
        remedy="Correct watchdog.address in gatehouse.toml.",
    )
