"""The controller's side of the watchdog: it sends beats, reads the answers, and absorbs the watchdog's log (ADR 27).

A beat is sent only while the writer decides. Its age says how long ago the writer last did, and the watchdog's lease counts from
there, so a writer that hangs in a process that lives is silent too.

``problem`` is a condition of every permit (``PermitOffice.require``). It asks the clock, not a task: a process that was stopped and
goes on places nothing before the watchdog has said that it did not fire meanwhile. ``controller.runtime.assembly`` makes one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from controller.console.watchdog_view import WatchdogView
from controller.core.causes import Cause
from controller.core.decisions.alerts import is_standing
from controller.core.effects import AlertKind
from controller.core.inputs import AlertEnded, AlertNoticed, HaltAsked, WatchdogLogRead
from controller.core.state import State
from controller.journal.chain import Head
from controller.runtime.loop.inbox import Inbox
from controller.watchdog.lease import FIRES, Kind, Phase
from controller.watchdog.log import LogReport, first_head, verified_entries, verify_lines
from controller.watchdog.protocol import (
    LONGEST_LINE,
    AbsorbedSent,
    Answer,
    BeatSent,
    GoodbyeSent,
    Hello,
    LogAsked,
    LogLines,
    Message,
    ProtocolError,
    Wire,
    new_nonce,
)
from exchange.errors import GatehouseError, IntegrityError
from exchange.model import Millis
from exchange.ports import Clock, VenueName

FRESH_NS = 2_000_000_000
"""A writer that decided nothing for this long is late, and no beat vouches for it. A tick comes four times a second."""

ANSWER_WITHIN_S = 5.0
RECONNECT_AFTER_S = 0.5
READ_AGE_MOST_MS = 60_000
"""A watchdog that has not read the open orders for this long may not be able to cancel them."""
GOODBYE_WITHIN_S = 2.0
LOST_AFTER_NS = 10_000_000_000
LOST_TITLE = "the watchdog is not reached"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ties:
    """How the controller reaches its watchdog. ``required``: without one that answers, no order goes to the live venue."""

    address: Path | tuple[str, int]
    token: str
    lease_s: int
    required: bool

    @property
    def local(self) -> bool:
        """Whether a connection that ends shows that the watchdog's process has ended."""
        return isinstance(self.address, Path)


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of the watchdog: its last answer, when it came, and until when it knows that the controller decided.

    ``watched``: the venues of the last beat that it took. ``why_not``: why it is not connected.
    """

    connected: bool = False
    why_not: str = "it was not reached yet"
    answer: Answer | None = None
    answered_ns: int = 0
    vouched_ns: int = 0
    watched: frozenset[VenueName] = frozenset()


def watchdog_problem(link: Link, ties: Ties, venue: VenueName | None, absorbed_seq: int, now_ns: int) -> str:
    """Why no order may go to ``venue`` now because of the watchdog; empty when nothing speaks against it.

    Half a lease is the limit of its silence: an order that leaves until then is at the venue, or refused as too old, before the
    lease is over and the watchdog reads what is open.
    """
    answer, needed = link.answer, ties.required and venue is VenueName.LIVE
    if venue is None or venue is VenueName.MOCK:
        return ""
    if answer is None:
        return f"the watchdog has not answered since this controller started: {link.why_not}"
    if answer.phase in {Phase.FIRING, Phase.FIRED} or answer.fired_seq > absorbed_seq:
        return "the dead man's switch fired, and its log is not absorbed yet"
    if not link.connected and ties.local:
        return f"no watchdog runs: {link.why_not}" if needed else ""
    return _silent(link, min(ties.lease_s * 1000, answer.lease_ms), now_ns) or _unable(link, answer, venue, needed=needed)


def _silent(link: Link, lease_ms: int, now_ns: int) -> str:
    silent_ms = (now_ns - link.vouched_ns) // 1_000_000
    if 2 * silent_ms <= lease_ms:
        return ""
    return f"the watchdog has confirmed nothing for {silent_ms} ms, and may cancel everything at any moment"


def _unable(link: Link, answer: Answer, venue: VenueName, *, needed: bool) -> str:
    if venue not in link.watched and (needed or venue.value in answer.served):
        return f"the watchdog does not watch the {venue} venue"
    if needed and answer.problem:
        return f"the watchdog cannot read the open orders: {answer.problem}"
    if needed and answer.read_age_ms is not None and answer.read_age_ms > READ_AGE_MOST_MS:
        return f"the watchdog last read the open orders {answer.read_age_ms // 1000} s ago"
    return ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the watchdog's log says since the controller fell silent for a drill: when it fired, and when it found nothing left."""

    fired_at: Millis | None = None
    emptied_at: Millis | None = None


