"""What a report knows of one run: one stage, until the deployment moved or was measured anew. ``collect`` fills it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from controller.core.events import RunMeasured
from controller.core.lifecycle import Position
from controller.report.coverage import Coverage
from controller.report.curve import Curve
from exchange.model import DataSource, Millis
from exchange.ports import VenueName
from gates.measure import Tally
from gates.series import RoundTrip
from policies.numbers import WIDE

ZERO = Decimal(0)
DAY_MS = 86_400_000
MOST_NOTES = 300


@dataclass(frozen=True, slots=True)
class Note:
    """Something out of the ordinary, or a drill: what the journal says about it, in words. ``group`` is ``fault`` or ``drill``."""

    seq: int
    at: Millis
    group: str
    title: str
    detail: str


@dataclass(slots=True)
class Day:
    """One day (UTC) of a run. Equity is without deposits and withdrawals; ``fees`` are in EUR."""

    first: Decimal | None = None
    last: Decimal | None = None
    fees: Decimal = ZERO
    orders: int = 0
    fills: int = 0


@dataclass(slots=True)
class Run:
    """One run. Amounts are in EUR unless they say otherwise.

    ``before`` is where the deployment came from. ``moved_eur`` are deposits less withdrawals. ``outcomes`` counts orders by how
    they ended, ``denials`` the denied ones by rule. ``latencies`` are milliseconds from the decision until the answer was
    journalled, ``slippage_bps`` the price of each fill against the mid price at the decision, positive where it cost.
    ``other_fees`` are fees in assets that are neither side of the symbol, which no EUR amount here includes.
    """

    position: Position
    before: str
    since: Millis
    since_seq: int
    cause: str
    reason: str
    venue: VenueName | None
    cap_eur: Decimal
    until: Millis | None = None
    tally: Tally | None = None
    sources: set[DataSource] = field(default_factory=set)
    accelerated: bool = False
    coverage: Coverage = field(init=False)
    equity: Curve = field(default_factory=Curve)
    exposure: Curve = field(default_factory=Curve)
    mid: Curve = field(default_factory=Curve)
    drawdown: Curve = field(default_factory=Curve)
    first_mid: Decimal | None = None
    last_mid: Decimal | None = None
    first_equity: Decimal | None = None
    peak_equity: Decimal | None = None
    moved_eur: Decimal = ZERO
    moves: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    denials: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    slippage_bps: list[Decimal] = field(default_factory=list)
    other_fees: dict[str, Decimal] = field(default_factory=dict)
    volume_eur: Decimal = ZERO
    fills: int = 0
    maker_fills: int = 0
    measured: RunMeasured | None = None
    days: dict[int, Day] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    notes_dropped: int = 0
    restarts: int = 0

    def __post_init__(self) -> None:
        self.coverage = Coverage(self.since)

    @property
    def name(self) -> str:
        """The stage, with its step."""
        return str(self.position)

    @property
    def last_at(self) -> Millis:
        """When it ended or, if it goes on, the time of its last sample."""
        return self.until if self.until is not None else max(self.coverage.until, self.since)

    @property
    def net_eur(self) -> Decimal | None:
        """Equity at the end less equity at the start, without deposits and withdrawals."""
        tally = self.tally
        return (
            None
            if tally is None or tally.equity_last is None or tally.equity_start is None
            else tally.equity_last - tally.equity_start
        )

    def in_eur(self, amount: Decimal) -> Decimal:
        """An amount of the quote asset in EUR, at the rate of the run's series."""
        rate = self.tally.series.quote_per_eur if self.tally is not None else Decimal(1)
        return WIDE.divide(amount, rate)

    @property
    def round_trips(self) -> list[tuple[RoundTrip, Decimal]]:
        """What was bought and sold again, each with its result in EUR, net of fees."""
        return [(one, self.in_eur(one.pnl_quote)) for one in self.tally.series.round_trips] if self.tally is not None else []

    @property
    def fees_eur(self) -> Decimal | None:
        """The fees of the run's fills, ``None`` where one was in an asset whose price is not known."""
        return self._sum("fees")

    @property
    def realised_eur(self) -> Decimal | None:
        """The results of what was sold again, ``None`` as ``fees_eur``."""
        return self._sum("realised")

    @property
    def slippage_eur(self) -> Decimal | None:
        """What the fills cost against the mid price at the decision."""
        return self.in_eur(self.tally.collected.slippage) if self.tally is not None and self.fills else None

    def _sum(self, name: str) -> Decimal | None:
        collected = self.tally.collected if self.tally is not None else None
        return None if collected is None or collected.unvalued_fees else self.in_eur(getattr(collected, name))

    def day(self, at: Millis) -> Day:
        """The day of an instant."""
        return self.days.setdefault(at // DAY_MS, Day())

    def note(self, note: Note) -> None:
        """Keep a note; of too many, the oldest are only counted."""
        self.notes.append(note)
        if len(self.notes) > MOST_NOTES:
            self.notes.pop(0)
            self.notes_dropped += 1
