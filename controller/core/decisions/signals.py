"""Takes over what a replay of the recorded market to the bot showed (ADR 67). ``controller.core.decide`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.decisions.draft import Draft
from controller.core.inputs import SignalsReplayed
from gates.signals import DECISIONS_MOST, value_text


def signals_replayed(draft: Draft, report: SignalsReplayed) -> None:
    """Journal it, if it is about the present run, release and policy. Anything else is of no use to anybody."""
    state = draft.after
    tally, release = state.tally, state.release
    if tally is None or release is None or tally.series.started_at != report.run_started_at or report.as_of_seq > state.seq:
        return
    if (release.digest, state.policy_digest) != (report.release, report.policy):
        return
    error = report.error
    if len(report.decisions) > DECISIONS_MOST:
        error = f"the replay made more than {DECISIONS_MOST:,} decisions"
    draft.emit(
        e.SignalsReplayed(
            run_started_at=report.run_started_at,
            as_of_seq=report.as_of_seq,
            as_of=report.as_of,
            release=report.release,
            policy=report.policy,
            recording=report.recording,
            spans=report.spans,
            decisions=() if error else tuple(map(value_text, report.decisions)),
            error=error[:200],
        )
    )