class Heartbeat:
    """Keeps the connection to the watchdog. ``decided_ns`` is when the writer last decided, ``None`` before it did."""

    def __init__(
        self, ties: Ties, state: Callable[[], State], decided_ns: Callable[[], int | None], inbox: Inbox, clock: Clock
    ) -> None:
        self._ties = ties
        self._state = state
        self._decided_ns = decided_ns
        self._inbox = inbox
        self._clock = clock
        self._link = Link()
        self._seq = 0
        self._broken_at = ""
        self._silent = False
        self._able_ns = self._reached_ns = clock.monotonic_ns()
        self._lost = False
        self.cannot_cancel: Callable[[], str] = lambda: ""
        """Why this controller could cancel nothing now, for example because no signer answers; empty when it could."""
        self.heard = Heard()

    @property
    def lease_s(self) -> int:
        """How long the watchdog waits for a beat: its own word for it, once it has answered."""
        answer = self._link.answer
        return answer.lease_ms // 1000 if answer is not None else self._ties.lease_s

    def fall_silent(self) -> None:
        """Send no beat, for a drill, and read the watchdog's log instead."""
        self._silent, self.heard = True, Heard()

    def speak(self) -> None:
        """Send beats again."""
        self._silent = False

    def problem(self) -> str:
        """Why no order may be placed now; empty when the watchdog speaks against none."""
        state = self._state()
        return watchdog_problem(self._link, self._ties, state.venue, state.watchdog_seq, self._clock.monotonic_ns())

    def view(self) -> WatchdogView:
        """The watchdog as the status shows it."""
        link, answer = self._link, self._link.answer
        return WatchdogView(
            connected=link.connected,
            phase=answer.phase.value if answer is not None else "",
            lease_ms=answer.lease_ms if answer is not None else self._ties.lease_s * 1000,
            answer_age_ms=(self._clock.monotonic_ns() - link.answered_ns) // 1_000_000 if answer is not None else None,
            read_age_ms=answer.read_age_ms if answer is not None else None,
            venues=tuple(sorted(link.watched)),
            required=self._ties.required,
            problem=self.problem() or (answer.problem if answer is not None else "") or ("" if link.connected else link.why_not),
        )

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                await self._session()
                why_not = "it closed the connection"
            except (OSError, EOFError, TimeoutError) as error:
                why_not = str(error) or type(error).__name__
            except GatehouseError as error:
                _log.error("the watchdog cannot be used: %s", error.message)
                why_not = error.message
            if self._link.connected:
                _log.error("the watchdog is lost: %s", why_not)
            self._link = replace(self._link, connected=False, why_not=why_not)
            self._note_loss(why_not)
            await asyncio.sleep(RECONNECT_AFTER_S)

    def _note_loss(self, why_not: str) -> None:
        """Alert once when the watchdog has been away for ``LOST_AFTER_NS``."""
        now_ns = self._clock.monotonic_ns()
        if not self._lost and now_ns - self._reached_ns >= LOST_AFTER_NS:
            self._lost = True
            self._inbox.fact(AlertNoticed(AlertKind.WATCHDOG_LOST, LOST_TITLE, why_not, announce=True), now_ns)

    def _note_reached(self) -> None:
        self._reached_ns = now_ns = self._clock.monotonic_ns()
        # A process before this one may have raised it.
        if self._lost or is_standing(self._state(), AlertKind.WATCHDOG_LOST, LOST_TITLE):
            self._lost = False
            self._inbox.fact(AlertEnded(AlertKind.WATCHDOG_LOST, LOST_TITLE, "it answers"), now_ns)

    async def goodbye(self) -> None:
        """Tell the watchdog that this controller ends in an orderly way. After ``run`` was cancelled; never raises."""
        try:
            async with asyncio.timeout(GOODBYE_WITHIN_S):
                line = await self._connect()
                try:
                    await line.ask(GoodbyeSent(epoch=self._state().epoch))
                finally:
                    line.close()
        except (OSError, EOFError, TimeoutError, GatehouseError) as error:
            _log.warning("the watchdog did not hear the goodbye: %s", error)

    async def _session(self) -> None:
        line = await self._connect()
        try:
            while True:
                began_ns = self._clock.monotonic_ns()
                await (self._overhear(line) if self._silent else self._beat(line))
                spent_s = (self._clock.monotonic_ns() - began_ns) / 1e9
                await asyncio.sleep(max(0.0, min(1.0, self._ties.lease_s / 10) - spent_s))
        finally:
            line.close()

    async def _connect(self) -> _Line:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            address = self._ties.address
            if isinstance(address, Path):
                reader, writer = await asyncio.open_unix_connection(address, limit=2 * LONGEST_LINE)
            else:
                reader, writer = await asyncio.open_connection(*address, limit=2 * LONGEST_LINE)
        line = _Line(reader, writer, self._ties.token)
        try:
            await line.meet(self._state().controller_id)
        except BaseException:
            line.close()
            raise
        return line

    async def _beat(self, line: _Line) -> None:
        now_ns, decided_ns = self._clock.monotonic_ns(), self._decided_ns()
        if decided_ns is None or now_ns - decided_ns > FRESH_NS:
            return
        self._seq += 1
        state, age_ms = self._state(), max(0, now_ns - decided_ns, self._unable_ns(now_ns)) // 1_000_000
        venues = _places(state)
        answer = await line.ask(BeatSent(epoch=state.epoch, seq=self._seq, age_ms=age_ms, venues=venues))
        if not isinstance(answer, Answer):
            raise ProtocolError("a beat was not answered by an answer")
        taken = answer.beat == self._seq
        link = self._link
        self._link = Link(
            connected=True,
            why_not="",
            answer=answer,
            answered_ns=self._clock.monotonic_ns(),
            vouched_ns=now_ns - age_ms * 1_000_000 if taken else link.vouched_ns,
            watched=frozenset(VenueName(name) for name in venues if name in answer.served) if taken else link.watched,
        )
        self._note_reached()
        await self._absorb(line, answer)

    def _unable_ns(self, now_ns: int) -> int:
        """For how long orders are open that could not be cancelled from here. The lease must run out as when nobody decides."""
        if not self._is_unable():
            self._able_ns = now_ns
        return now_ns - self._able_ns

    def _is_unable(self) -> bool:
        outside = any(order.venue is not VenueName.MOCK for order in self._state().open.values())
        return outside and bool(self.cannot_cancel())

    async def _overhear(self, line: _Line) -> None:
        """Read what the watchdog did since its last absorbed entry. This renews no lease, and nothing is absorbed."""
        held = self._held()
        entries = verified_entries(await line.log_after(held.seq), self._state().controller_id, held)
        self.heard = Heard(
            fired_at=next((entry.at for entry in entries if entry.kind in FIRES), None),
            emptied_at=next((entry.at for entry in entries if entry.kind == Kind.EMPTY), None),
        )

    def _held(self) -> Head:
        state = self._state()
        return Head(state.watchdog_seq, state.watchdog_head, 0) if state.watchdog_seq else first_head(state.controller_id)

    async def _absorb(self, line: _Line, answer: Answer) -> None:
        """Bring what is new in the log into the journal, then tell the watchdog when all of it is there."""
        state = self._state()
        held = self._held()
        if (held.seq, held.hash) == (answer.head_seq, answer.head_hash):
            # One that is released counts a new lease, and would fire again and again.
            if answer.phase is Phase.FIRED and not self._is_unable():
                await line.ask(AbsorbedSent(epoch=state.epoch, seq=held.seq, hash=held.hash))
            return
        lines = await line.log_after(held.seq)
        problem = "" if lines else f"it ends with entry {answer.head_seq}, and entry {held.seq} was absorbed before"
        try:
            report = verify_lines(lines, state.controller_id, held)
        except IntegrityError as error:
            problem = error.message
        if problem:
            await self._take_another_log(line, answer, problem)
        else:
            self._inbox.fact(_read_of(report, report.broken), self._clock.monotonic_ns())

    async def _take_another_log(self, line: _Line, answer: Answer, why: str) -> None:
        """The log does not go on from what was absorbed: halt. If it is whole in itself, it is the log from here on."""
        if self._broken_at == answer.head_hash:
            return
        self._broken_at = answer.head_hash
        now_ns, name = self._clock.monotonic_ns(), self._state().controller_id
        try:
            report = verify_lines(await line.log_after(0), name, first_head(name))
        except IntegrityError as error:
            self._inbox.fact(HaltAsked(by="watchdog", reason=error.message, cause=Cause.INTEGRITY), now_ns)
            return
        self._inbox.fact(_read_of(report, why), now_ns)


def _read_of(report: LogReport, broken: str) -> WatchdogLogRead:
    return WatchdogLogRead(
        seq=report.head.seq,
        hash=report.head.hash,
        entries=report.entries,
        fired=report.fired_seq > 0,
        reason=report.reason,
        broken=broken,
    )


def _places(state: State) -> dict[str, list[str]]:
    """Where orders of ours may be open: the venue in use, or in use before the halt, and wherever an order is not settled."""
    venues = {order.venue for order in state.open.values()} | ({state.watched} if state.watched is not None else set())
    symbols = sorted({order.symbol for order in state.open.values()} | set(state.policy.symbols if state.policy else ()))
    return {venue.value: symbols for venue in sorted(venues) if venue is not VenueName.MOCK}


class _Line:
    """One connection to the watchdog: a question, then its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._wire = Wire(token, "controller", "watchdog")

    async def meet(self, controller_id: str) -> None:
        hello, nonce = await self._hear(), new_nonce()
        if not isinstance(hello, Hello):
            raise ProtocolError("the other side did not say hello first")
        self._writer.write(self._wire.line(Hello(nonce=nonce, controller_id=controller_id)))
        self._wire.nonces = hello.nonce + nonce

    async def ask(self, message: Message) -> Message:
        self._writer.write(self._wire.line(message))
        return await self._hear()

    async def log_after(self, seq: int) -> list[str]:
        lines: list[str] = []
        while True:
            page = await self.ask(LogAsked(after=seq + len(lines)))
            if not isinstance(page, LogLines):
                raise ProtocolError("the log was not sent")
            lines += page.lines
            if not page.more or not page.lines:
                return lines

    def close(self) -> None:
        self._writer.transport.abort()

    async def _hear(self) -> Message:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            line = await self._reader.readuntil(b"\n")
        return self._wire.read(line)
