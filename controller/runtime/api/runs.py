"""The run of the present stage as views: covered time, streams, what its gates still need. ``runtime.api.views`` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from controller.console.run_view import CoverageView, LostRunView, StreamView, percent
from controller.console.schema import GateView
from controller.core.decisions.evidence import gated_moves
from controller.core.inputs import Tick
from controller.core.state import State
from exchange.model import Millis
from exchange.stream_life import StreamLife
from gates.engine import GateResult
from gates.measure import Tally
from gates.outlook import Chance, Progress, lost_rules, outlooks, progress, start_over
from gates.spans import span
from gates.statistics import ratio_down
from gates.streams import StreamRun, observed
from policies.numbers import text
from policies.rules import MetricName
from policies.schema import Policy
from policies.stage import ON_THE_TESTNET

_PACE = Decimal("0.001")


def coverage_view(state: State, policy: Policy, seen: Tick, now: Millis) -> CoverageView | None:
    """How far the run is; ``None`` while there is none."""
    tally = state.tally
    if tally is None:
        return None
    paused, target = tally.gap_ms > 0, _target_ms(state, policy)
    rules = [rule for _, _, gate in gated_moves(state) for rule in policy.gates.of(gate)]
    hopeless = _hopeless(lost_rules(rules, tally), state)
    ahead = Progress(None, "this run cannot pass any more") if hopeless else progress(tally, target, now)
    return CoverageView(
        covered_ms=tally.covered_ms,
        total_ms=tally.total_ms,
        longest_gap_ms=tally.longest_gap_ms,
        attested_ms=tally.attested_ms if state.position.stage in ON_THE_TESTNET else None,
        target_ms=target,
        paused_because=state.uncovered if paused else "",
        paused_since_ms=tally.last_at - tally.gap_ms if paused else None,
        longest_gap_why=tally.longest_gap_why,
        longest_gap_at_ms=tally.longest_gap_at or None,
        ratio=percent(ratio_down(tally.covered_ms, tally.total_ms)),
        eta_ms=ahead.eta,
        no_eta=ahead.why_no_eta,
        hopeless=hopeless,
        now_ms=now,
        streams=_streams(state, tally, seen, now),
        lost_run=_lost_run(state),
    )


def _lost_run(state: State) -> LostRunView | None:
    """The run that was begun anew, until the next step up."""
    lost = state.lost_run
    if lost is None:
        return None
    return LostRunView(at_ms=lost.at, position=str(lost.position), covered_ms=lost.covered_ms, orders=lost.orders, why=lost.why)


def with_outlooks(view: GateView, result: GateResult, state: State, now: Millis) -> GateView:
    """A gate with what each rule still needs, and what can never pass in this run any more."""
    found = outlooks(result, state.tally, now)
    rules = tuple(
        rule.model_copy(
            update={
                "chance": one.chance.value,
                "outlook": one.line,
                "missing": "" if one.missing is None else text(one.missing),
                "per_hour": "" if one.per_hour is None else text(one.per_hour.quantize(_PACE)),
                "by_ms": one.by,
            }
        )
        for rule, one in zip(view.rules, found, strict=True)
    )
    lost = tuple(one.rule for one in found if one.chance is Chance.LOST)
    return view.model_copy(update={"rules": rules, "hopeless": _hopeless(lost, state)})


def _hopeless(lost: Sequence[str], state: State) -> str:
    if not lost:
        return ""
    spent = span(state.tally.covered_ms) if state.tally is not None else "no time"
    return (
        f"This run cannot pass any more: {', '.join(lost)}. Waiting does not help. A new run begins with "
        f"{start_over(state.position.stage)}; the {spent} that are covered now then no longer count."
    )


def _target_ms(state: State, policy: Policy) -> int:
    """The covered time that the gate of the next step up asks for; of a stage without one, that of the validation."""
    asked = [
        int(rule.threshold)
        for _, _, gate in gated_moves(state)
        for rule in policy.gates.of(gate)
        if rule.metric is MetricName.COVERED_MS
    ]
    return max(asked, default=policy.validation.covered_ms)


def _streams(state: State, tally: Tally, seen: Tick, now: Millis) -> tuple[StreamView, ...]:
    lives = seen.streams.get(state.watched, ()) if state.watched is not None else ()
    if not lives and not tally.streams.runs:
        return ()
    by_name = {life.name: life for life in lives}
    runs = observed(tally.streams, lives, tally.started_at, now).runs if lives else tally.streams.runs
    return tuple(_stream(run, by_name.get(run.name), tally, now) for run in runs)


def _stream(run: StreamRun, life: StreamLife | None, tally: Tally, now: Millis) -> StreamView:
    message = life.message_at if life is not None else None
    return StreamView(
        name=run.name,
        coverage=percent(run.coverage(max(0, now - tally.started_at), now)) or "0.0",
        rotations=run.rotations,
        renewals=run.renewals,
        gaps=run.gaps,
        longest_gap_ms=run.longest_gap_ms,
        longest_gap_why=run.longest_gap_why,
        rotation_gap_ms=run.rotation_gap_ms,
        down_ms=None if run.down_since is None else max(0, now - run.down_since),
        down_why=run.down_why,
        message_ms=None if message is None else max(0, now - message),
    )
