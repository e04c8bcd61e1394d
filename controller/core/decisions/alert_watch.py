"""The conditions that raise an alert when they begin and clear it when they end, and the deadlines of alerts. ``ticks`` calls it.

Each is judged by values of the folded state and of the tick, so a restart neither raises nor clears anything by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from controller.core.decisions import alerts
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import Tick
from controller.core.state import State
from exchange.model import Millis
from exchange.ports import VenueName
from policies.guards import GuardName, Level
from policies.schema import Policy
from policies.stage import Stage

COVERAGE_GAP_MS = 300_000
"""A run that is not covered for so long is worth an alert: it may have to begin anew."""

STREAM_DOWN_MS = 60_000
"""A stream that is of no use for so long is worth an alert. A renewal takes seconds."""

CLOCK_MS = 60_000
"""A guard of the clock that restricts for so long is worth an alert, also when it cancels and halts nothing."""

CLOCK_TITLE = "the guard of the clock restricts orders"
COVERAGE_TITLE = "the time of the run does not count as covered"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds now and should not."""

    kind: AlertKind
    title: str
    detail: str


def watch(draft: Draft, input_: Tick) -> None:
    """Raise what begins, clear what is over, escalate what nobody acknowledged."""
    state = draft.after
    found = [one for judge in _JUDGES for one in judge(state, input_, draft.now)]
    for one in found:
        if alerts.raise_once(draft, one.kind, one.title, one.detail):
            draft.do(Alert(one.kind, one.title, one.detail[:500]))
    if state.alerts or state.standing:
        _clear(draft, found, input_)
        alerts.escalate(draft)


def _clear(draft: Draft, found: list[Condition], input_: Tick) -> None:
    holds = {(one.kind, one.title) for one in found}
    for one in (*draft.after.alerts, *draft.after.standing):
        over = _OVER.get(one.kind)
        if over is None or one.cleared_at is not None or (one.kind, one.title) in holds:
            continue
        if proof := over(draft.after, input_, one.title):
            alerts.end(draft, one.kind, one.title, proof)


def _unknown(state: State, _: Tick, now: Millis) -> Iterator[Condition]:
    if state.policy is None:
        return
    deadline = unknown_deadline_ms(state.policy)
    for order in state.open.values():
        if order.unknown_since is not None and now - order.unknown_since >= deadline:
            age = (now - order.unknown_since) // 1000
            detail = f"its outcome on {order.venue} has not been known for {age} s; the guard halts at twice {deadline // 1000} s"
            yield Condition(AlertKind.UNKNOWN_OVERDUE, _unknown_title(order.client_id), detail)


def _unknown_title(client_id: str) -> str:
    return f"{client_id} is UNKNOWN past its deadline"


def _clock(state: State, _: Tick, now: Millis) -> Iterator[Condition]:
    since = state.guard_since
    # A clock that is only not seen is the venue's absence, and HALTED says more than this.
    measured = state.guard is GuardName.CLOCK_OFFSET and state.guard not in state.unseen
    if measured and since is not None and state.position.stage is not Stage.HALTED:
        severe = Level[state.guard_level] >= Level.CANCEL_ALL
        if severe or now - since >= CLOCK_MS:
            yield Condition(AlertKind.CLOCK, CLOCK_TITLE, state.guard_reason)


def _coverage(state: State, _: Tick, now: Millis) -> Iterator[Condition]:
    tally = state.tally
    if tally is None or state.position.stage in {Stage.MOCK, Stage.HALTED}:
        return
    if tally.gap_ms and tally.gap_ms + max(0, now - tally.last_at) >= COVERAGE_GAP_MS:
        yield Condition(AlertKind.COVERAGE, COVERAGE_TITLE, f"{state.uncovered or tally.gap_why}, for {COVERAGE_GAP_MS // 1000} s")


def _streams(state: State, input_: Tick, now: Millis) -> Iterator[Condition]:
    venue = _streaming(state)
    if venue is not None:
        for life in input_.streams.get(venue, ()):
            if life.down_since is not None and now - life.down_since >= STREAM_DOWN_MS:
                detail = f"it has been of no use for {STREAM_DOWN_MS // 1000} s: {life.why}"
                yield Condition(AlertKind.STREAMS, _stream_title(venue, life.name), detail)


def _streaming(state: State) -> VenueName | None:
    """The venue whose streams matter: the one in use, unless it is the executor in this process."""
    return None if state.watched is VenueName.MOCK else state.watched


def _stream_title(venue: str, stream: str) -> str:
    return f"the stream {stream} of {venue} is down"


def _lost_run(state: State, _: Tick, now: Millis) -> Iterator[Condition]:
    lost = state.lost_run
    if lost is not None and lost.position.stage is Stage.TESTNET_VALIDATING and now >= lost.at:
        yield Condition(AlertKind.VALIDATION, _lost_title(state), f"it had covered {lost.covered_ms // 1000} s: {lost.why}")


def _lost_title(state: State) -> str:
    lost = state.lost_run
    if lost is None:
        return ""
    return f"the run at {lost.position} began anew at {datetime.fromtimestamp(lost.at / 1000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


_JUDGES: tuple[Callable[[State, Tick, Millis], Iterator[Condition]], ...] = (_unknown, _clock, _coverage, _streams, _lost_run)


def _stream_proof(state: State, input_: Tick, title: str) -> str:
    venue = _streaming(state)
    if venue is None:
        return "no stream is in use"
    up = {_stream_title(venue, life.name): life.down_since is None for life in input_.streams.get(venue, ())}
    if title in up:
        return "it is of use again" if up[title] else ""
    return "this stream is not in use any more" if up else ""


def _unknown_proof(state: State, _: Tick, title: str) -> str:
    unknown = {_unknown_title(one.client_id) for one in state.open.values() if one.unknown_since is not None}
    return "" if title in unknown else "the venue has proven the outcome"


def _clock_proof(state: State, _: Tick, __: str) -> str:
    return "" if state.guard_level else "the guards find nothing any more"


def _coverage_proof(state: State, _: Tick, __: str) -> str:
    tally = state.tally
    return "the time counts as covered again" if tally is None or (tally.samples and not tally.gap_ms) else ""


def _lost_proof(state: State, _: Tick, title: str) -> str:
    revoked = title.startswith("the validation is revoked")
    over = not state.revoked if revoked else state.lost_run is None or title != _lost_title(state)
    return "the deployment moved on" if over else ""


_OVER: dict[AlertKind, Callable[[State, Tick, str], str]] = {
    AlertKind.UNKNOWN_OVERDUE: _unknown_proof,
    AlertKind.CLOCK: _clock_proof,
    AlertKind.STREAMS: _stream_proof,
    AlertKind.COVERAGE: _coverage_proof,
    AlertKind.VALIDATION: _lost_proof,
}
"""What proves that such a condition is over; an empty answer proves nothing."""


def unknown_deadline_ms(policy: Policy) -> int:
    """How long an outcome may be unknown before it is an alert: half of the time in which the guard halts."""
    return policy.guards.unknown_order.max_age_ms // 2
