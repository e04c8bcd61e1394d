"""One line of text per journal entry. The console and the command line show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from controller.core import events as e
from controller.core.decisions.neutral import changed
from controller.core.lifecycle import Position
from gates.spans import span
from policies.numbers import text


def summary(event: e.Event) -> str:
    """What happened, in one line."""
    write = _LINES.get(type(event))
    return write(event) if write is not None else event.kind.replace("-", " ")


def _order(event: e.OrderAdmitted | e.OrderDenied) -> str:
    amount = event.quantity if event.quantity is not None else event.quote_quantity
    size = text(amount) if amount is not None else "?"
    return f"{event.side} {size} {event.symbol} {event.type}" + (f" @ {text(event.price)}" if event.price is not None else "")


def _admitted(event: e.OrderAdmitted) -> str:
    worst = f"worst case {text(event.exposure_eur)} of {text(event.cap_eur)} EUR"
    return f"admitted {event.client_id}: {_order(event)}, {worst}"


def _denied(event: e.OrderDenied) -> str:
    return f"denied {_order(event)}: {event.rule}: {event.message}"


def _stage(event: e.StageChanged) -> str:
    lost = f"; {span(event.lost_ms)} of covered time no longer count" if event.lost_ms else ""
    return (
        f"{Position(event.from_stage, event.from_step)} → {Position(event.stage, event.step)} ({event.cause}): {event.reason}{lost}"
    )


def _fill(event: e.FillBooked) -> str:
    role = f"{'maker' if event.maker else 'taker'}, fee {text(event.fee)} {event.fee_asset}"
    return f"{event.side} {text(event.quantity)} {event.symbol} @ {text(event.price)} as {role}"


def _reconciled(event: e.Reconciled) -> str:
    found = event.breaks or event.suspected
    times = f" {event.count} times" if event.count > 1 else ""
    return (
        f"{event.venue} reconciled{times}, {event.open_orders} open orders" if event.clean else f"{event.venue}: {'; '.join(found)}"
    )


def _differences(event: e.Rebaselined) -> str:
    found = changed(event.books, event.reading)
    lines = [f"{asset} {text(ours)} → {text(theirs)}" for asset, (ours, theirs) in found.items()]
    if event.lost_orders:
        lines.append(f"over, because it forgot them: {', '.join(event.lost_orders)}")
    return "; ".join(lines)


def _sampled(event: e.Sampled) -> str:
    equity = f"{text(event.equity_eur)} EUR" if event.equity_eur is not None else "unknown"
    exposure = f"{text(event.exposure_eur)} EUR" if event.exposure_eur is not None else "unknown"
    many = f", the newest of {event.count} samples in a row" if event.count > 1 else ""
    return f"equity {equity}, exposure {exposure}{many}" + ("" if event.covered else f", not covered: {event.uncovered_reason}")


def _halt(event: e.HaltMeasured) -> str:
    return (
        f"latched {event.breach_to_latch_us} µs after the cause was known, {event.cancelled} orders cancelled after "
        f"{event.latch_to_cancelled_us} µs, {'verified' if event.verified_empty else 'not verified'}"
    )


def _drill_finished(event: e.DrillFinished) -> str:
    if event.latch_to_cancelled_us < 0:
        figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in event.measured.items())
        return f"{event.drill} drill: {figures}; {event.denied} denied"
    return (
        f"{event.drill} drill: latched after {event.breach_to_latch_us} µs, {event.cancelled} orders cancelled after "
        f"{event.latch_to_cancelled_us} µs, {event.denied} denied, {'verified' if event.verified_empty else 'not verified'}"
    )


def _flatten_started(event: e.FlattenStarted) -> str:
    by = f"guard {event.guard}" if event.guard else f"command {event.command_id}"
    return f"flatten of {', '.join(event.symbols)} on {event.venue} started by {by}: {event.reason}"


def _streams(event: e.StreamsObserved) -> str:
    lines = []
    for one in event.streams:
        renewals = f", {one.renewals} renewals" if one.renewals else ""
        down = f", down: {one.down_why}" if one.down_since is not None else ""
        lines.append(f"{one.name} {one.rotations} rotations{renewals}, {one.gaps} gaps{down}")
    return f"{event.venue} streams in this run: {'; '.join(lines)}"


def _integrity(event: e.IntegrityObserved) -> str:
    books = "; ".join(
        f"{one.symbol} crossed {one.crossed_ms} ms, {one.resyncs} resyncs, {one.diverged} of {one.compared} comparisons apart"
        for one in event.books
    )
    calls = f"{event.calls.requests} calls, {event.calls.limited} answers 429, {event.calls.banned} bans"
    return f"{event.venue} in this run: {calls}" + (f"; {books}" if books else "")


def _rate_read(event: e.EurRateRead) -> str:
    said = text(event.low) if event.low == event.high else f"{text(event.low)} to {text(event.high)}"
    return f"{event.source} says {said} for one EUR"


_LINES: Mapping[type[e.Event], Callable[[Any], str]] = MappingProxyType(
    {
        e.DeploymentCreated: lambda event: f"{event.controller_id} created for {event.environment}",
        e.PolicyAdopted: lambda event: f"policy {event.digest[:19]}… adopted",
        e.RosterAdopted: lambda event: f"roster {event.digest[:19]}… adopted",
        e.ReleaseAdopted: lambda event: f"release {event.name} {event.version} adopted",
        e.AccountBound: lambda event: f"{event.venue} account {event.fingerprint[:19]}… bound",
        e.ControllerStarted: lambda event: f"controller {event.gatehouse_version} started, epoch {event.epoch}",
        e.Armed: lambda _: "armed: verified, folded and reconciled",
        e.Disarmed: lambda event: f"disarmed: {event.reason}",
        e.CommandAccepted: lambda event: f"{event.verb} by {', '.join(event.persons)} applied",
        e.CommandPending: lambda event: (
            f"{event.verb} by {', '.join(event.persons)} waits for its cooling-off time: {event.reason}"
        ),
        e.CommandVoided: lambda event: f"command {event.command_id} withdrawn ({event.cause}): {event.reason}",
        e.CommandRefused: lambda event: (
            f"{event.verb or 'command'} by {', '.join(event.persons) or 'no one'} refused: {event.message}"
        ),
        e.EvidenceSealed: lambda event: f"evidence {event.digest[:19]}… sealed for {event.gate}: {event.verdict}",
        e.StageChanged: _stage,
        e.EurRateRead: _rate_read,
        e.EurRateSet: lambda event: f"the signed EUR rate is {text(event.quote_per_eur)} from here on, it was {text(event.before)}",
        e.FlattenStarted: _flatten_started,
        e.FlattenSliced: lambda event: f"{event.client_id} is the next sale of the flatten, widening {event.widening}",
        e.FlattenWaits: lambda event: f"the flatten waits: {event.reason}",
        e.FlattenEnded: lambda event: f"the flatten on {event.venue} ended: {event.why}",
        e.BreachDetected: lambda event: f"{event.guard} at {event.level}: {event.message}",
        e.GuardLevelChanged: lambda event: f"guards are at {event.level}: {event.reason}" if event.level else "no guard is broken",
        e.HaltMeasured: _halt,
        e.OrderAdmitted: _admitted,
        e.OrderDenied: _denied,
        e.OrdersDeniedAgain: lambda event: f"denied {event.count} more orders of {event.bot} alike: {event.rule}: {event.message}",
        e.OrderAcked: lambda event: f"{event.client_id} accepted by the venue as {event.order_id}",
        e.OrderRejected: lambda event: f"{event.client_id} refused by the venue: {event.code} {event.message}",
        e.OrderUnknown: lambda event: f"{event.client_id} is UNKNOWN: {event.reason}",
        e.LookupMissed: lambda event: f"{event.client_id} not found by the venue",
        e.OrderReported: lambda event: f"{event.client_id} {event.status}, executed {text(event.executed)}",
        e.FillBooked: _fill,
        e.FillRepeated: lambda event: f"trade {event.booked_as} of order {event.client_id} told again as {event.trade_id}",
        e.CancelAccepted: lambda event: f"the venue accepted the cancel of {event.client_id}",
        e.CancelRejected: lambda event: f"the venue refused the cancel of {event.client_id}: {event.code} {event.message}",
        e.CancelRequested: lambda event: f"{event.client_id} to be cancelled, asked by {event.requested_by}",
        e.BalancesBaselined: lambda event: (
            f"{event.venue} baseline: " + ", ".join(f"{text(total)} {asset}" for asset, total in sorted(event.totals.items()))
        ),
        e.Rebaselined: lambda event: f"{event.venue} has a new baseline by command {event.command_id}: {_differences(event)}",
        e.CapitalMoved: lambda event: (
            f"{event.venue}: " + "; ".join(f"{text(one.amount)} {one.asset} by {one.id}" for one in event.moves)
        ),
        e.Reconciled: _reconciled,
        e.AccountChecked: lambda event: (
            f"{event.venue} account: {event.checks - len(event.failed)} of {event.checks} checks passed"
            + (f"; not {', '.join(event.failed)}" if event.failed else "")
        ),
        e.Sampled: _sampled,
        e.SymbolClosed: lambda event: f"{event.symbol} is closed on {event.venue}, because {event.why}",
        e.SymbolReopened: lambda event: f"{event.symbol} on {event.venue} is no longer reported as closed: {event.why}",
        e.BotKeysAdopted: lambda event: (
            f"gateway keys adopted: {', '.join(f'{one.key} of {one.bot}' for one in event.keys) or 'none'}"
        ),
        e.BotKeyIssued: lambda event: f"gateway key {event.key} issued to {event.bot}",
        e.BotKeyRevoked: lambda event: f"gateway key {event.key} of {event.bot} revoked permanently",
        e.AlertRaised: lambda event: f"{event.title}: {event.detail}",
        e.AlertAcknowledged: lambda event: f"{event.alert_id} acknowledged by {', '.join(event.persons)}",
        e.ArchiveApproved: lambda event: f"{', '.join(event.persons)} let the entries up to {event.upto} be archived",
        e.JournalArchived: lambda event: f"the entries up to {event.last} are in the archive {event.archive}, by {event.by}",
        e.DrillStarted: lambda event: f"a {event.drill} drill runs on {event.venue} at {event.stage}",
        e.DrillLatched: lambda event: f"a thread stopped orders {event.suspended_us} µs after it was asked; the writer latched",
        e.DrillFinished: _drill_finished,
        e.DrillFailed: lambda event: f"{event.drill} drill: not run: {event.reason}",
        e.OrdersTested: lambda event: (
            f"order/test of the real venue: {event.accepted} accepted, {sum(event.refused.values())} refused, "
            f"{sum(event.unjudged.values())} not judged"
        ),
        e.ShadowCompared: lambda event: (
            f"{event.client_id} {'filled' if event.filled else 'not filled'}, simulated "
            f"{'filled' if event.simulated_filled else 'not filled'}"
        ),
        e.ValidationRevoked: lambda event: f"the validation is revoked: {event.reason}",
        e.StreamsObserved: _streams,
        e.IntegrityObserved: _integrity,
    }
)
