"""How far the run of the present stage is, as the status and the gates show it: covered time, gaps, streams, what was lost."""

from __future__ import annotations

from decimal import Decimal

from pydantic import computed_field

from controller.console.view import View
from exchange.model import Millis
from gates.spans import moment, part_of, span


class StreamView(View):
    """One stream of the venue in use in the present run.

    ``down_ms`` is for how long it is of no use now, absent while it is. ``message_ms`` is the age of its last message that counts.
    """

    name: str
    coverage: str
    rotations: int
    renewals: int
    gaps: int
    longest_gap_ms: int
    longest_gap_why: str
    rotation_gap_ms: int | None
    down_ms: int | None
    down_why: str
    message_ms: int | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """What a person reads about it."""
        parts = [f"{self.name}: up {self.coverage} % of the run, {_many(self.gaps, 'gap')}"]
        if self.gaps:
            parts.append(f"longest {span(self.longest_gap_ms)} ({self.longest_gap_why})")
        at = " without a gap" if self.rotation_gap_ms == 0 else f" (longest gap {span(self.rotation_gap_ms or 0)})"
        at = "" if self.rotation_gap_ms is None else at
        parts.append(f"{_many(self.rotations, 'rotation')} survived{at}")
        if self.renewals:
            parts.append(f"{_many(self.renewals, 'renewal')} of its key")
        if self.message_ms is not None:
            parts.append(f"last message {span(self.message_ms)} ago")
        if self.down_ms is not None:
            parts.append(f"DOWN for {span(self.down_ms)}: {self.down_why}")
        return ", ".join(parts)


class LostRunView(View):
    """The run that was begun anew and what was lost of it: ``covered_ms`` at ``position``, and why."""

    at_ms: int
    position: str
    covered_ms: int
    orders: int
    why: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """What a person reads about it."""
        lost = f"{span(self.covered_ms)} of covered time and {_many(self.orders, 'order')} at {self.position} no longer count"
        return f"the run started over {moment(Millis(self.at_ms), Millis(0))}: {self.why}; {lost}"


class CoverageView(View):
    """How much of the run counts: ``covered_ms`` of ``target_ms`` needed; ``total_ms`` is the time since it began.

    While time does not count, ``paused_because`` says why and ``paused_since_ms`` since when. ``attested_ms`` is the part of
    ``covered_ms`` that the testnet's own signature vouches for; absent where no testnet makes the evidence. ``ratio`` is the
    covered part of the run in percent. ``eta_ms`` is when the target is reached at the present pace; where it is absent,
    ``no_eta`` says why. ``hopeless`` says which rules can never pass in this run any more, and what to do. ``lost_run`` is the run
    before, if it was begun anew.
    """

    covered_ms: int
    total_ms: int
    longest_gap_ms: int
    target_ms: int
    paused_because: str = ""
    paused_since_ms: int | None = None
    attested_ms: int | None = None
    longest_gap_why: str = ""
    longest_gap_at_ms: int | None = None
    ratio: str = ""
    eta_ms: int | None = None
    no_eta: str = ""
    hopeless: str = ""
    now_ms: int = 0
    streams: tuple[StreamView, ...] = ()
    lost_run: LostRunView | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """What a person reads about it."""
        parts = [f"{part_of(self.covered_ms, self.target_ms)} covered"]
        if self.ratio:
            parts.append(f"coverage {self.ratio} %")
        why = f" ({self.longest_gap_why})" if self.longest_gap_why else ""
        parts.append(f"longest gap {span(self.longest_gap_ms)}{why}" if self.longest_gap_ms else "no gap")
        parts.append(self.eta)
        return ", ".join(part for part in parts if part)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def short(self) -> str:
        """The same without the gap, for a small place."""
        return ", ".join(part for part in (f"coverage {self.ratio} %" if self.ratio else "", self.eta) if part)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def eta(self) -> str:
        """When the target is reached, in words, or why nobody can say."""
        if self.eta_ms is not None:
            return f"ETA {moment(Millis(self.eta_ms), Millis(self.now_ms))} at the present pace"
        return f"no ETA: {self.no_eta}" if self.no_eta else ""


_PLACES = 6
_UNITS = {"": "", "count": "", "ratio": "", "number": "", "eur": " EUR"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "eq": "=", ">=": "≥", "<=": "≤", "==": "="}


def quantity(value: str, unit: str) -> str:
    """A measured value or a threshold as a person reads it; milliseconds become hours, minutes and seconds."""
    if unit == "ms" and value.isdecimal():
        return span(int(value))
    if (point := value.find(".")) >= 0 and len(value) - point > _PLACES:
        value = value[: point + _PLACES + 1].rstrip("0").rstrip(".")
    return f"{value}{_UNITS.get(unit, f' {unit}')}" if value else ""


def needed(op: str, threshold: str, unit: str) -> str:
    """``≥ 3 d``: what a rule asks for."""
    return f"{_SIGNS.get(op, op)} {quantity(threshold, unit)}"


def percent(ratio: Decimal | None) -> str:
    """A fraction as a percentage with one decimal, cut off, so that 100 means all of it; empty when it is not known."""
    if ratio is None:
        return ""
    tenths = int(ratio * 1000)
    return f"{tenths // 10}.{tenths % 10}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{'no' if count == 0 else count} {what}s"
