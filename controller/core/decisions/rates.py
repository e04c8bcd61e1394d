"""Decisions about the EUR rate: take a reading, call a person when none counts, move the centre.

``decide``, ``ticks`` and ``governance`` call it; ``policies.eur`` has the rule.

A reading is journalled when it says something new: another day or another number of the ECB, a pair that has moved by more than
the margin of its source or across an edge of the band, or one whose last reading would soon be too old. So a source adds at most
one entry for each time it is read, and while the rate stands still only a few an hour.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from controller.authority.command import Command
from controller.core import events as e
from controller.core.decisions import alerts
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import RateRead
from controller.core.state import State
from exchange.errors import ConfigError, IntegrityError, Refused
from exchange.model import Millis
from policies import canonical
from policies.document import canonical_bytes, parse_journalled
from policies.eur import (
    MARGINS,
    NoRate,
    RateReading,
    Rates,
    RateSource,
    band,
    centre,
    fresh,
    in_use,
    is_inside,
    max_age_ms,
    with_centre,
)
from policies.numbers import parse, text
from policies.schema import EurRate, Policy

ANNOUNCED_AFTER_MS = 300_000
"""A start reads its sources first. Only a rate that is still missing after this time calls a person."""


def rate_read(draft: Draft, read: RateRead) -> None:
    """Journal a reading that says something new, and call a person when it is outside the band."""
    policy, rates = draft.after.policy, draft.after.rates
    if policy is None or policy.eur_rate.follow is None:
        return
    most = max_age_ms(policy.eur_rate.follow, read.source)
    reading = RateReading(read.source, read.low, read.high, read.at)
    if most is None or not 0 < read.low <= read.high or not 0 <= draft.now - read.at < most:
        return
    known, inside = rates.of(read.source), is_inside(policy.eur_rate, rates, reading)
    if known is not None:
        crossed = is_inside(policy.eur_rate, rates, known) is not inside
        if reading.at < known.at or not (crossed or _says_something_new(known, reading, most)):
            return
    draft.emit(e.EurRateRead(source=read.source, low=read.low, high=read.high, as_of=read.at))
    if not inside:
        _call(draft, policy, "the EUR rate is outside the band around the signed rate")


def _says_something_new(known: RateReading, reading: RateReading, most: int) -> bool:
    if reading.source is RateSource.ECB:
        return (reading.at, reading.low) != (known.at, known.low)
    step = MARGINS[reading.source]
    moved = reading.low < known.low * (1 - step) or reading.high > known.high * (1 + step)
    narrowed = reading.low > known.low * (1 + step) or reading.high < known.high * (1 - step)
    return moved or narrowed or reading.at - known.at >= most // 2


def watch(draft: Draft) -> None:
    """Call a person while no rate counts at a stage that takes orders."""
    state = draft.after
    if state.policy is None or state.policy.eur_rate.follow is None or state.venue is None:
        return
    found = in_use(state.policy.eur_rate, state.rates, draft.now)
    if isinstance(found, NoRate) and not found.outside and draft.now - state.started_at >= ANNOUNCED_AFTER_MS:
        _call(draft, state.policy, "there is no fresh EUR rate")


def _call(draft: Draft, policy: Policy, title: str) -> None:
    found = in_use(policy.eur_rate, draft.after.rates, draft.now)
    if not isinstance(found, NoRate) or any(one.title == title for one in draft.after.alerts):
        return
    remedy = (
        "check the rate, then sign `gatehouse set-rate RATE --key KEY --reason WHY`"
        if found.outside
        else "check that this host reaches the source"
    )
    detail = f"{found.message}: buys are denied; {remedy}"
    alerts.raise_once(draft, AlertKind.RATE, title, detail)
    draft.do(Alert(AlertKind.RATE, title, detail))


# set-rate


def rate_document(quote_per_eur: Decimal) -> str:
    """The subject of a ``set-rate``."""
    return canonical.encode({"quote_per_eur": text(quote_per_eur)}).decode()


def check_set(state: State, policy: Policy, subject: str) -> None:
    """Check that the centre can be moved to what a command names. Raises ``Refused`` when it cannot."""
    if policy.eur_rate.follow is None:
        raise Refused(
            "the policy in force pins its rate and follows no source",
            code="rate-pinned",
            remedy="Adopt a policy with a section [eur_rate.follow]: `gatehouse set-policy FILE --key KEY --reason WHY`.",
        )
    new = _wanted(policy, subject)
    if new == centre(policy.eur_rate, state.rates):
        raise Refused("this rate is already the signed one", code="nothing-changes", remedy="Nothing is left to do.")
    moved = replace(state.rates, centre=new)
    low, high = band(policy.eur_rate, moved)
    for one in fresh(policy.eur_rate.follow, state.rates, state.at):
        if not is_inside(policy.eur_rate, moved, one):
            raise Refused(
                f"{one.source} says {text(one.low)}, which would be outside the new band of {text(low)} to {text(high)}",
                code="rate-implausible",
                remedy="Propose a rate that the sources agree with; `gatehouse status` shows what they say.",
            )


def set_centre(draft: Draft, command: Command) -> None:
    """Move the centre. Stage, evidence, drills and signed documents stay."""
    policy = draft.after.policy
    assert policy is not None
    before = centre(policy.eur_rate, draft.after.rates)
    draft.emit(e.EurRateSet(quote_per_eur=_wanted(policy, command.subject), before=before, command_id=command.command_id))


def _wanted(policy: Policy, subject: str) -> Decimal:
    """The rate that a subject names, within every bound that a policy's own rate has."""
    try:
        tree = canonical.decode(subject.encode())
        rate = parse(tree.get("quote_per_eur")) if isinstance(tree, dict) else Decimal(0)
    except (ValueError, IntegrityError) as error:
        raise _malformed(str(error)) from None
    if rate <= 0 or rate_document(rate) != subject:
        raise _malformed("it is one positive number in its shortest form")
    try:
        parse_journalled(canonical_bytes(with_centre(policy, rate)))
    except ConfigError as error:
        raise Refused(error.message, code="rate-out-of-bounds", remedy=error.remedy) from None
    return rate


def _malformed(why: str) -> Refused:
    return Refused(
        f"the rate is malformed: {why}",
        code="rate-malformed",
        remedy="Propose it with `gatehouse set-rate RATE --key KEY --reason WHY`.",
    )


# For people


def line(rate: EurRate, rates: Rates, now: Millis) -> str:
    """What counts now, in one line, for ``gatehouse status``."""
    if rate.follow is None:
        return f"{text(rate.quote_per_eur)} {rate.asset} per EUR, pinned by the policy"
    low, high = band(rate, rates)
    signed = f"signed {text(centre(rate, rates))}, band {text(low)} to {text(high)}"
    found = in_use(rate, rates, now)
    if isinstance(found, NoRate):
        return f"none: {found.message}; buys are denied ({signed})"
    hours = (now - found.reading.at) // 3_600_000
    return f"{text(found.quote_per_eur)} {rate.asset} per EUR, from {found.reading.source} {hours} h ago ({signed})"
