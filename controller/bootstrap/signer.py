"""Starts the signer process or connects to one, keeps it at hand, and tells it who leads and what was signed (ops/docs/signer.md).

A thread supervises it, because the event loop may be the part that hangs while cancels have to be signed. A signer that does
not answer is asked once more, and is killed and started again when it stays silent. Whatever it must know again is sent before a
request gets through.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from threading import Lock, Thread
from typing import Protocol

from controller.bootstrap.end import end_now
from controller.bootstrap.read import Deployment
from controller.core.state import State
from controller.settings.deployment import Settings, SignerSettings
from controller.settings.testnet import VenueSettings
from controller.signer.protocol import VENUES, Budget, Kind, read_budget
from controller.signer.remote import Link, RemoteSigner
from controller.signer.spawn import DESCRIPTOR, PID, Spawned, spawn
from exchange.errors import GatehouseError, Unreachable
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.ports import Signer, VenueName
from policies.eur import NO_RATES, highest
from policies.numbers import text
from policies.ramp import cap_eur
from policies.stage import LIVE_STAGES

READY_WITHIN_S = 30.0
"""How long a new process may take until it answers; on an idle machine it takes less than a second."""

SILENT_FOR_S = 3.0
"""A process that gave no answer in time is killed when it gives none within this time either."""

ENDED_WITHIN_S = 2.0
"""How long the end of a killed process is waited for. One that waits for a disk ends only when the disk answers."""

BACKOFF_S = (0.0, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
STEADY_S = 10.0
"""After this long without trouble the next restart waits for nothing again."""

EXIT_SECRET_LOST = 75
"""The exit code when a new start of the whole controller is the only way to the secret: it came from the environment."""

_LIVE = VENUES.index(VenueName.LIVE)

Message = tuple[Kind, int, bytes]

_log = logging.getLogger(__name__)


@contextmanager
def open_signers(deployment: Deployment, spawned: Spawned | None, on_trouble: Callable[[str], None]) -> Iterator[Signers]:
    """The signers of both venues; with ``[signer]`` in the settings they are in a process that this starts and ends.

    ``spawned`` is one that was started already. ``on_trouble`` is told, on another thread, what a person should know.

    Raises:
        ConfigError: a bad key.
        Unreachable: the process did not start.
    """
    settings = deployment.settings
    if settings.signer is None:
        yield Signers({name: _local(deployment, name) for name in VENUES}, None)
        return
    process = SignerProcess(deployment.directory, settings.signer, on_trouble, spawned)
    process.start()
    try:
        yield asking(process, settings)
    finally:
        process.close()


def asking(process: SignerLink, settings: Settings) -> Signers:
    """The signers that ask ``process``."""
    return Signers({name: RemoteSigner(process.link, name, _account(settings, name).api_key) for name in VENUES}, process)


def _account(settings: Settings, name: VenueName) -> VenueSettings:
    return settings.testnet if name is VenueName.TESTNET else settings.live


def _local(deployment: Deployment, name: VenueName) -> LocalSigner:
    policy = deployment.policy
    limits = SignerLimits(frozenset(policy.symbols), policy.limits.order_notional_max_eur * highest(policy.eur_rate, NO_RATES))
    return LocalSigner(_account(deployment.settings, name).api_key, deployment.secrets[name], limits)


class SignerLink(Protocol):
    """A signer that is asked over the protocol, and told what the journal holds. ``SignerProcess`` is the one of a deployment."""

    link: Link

    def inform(self, messages: tuple[Message, ...]) -> None:
        """Send what is new."""
        ...


class Signers:
    """A signer for each venue. ``follow`` keeps the signer process informed of what the journal holds."""

    def __init__(self, by_venue: Mapping[VenueName, Signer], process: SignerLink | None) -> None:
        self._by_venue = by_venue
        self._process = process
        self._followed: tuple[object, ...] = ()

    def __getitem__(self, name: VenueName) -> Signer:
        return self._by_venue[name]

    def problem(self, venue: VenueName | None) -> str:
        """Why no order for ``venue`` can be signed now; empty when one can. A condition of every permit."""
        if self._process is None or venue is None or venue is VenueName.MOCK:
            return ""
        down = self._process.link.down_because
        return f"nothing is signed now: {down}" if down else ""

    def budget(self) -> Budget | None:
        """The budget of buys with real money; ``None`` without a signer process. Raises ``GatehouseError``, ``ValueError``."""
        return None if self._process is None else read_budget(self._process.link.ask(Kind.BUDGET, _LIVE))

    @property
    def budget_refusals(self) -> int:
        """How many buys the signer refused because of its budget since this process began."""
        return 0 if self._process is None else self._process.link.budget_refusals

    def follow(self, state: State) -> None:
        """Send what a durable change of the state means for the signer, before an order can depend on it."""
        followed = (state.authority, state.position, state.policy_digest, state.epoch)
        if self._process is None or followed == self._followed:
            return
        self._followed = followed
        self._process.inform(authority_of(state))


def authority_of(state: State) -> tuple[Message, ...]:
    """Who leads, the signed commands that the authority follows from, and what is left of it after every move down."""
    here = state.position
    cap = cap_eur(state.policy, here.stage, here.step) if state.policy and here.stage in LIVE_STAGES else Decimal(0)
    return (
        (Kind.LEAD, _LIVE, str(state.epoch).encode()),
        *((Kind.COMMAND, _LIVE, envelope.encode()) for envelope in state.authority.envelopes),
        (Kind.LOWER, _LIVE, text(cap).encode()),
    )


class SignerProcess:
    """One signer process, replaced when it ends or hangs. ``link`` is how requests reach it.

    With ``settings.socket`` it is somebody else's process: it is connected to, again and again, and never ended.
    """

    def __init__(
        self, directory: Path, settings: SignerSettings, on_trouble: Callable[[str], None], spawned: Spawned | None = None
    ) -> None:
        self._directory = directory
        self._on_trouble = on_trouble
        self._stopping = False
        self._pid = 0
        self._pid_lock = Lock()
        self._path = settings.socket
        self._from_environment = DESCRIPTOR in os.environ and not self._path
        self._spawned = spawned
        self._messages: tuple[Message, ...] = ()
        self._woken, self._wake = socket.socketpair()
        self.link = Link(settings.answer_within_ms / 1000, self._wake_up)
        self._connection: socket.socket | None = None
        self._thread = Thread(target=self._run, name="signer", daemon=True)

    @property
    def pid(self) -> int:
        """The id of the process that was started here and runs now; 0 for somebody else's."""
        return self._pid

    def start(self) -> None:
        """Start the process, or take over the one that ``gatehouse run`` started, and supervise it.

        Raises:
            Unreachable: ``signer-not-started``: it did not answer; it has printed why.
        """
        try:
            self._begin()
        except (GatehouseError, OSError) as error:
            self._end_process()
            raise Unreachable(
                f"the signer process did not start: {error}",
                code="signer-not-started",
                remedy="Read its message above; `gatehouse doctor` checks the secrets.",
            ) from error
        self._thread.start()

    def close(self) -> None:
        """End the process."""
        self._stopping = True
        self._kill()
        if (connection := self._connection) is not None:
            # Ends a wait for a process that is not ours to kill.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._wake_up()
        if self._thread.ident is not None:
            self._thread.join()
        self._end_process()
        for one in (self._woken, self._wake):
            one.close()

    def inform(self, messages: tuple[Message, ...]) -> None:
        """Send what is new, and keep all of it for a process that has to be told again."""
        known, self._messages = self._messages, messages
        for message in messages:
            if message not in known:
                with suppress(GatehouseError):
                    self._tell(message)

    def _tell(self, message: Message) -> None:
        try:
            self.link.ask(*message)
        except GatehouseError as error:
            if error.code != "signer-silent":
                self._refused(message[0], error)
            raise

    def _refused(self, kind: Kind, error: GatehouseError) -> None:
        because = f"the signer did not take over a {kind.name.lower()}: {error.message}"
        _log.error(because, extra={"fields": {"code": error.code, "remedy": error.remedy}})
        self._on_trouble(because)

    # Below: the supervising thread, and the start before it.

    def _run(self) -> None:
        try:
            self._supervise()
        finally:
            if not self._stopping:
                # Nobody would notice that the process hangs, so nothing is signed any more.
                because = "the thread that supervises the signer has ended by an error; restart the controller"
                self.link.close(because)
                self._on_trouble(because)

    def _supervise(self) -> None:
        failures, since = 0, time.monotonic()
        while self._wait_for_trouble():
            if self._answers() and self._knows_all():
                continue
            failures = 0 if time.monotonic() - since > STEADY_S else failures
            while not self._stopping:
                self._replace_after(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                if not self.link.down_because:
                    break
            since = time.monotonic()

    def _wait_for_trouble(self) -> bool:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if self._connection is not None:
            # No event is asked for: the end of the other side is always reported.
            poll.register(self._connection, 0)
        poll.poll()
        with suppress(BlockingIOError):
            self._woken.recv(4096, socket.MSG_DONTWAIT)
        return not self._stopping

    def _wait(self, delay_s: float) -> None:
        deadline = time.monotonic() + delay_s
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(min(0.05, delay_s))

    def _answers(self) -> bool:
        try:
            self.link.probe(Kind.PING, 0, b"", SILENT_FOR_S)
        except (OSError, ValueError):
            return False
        return True

    def _knows_all(self) -> bool:
        try:
            self._inform_again()
        except (OSError, ValueError):
            # It ended or fell silent after its answer.
            return False
        return True

    def _replace_after(self, delay_s: float) -> None:
        self._end_process()
        if self._from_environment:
            self._end_controller()
        self._on_trouble("the signer process ended or hung; gatehouse brings it back, and nothing is signed meanwhile")
        _log.error("the signer process ended or hung, and is brought back")
        self._wait(delay_s)
        if self._stopping:
            return
        try:
            self._begin()
        except (GatehouseError, OSError, ValueError) as error:
            _log.error("the signer process did not start", extra={"fields": {"why": str(error)}})

    def _begin(self) -> None:
        if self._from_environment:
            connection = socket.socket(fileno=int(os.environ.pop(DESCRIPTOR)))
            connection.set_inheritable(False)
            pid = int(os.environ.pop(PID))
        elif self._path:
            connection, pid = _connect(self._path), 0
        elif self._spawned is not None:
            (connection, pid), self._spawned = self._spawned, None
        else:
            connection, pid = spawn(self._directory)
        with self._pid_lock:
            self._pid = pid
        if self._stopping:
            self._kill()
        self._connection = connection
        self.link.attach(connection)
        self.link.probe(Kind.PING, 0, b"", READY_WITHIN_S)
        self._inform_again()

    def _inform_again(self) -> None:
        """Tell the process everything, then let requests through; again if something changed meanwhile."""
        while True:
            messages = self._messages
            for kind, venue, body in messages:
                try:
                    self.link.probe(kind, venue, body, SILENT_FOR_S)
                except GatehouseError as error:
                    self._refused(kind, error)
            self.link.up()
            if messages is self._messages:
                return

    def _end_process(self) -> None:
        self.link.close("the signer is being started again" if not self._stopping else "the controller is stopping")
        self._connection = None
        self._kill()
        with self._pid_lock:
            pid, self._pid = self._pid, 0
        if pid:
            _ended_within(pid, ENDED_WITHIN_S)

    def _kill(self) -> None:
        with self._pid_lock:
            if self._pid:
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)

    def _wake_up(self) -> None:
        with suppress(OSError):
            self._wake.send(b"!", socket.MSG_DONTWAIT)

    def _end_controller(self) -> None:
        end_now(
            EXIT_SECRET_LOST,
            "the signer process ended, and its secret came from the environment, which only a new start has: "
            f"the controller ends with exit code {EXIT_SECRET_LOST}",
        )


def _ended_within(pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() >= deadline:
                # A new signer must not wait for it. The kernel removes what is left of it when this process ends.
                _log.error("a signer process that was killed has not ended; its disk may hang", extra={"fields": {"pid": pid}})
                return
            time.sleep(0.01)


def _connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection
