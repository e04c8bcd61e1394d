"""The watchdog's state machine, pure: when it watches, when it cancels, and when it has proof that nothing is left (ADR 27).

``decide(state, event, now_ns)`` gives the next state and what the process has to do, in this order. ``controller.watchdog.process``
measures, acts, and comes back with the next event.

    WAITING    no controller is watched: none was heard yet, or the last one said goodbye. It does nothing.
    WATCHING   a controller holds the lease. Each beat renews it, from the moment for which the beat vouches. A controller that has
               no order at any venue outside its own process may be silent.
    FIRING     the lease ran out. It cancels everything of ours and reads the open orders, again and again and without an end,
               until two readings in a row, a second or more apart, are empty.
    FIRED      proven empty. It goes on looking, and fires again when an order shows up. It leaves only when a controller says
               that it absorbed the log.

Every instant is monotonic nanoseconds of a clock that counts the time in which the machine is suspended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from exchange.ports import VenueName

SECOND = 1_000_000_000
CONFIRM_NS = SECOND
"""Two empty readings prove something only when they are this far apart (execution-safety.md §6)."""
RETRY_NS, RETRY_MOST_NS = SECOND // 4, 5 * SECOND
"""The pause after a reading that proves nothing; it doubles up to the second number."""
LOOK_AGAIN_NS = 10 * SECOND
"""How often the open orders are read once nothing is left, and while a controller is watched."""

HEAR_AGAIN_NS = 10 * SECOND
"""How long a controller has to be heard after this process stood still; at most a lease. It connects again within 6 s."""
STOOD_STILL_PART = 4
"""A tick that is late by this part of a lease, or more, means that the process stood still."""

Targets = tuple[tuple[VenueName, tuple[str, ...]], ...]
"""The venues where a controller may have orders, and the symbols there."""


class Phase(StrEnum):
    """Where the watchdog stands."""

    WAITING = "waiting"
    WATCHING = "watching"
    FIRING = "firing"
    FIRED = "fired"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a controller may be silent, and how long nobody may be there before the process ends by itself.

    ``attached``: `gatehouse run` started it, so it ends when that controller says goodbye. ``simulated``: no real money is at
    stake, so a venue that is gone with its controller keeps no process alive.
    """

    lease_ns: int
    idle_ns: int
    attached: bool = False
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the next decision depends on.

    ``vouched_ns``: until then a controller has decided, by its own word; the lease counts from there. ``seq`` is the last beat's.
    ``due_ns``: when the next reading is due. ``reading``: the number of the last one begun; an older one counts no more. ``busy``:
    it has not ended. ``empty_ns``: when the first of two empty readings ended. ``heard_ns``: when anybody was last heard.
    ``excused_ns``: until then a silence may be this process's own, because it stood still. ``excused``: the ``vouched_ns`` of that.
    """

    phase: Phase = Phase.WAITING
    controller_epoch: int = 0
    seq: int = 0
    vouched_ns: int = 0
    heard_ns: int = 0
    targets: Targets = ()
    due_ns: int = 0
    reading: int = 0
    busy: bool = False
    tries: int = 0
    empty_ns: int | None = None
    last_outcome: str = ""
    excused_ns: int = 0
    excused: int | None = None


# Events


@dataclass(frozen=True, slots=True)
class Beat:
    """A controller is alive: it decided something ``age_ns`` ago."""

    epoch: int
    seq: int
    age_ns: int
    targets: Targets


@dataclass(frozen=True, slots=True)
class Goodbye:
    """A controller ends in an orderly way, after it cancelled what it wanted to cancel."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Absorbed:
    """A controller has the whole log in its journal."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Read:
    """A reading of the open orders ended. ``orders`` is ``None`` when a venue did not answer; ``began_ns``: when it began."""

    reading: int
    began_ns: int
    orders: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. ``late_ns``: how much later it comes than it was due, because this process stood still."""

    late_ns: int = 0


Event = Beat | Goodbye | Absorbed | Read | Tick


# Actions


class Kind(StrEnum):
    """The kinds of entries in the watchdog's log."""

    WATCHING = "watching"
    FIRED = "fired"
    NOT_EMPTY = "not-empty"
    NO_ANSWER = "no-answer"
    EMPTY = "empty"
    REOPENED = "reopened"
    RELEASED = "released"
    GOODBYE = "goodbye"
    ENDED = "ended"
    STOPPED = "stopped"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Note:
    """Write an entry into the log before what follows. ``targets`` are where the watchdog has to look from now on."""

    kind: Kind
    detail: str
    targets: Targets = ()
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel every order at the targets, then read what is still open. A ``Read`` of the same number answers it."""

    reading: int
    targets: Targets


@dataclass(frozen=True, slots=True)
class Look:
    """Read what is open at the targets. A ``Read`` of the same number answers it."""

    reading: int
    targets: Targets


@dataclass(frozen=True, slots=True)
class Tell:
    """Alert people."""

    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class End:
    """Nobody needs this process any more."""

    because: str


Action = Note | Cancel | Look | Tell | End
Decision = tuple[State, tuple[Action, ...]]


def decide(state: State, event: Event, terms: Terms, now_ns: int) -> Decision:
    """The next state and what to do, in order."""
    match event:
        case Beat():
            return _beat(state, event, now_ns)
        case Goodbye():
            return _goodbye(state, event, terms)
        case Absorbed():
            return _absorbed(state, event, now_ns)
        case Read():
            return _read(state, event, now_ns)
        case Tick():
            return _tick(_excused(state, event, terms, now_ns), terms, now_ns)


def resumed(kind: Kind | None, targets: Targets, epoch: int, now_ns: int) -> State:
    """The state of a process that starts on a log. ``kind`` is the last entry that moved the phase, with its targets and epoch.

    A controller that was watched has one lease to be heard. What was being cancelled goes on being cancelled.
    """
    state = State(vouched_ns=now_ns, heard_ns=now_ns, targets=targets, controller_epoch=epoch, due_ns=now_ns)
    match kind:
        case Kind.WATCHING | Kind.RELEASED:
            return replace(state, phase=Phase.WATCHING)
        case Kind.FIRED | Kind.REOPENED:
            return replace(state, phase=Phase.FIRING)
        case Kind.EMPTY:
            return replace(state, phase=Phase.FIRED)
        case _:
            return replace(state, targets=())


MOVES = frozenset({Kind.WATCHING, Kind.RELEASED, Kind.FIRED, Kind.REOPENED, Kind.EMPTY, Kind.GOODBYE, Kind.ENDED})
"""The kinds of entries that say in which phase a process was when it stopped."""

FIRES = frozenset({Kind.FIRED, Kind.REOPENED})
"""The kinds of entries after which a controller must halt."""


def _beat(state: State, beat: Beat, now_ns: int) -> Decision:
    if (beat.epoch, beat.seq) <= (state.controller_epoch, state.seq):
        # A beat that was sent again, or of a controller that was replaced, renews no lease.
        return state, ()
    took_over = beat.epoch != state.controller_epoch
    vouched_ns = max(state.vouched_ns, now_ns - max(0, beat.age_ns))
    after = replace(state, controller_epoch=beat.epoch, seq=beat.seq, heard_ns=now_ns, vouched_ns=vouched_ns)
    if state.phase in {Phase.FIRING, Phase.FIRED}:
        return _beat_while_fired(after, beat, now_ns)
    if state.phase is Phase.WATCHING and beat.targets == state.targets and not took_over:
        return after, ()
    after = _look_at(replace(after, phase=Phase.WATCHING), beat.targets, now_ns)
    detail = f"controller of epoch {beat.epoch}: {described(beat.targets)}"
    return after, (Note(Kind.WATCHING, detail, beat.targets, beat.epoch),)


def _beat_while_fired(state: State, beat: Beat, now_ns: int) -> Decision:
    """A controller that comes back does not end the cancelling; it can only add places to it."""
    wider = _joined(state.targets, beat.targets)
    if wider == state.targets:
        return state, ()
    after = replace(_look_at(state, wider, now_ns), phase=Phase.FIRING)
    return after, (Note(Kind.FIRED, f"it has to cancel at more places: {described(wider)}", wider, beat.epoch),)


def _look_at(state: State, targets: Targets, now_ns: int) -> State:
    """The places changed: a reading under way is of the old ones and proves nothing."""
    return replace(state, targets=targets, due_ns=now_ns, reading=state.reading + 1, busy=False, empty_ns=None)


def _goodbye(state: State, goodbye: Goodbye, terms: Terms) -> Decision:
    leaves = (End("the controller that started it said goodbye"),) if terms.attached else ()
    if goodbye.epoch < state.controller_epoch or state.phase in {Phase.FIRING, Phase.FIRED}:
        # What was begun is finished, also when a controller leaves.
        return state, ()
    if state.phase is Phase.WAITING:
        return state, leaves
    detail = f"controller of epoch {goodbye.epoch} ended in an orderly way"
    return replace(state, phase=Phase.WAITING, targets=()), (Note(Kind.GOODBYE, detail, (), goodbye.epoch), *leaves)


def _absorbed(state: State, absorbed: Absorbed, now_ns: int) -> Decision:
    if state.phase is not Phase.FIRED or absorbed.epoch < state.controller_epoch:
        return state, ()
    seq = state.seq if absorbed.epoch == state.controller_epoch else 0
    after = _look_at(state, state.targets, now_ns)
    after = replace(after, phase=Phase.WATCHING, vouched_ns=now_ns, heard_ns=now_ns, controller_epoch=absorbed.epoch, seq=seq)
    detail = f"controller of epoch {absorbed.epoch} absorbed the log"
    return after, (Note(Kind.RELEASED, detail, state.targets, absorbed.epoch),)


def _tick(state: State, terms: Terms, now_ns: int) -> Decision:
    over_ns = max(state.vouched_ns + terms.lease_ns, state.excused_ns)
    if state.phase is Phase.WATCHING and state.targets and now_ns >= over_ns:
        return _fire(state, terms, now_ns)
    if now_ns - state.heard_ns >= terms.idle_ns and _useless(state, terms):
        because = f"no controller was there for {terms.idle_ns // SECOND} s"
        # A log that ends here still says that it fired and that nothing was left: the next start of either side reads it.
        return state, (End(because),)
    if state.busy or now_ns < state.due_ns or state.phase is Phase.WAITING:
        return state, ()
    after = replace(state, busy=True, reading=state.reading + 1)
    cancels = state.phase is Phase.FIRING and state.empty_ns is None
    return after, ((Cancel if cancels else Look)(after.reading, state.targets),)


def _excused(state: State, tick: Tick, terms: Terms, now_ns: int) -> State:
    """A process that stood still heard nobody, so a controller gets a moment to be heard: once between two of its beats."""
    if tick.late_ns * STOOD_STILL_PART < terms.lease_ns or state.excused == state.vouched_ns:
        return state
    return replace(state, excused_ns=now_ns + min(HEAR_AGAIN_NS, terms.lease_ns), excused=state.vouched_ns)


def _useless(state: State, terms: Terms) -> bool:
    """Whether nothing is left to do for a process that no controller talks to."""
    match state.phase:
        case Phase.FIRED:
            return True
        case Phase.FIRING:
            return terms.simulated
        case _:
            return terms.attached and not state.targets


def _fire(state: State, terms: Terms, now_ns: int) -> Decision:
    silent_s = (now_ns - state.vouched_ns) // SECOND
    reason = f"the controller decided or could cancel nothing for {silent_s} s, the lease is {terms.lease_ns // SECOND} s"
    after = replace(state, phase=Phase.FIRING, tries=0, empty_ns=None, reading=state.reading + 1, busy=True, last_outcome="")
    return after, (
        Note(Kind.FIRED, reason, state.targets, state.controller_epoch),
        Cancel(after.reading, state.targets),
        Tell("the dead man's switch fired", f"{reason}; cancelling at {described(state.targets)}"),
    )


def _read(state: State, read: Read, now_ns: int) -> Decision:
    if read.reading != state.reading or not state.busy:
        return state, ()
    state = replace(state, busy=False)
    match state.phase:
        case Phase.FIRING if read.orders != 0:
            return _not_proven(state, read, now_ns)
        case Phase.FIRING:
            return _read_empty(state, read, now_ns)
        case Phase.FIRED if read.orders:
            return _reopened(state, read.orders, now_ns)
        case _:
            return replace(state, due_ns=now_ns + LOOK_AGAIN_NS), ()


def _reopened(state: State, orders: int, now_ns: int) -> Decision:
    found = f"{orders} open orders after it was empty"
    after = replace(state, phase=Phase.FIRING, tries=0, empty_ns=None, due_ns=now_ns, last_outcome="")
    return after, (
        Note(Kind.REOPENED, found, state.targets, state.controller_epoch),
        Tell("orders showed up after the dead man's switch fired", f"{found}; cancelling again"),
    )


def _not_proven(state: State, read: Read, now_ns: int) -> Decision:
    pause = min(RETRY_NS << min(state.tries, 10), RETRY_MOST_NS)
    kind = Kind.NO_ANSWER if read.orders is None else Kind.NOT_EMPTY
    outcome = read.problem if read.orders is None else f"{read.orders} open orders"
    after = replace(state, tries=state.tries + 1, empty_ns=None, due_ns=now_ns + pause, last_outcome=kind)
    # The cancelling may go on for days: the log gets the 1st, 2nd, 4th, 8th … try, and each change of what it meets.
    news = kind != state.last_outcome or state.tries & (state.tries - 1) == 0
    return after, (Note(kind, outcome, state.targets, state.controller_epoch),) if news else ()


def _read_empty(state: State, read: Read, now_ns: int) -> Decision:
    if state.empty_ns is None:
        return replace(state, empty_ns=now_ns, due_ns=now_ns + CONFIRM_NS), ()
    if read.began_ns - state.empty_ns < CONFIRM_NS:
        return replace(state, due_ns=state.empty_ns + CONFIRM_NS), ()
    detail = f"two empty readings {(read.began_ns - state.empty_ns) // 1_000_000} ms apart at {described(state.targets)}"
    after = replace(state, phase=Phase.FIRED, due_ns=now_ns + LOOK_AGAIN_NS, heard_ns=max(state.heard_ns, now_ns))
    return after, (
        Note(Kind.EMPTY, detail, state.targets, state.controller_epoch),
        Tell("the dead man's switch left nothing open", detail),
    )


def _joined(one: Targets, other: Targets) -> Targets:
    joined = {venue: set(symbols) for venue, symbols in one}
    for venue, symbols in other:
        joined.setdefault(venue, set()).update(symbols)
    return tuple((venue, tuple(sorted(joined[venue]))) for venue in sorted(joined))


def described(targets: Targets) -> str:
    """The places in words."""
    return "; ".join(f"{venue}: {', '.join(symbols)}" for venue, symbols in targets) or "no venue"
