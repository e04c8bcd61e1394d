"""Every metric that gatehouse emits: its name, kind, unit, labels and meaning, in one table (ADR 65).

``controller.telemetry.book`` keeps the numbers, ``controller.telemetry.meters`` exports them, and ``ops/docs/telemetry.md`` is
written from this table. Nothing can be counted that is not declared here. Names and units follow OpenTelemetry's conventions: words
with dots, no unit in the name, units of UCUM, and in braces what is counted. Prometheus shows ``gatehouse.order.denied`` as
``gatehouse_order_denied_total`` and adds the unit, as in ``gatehouse_decision_age_seconds``. A name does not change once released.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from controller.core.causes import Cause
from exchange.orders import TERMINAL
from exchange.ports import VenueName
from gates.verdict import Verdict
from policies.authority import Verb
from policies.drills import DrillKind
from policies.guards import GuardName, Level
from policies.rules import GateName
from policies.stage import Stage


class Kind(StrEnum):
    """What a metric is. A counter only grows while a process runs; a gauge is what is true now; a histogram counts durations."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """One metric. ``labels`` are the names of its labels, without their prefix ``gatehouse.``.

    ``zeros`` are the label values that a counter shows from the start of a process, at 0: a rate needs a value before the first
    event. ``missing`` says when a gauge shows no value: it is empty for one that is always there.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    zeros: tuple[tuple[str, ...], ...] = ()
    missing: str = ""

    @property
    def prometheus_name(self) -> str:
        """Its name in the text format of Prometheus."""
        name = self.name.replace(".", "_") + ("_seconds" if self.unit == "s" else "")
        return f"{name}_total" if self.kind is Kind.COUNTER else name


_ALL: list[Instrument] = []

_EUR = "{EUR}"
_IS = "{deployment}"
"""The unit of a yes or no about the deployment, as in ``k8s.node.condition.status``."""


def _counter(
    name: str, unit: str, description: str, labels: Iterable[str] = (), zeros: Iterable[tuple[str, ...]] = ((),)
) -> Instrument:
    return _added(Instrument(name, Kind.COUNTER, unit, description, tuple(labels), tuple(zeros)))


def _gauge(name: str, unit: str, description: str, labels: Iterable[str] = (), missing: str = "") -> Instrument:
    return _added(Instrument(name, Kind.GAUGE, unit, description, tuple(labels), missing=missing))


def _duration(name: str, description: str, labels: Iterable[str] = ()) -> Instrument:
    return _added(Instrument(name, Kind.HISTOGRAM, "s", description, tuple(labels)))


def _added(one: Instrument) -> Instrument:
    _ALL.append(one)
    return one


# What the deployment is

STAGE = _gauge(
    "gatehouse.stage", _IS, "1 for the stage in which the deployment is, 0 for every other stage.", ("stage",), "no state yet"
)
HALTED = _gauge("gatehouse.halted", _IS, "1 while the deployment is HALTED, 0 at every other stage.", missing="no state yet")
HALT_CAUSE = _gauge("gatehouse.halt.cause", _IS, "1 for the cause of the present halt.", ("cause",), "not HALTED")
ARMED = _gauge(
    "gatehouse.armed",
    _IS,
    "1 only while an order can be placed: armed, not HALTED, a permit is live and the writer decided within 2 s. Otherwise 0.",
)
LEADING = _gauge("gatehouse.leading", _IS, "1 while this process leads its journal, 0 on a standby and before a start is complete.")
STAGE_AGE = _gauge("gatehouse.stage.age", "s", "Time since the deployment came to its stage.", missing="no state yet")
RAMP_STEP = _gauge("gatehouse.ramp.step", "{step}", "The step of RAMPING, 0 at every other stage.", missing="no state yet")
PERMIT_REMAINING = _gauge(
    "gatehouse.permit.remaining", "s", "For how long the present permit to place orders still lives; 0 without one."
)
DECISION_AGE = _gauge(
    "gatehouse.decision.age", "s", "Time since the writer last decided a tick; one comes four times a second.", missing="none yet"
)
GUARD_LEVEL = _gauge(
    "gatehouse.guard.level",
    _IS,
    "1 for the most severe level that a guard demands now, or for `none`; 0 for every other level.",
    ("level",),
    "no state yet",
)
COMMAND_PENDING = _gauge(
    "gatehouse.command.pending", "{command}", "Signed commands that wait for the end of their cooling-off.", missing="no state yet"
)
ALERTS_OPEN = _gauge(
    "gatehouse.alert.open", "{alert}", "Alerts that must be acknowledged and are not yet, by kind.", ("kind",), "no state yet"
)
DRILL_RUNNING = _gauge("gatehouse.drill.running", "{drill}", "Drills that run now, 0 or 1.", missing="no state yet")
DRILL_AGE = _gauge("gatehouse.drill.age", "s", "Time since the last drill of a kind ended.", ("drill",), "that drill never ended")
DRILL_PASSED = _gauge(
    "gatehouse.drill.passed", _IS, "1 if the last drill of a kind passed, else 0.", ("drill",), "that drill never ended"
)
RUN_TIME = _gauge("gatehouse.run.time", "s", "Time since the present run began.", missing="no run")
RUN_COVERED = _gauge("gatehouse.run.covered", "s", "The covered part of the present run.", missing="no run")

# Money

_OLD = "not sampled within 60 s"
EXPOSURE = _gauge("gatehouse.exposure", _EUR, "Worst-case exposure at a venue.", ("venue",), _OLD)
EXPOSURE_LIMIT = _gauge(
    "gatehouse.exposure.limit", _EUR, "The cap on worst-case exposure at this stage; 0 at HALTED.", missing="no policy"
)
EQUITY = _gauge("gatehouse.equity", _EUR, "Equity at a venue.", ("venue",), _OLD)
PNL_DAY = _gauge("gatehouse.pnl.day", _EUR, "Equity less equity at the start of the UTC day.", ("venue",), _OLD)
PNL_RUN = _gauge("gatehouse.pnl.run", _EUR, "Equity less equity at the start of the run.", ("venue",), _OLD)
SAMPLE_AGE = _gauge("gatehouse.sample.age", "s", "Time since the account of a venue was last valued.", ("venue",), "never valued")

# Venues

RECONCILED = _gauge(
    "gatehouse.reconciled",
    _IS,
    "1 while the last reconciliation agreed and is not older than the policy allows, else 0.",
    ("venue",),
    "the venue is not in use",
)
RECONCILIATION_AGE = _gauge(
    "gatehouse.reconciliation.age", "s", "Time since a reconciliation last found no difference.", ("venue",), "none yet"
)
QUOTE_AGE = _gauge(
    "gatehouse.market.quote.age", "s", "Time since a trustworthy quote was last received.", ("venue", "symbol"), "none yet"
)
QUOTE_LIMIT = _gauge(
    "gatehouse.market.quote.age.limit", "s", "The age of a quote from which on no order is admitted.", missing="no policy"
)
VENUE_REACHABLE = _gauge(
    "gatehouse.venue.reachable", _IS, "1 if a venue answered the last question for its time, else 0.", ("venue",), "on a standby"
)
CLOCK_OFFSET = _gauge(
    "gatehouse.venue.clock.offset", "s", "Our clock less the clock of a venue.", ("venue",), "not measured lately"
)
CLOCK_UNCERTAINTY = _gauge(
    "gatehouse.venue.clock.uncertainty", "s", "How far from the truth that offset can be.", ("venue",), "not measured lately"
)
STREAM_UP = _gauge(
    "gatehouse.stream.up", _IS, "1 while a stream of a venue is subscribed and in step, else 0.", ("venue", "stream"), "no stream"
)
ORDERS_OPEN = _gauge(
    "gatehouse.order.open",
    "{order}",
    "Orders that are not settled: working, unknown, or ending.",
    ("venue", "state"),
    "no state yet",
)
UNKNOWN_AGE = _gauge(
    "gatehouse.order.unknown.age",
    "s",
    "For how long the outcome of an order has been unknown; 0 while all are known.",
    missing="no state yet",
)

# Bots, the journal and its copies

BOT_LIVE = _gauge("gatehouse.bot.live", "{bot}", "1 while a bot counts as connected, else 0.", ("bot",), "no such bot")
BOT_HEARD_AGE = _gauge("gatehouse.bot.heard.age", "s", "Time since a bot was last heard.", ("bot",), "not heard since the start")
JOURNAL_SEQUENCE = _gauge("gatehouse.journal.sequence", "{entry}", "The number of the last journal entry.", missing="no state yet")
CHECKPOINT_AGREES = _gauge(
    "gatehouse.checkpoint.agrees", _IS, "1 while a checkpoint target agrees with the journal, else 0.", ("target",), "no target"
)
CHECKPOINT_AGE = _gauge(
    "gatehouse.checkpoint.age", "s", "Time since a checkpoint target last agreed.", ("target",), "it never agreed"
)

# What happened since the process started

_VENUES = tuple((venue.value,) for venue in VenueName)
ORDERS_ADMITTED = _counter("gatehouse.order.admitted", "{order}", "Orders that passed every limit.", ("venue",), _VENUES)
ORDERS_DENIED = _counter("gatehouse.order.denied", "{order}", "Orders that were denied, by the rule.", ("rule",), ())
ORDERS_UNKNOWN = _counter("gatehouse.order.unknown", "{order}", "Orders whose outcome became unknown.")
ORDERS_ENDED = _counter(
    "gatehouse.order.ended",
    "{order}",
    "Orders whose end a venue proved, by how they ended.",
    ("outcome",),
    tuple((status.value,) for status in sorted(TERMINAL)),
)
FILLS = _counter("gatehouse.fill.booked", "{fill}", "Trades that were booked.", ("venue",), _VENUES)
BREACHES = _counter(
    "gatehouse.guard.breach",
    "{breach}",
    "Breaches of guards.",
    ("guard", "level"),
    tuple((guard.value, level.name) for guard in GuardName for level in Level),
)
HALTS = _counter("gatehouse.halt", "{halt}", "Halts, by their cause.", ("cause",), tuple((cause.value,) for cause in Cause))
STAGE_CHANGES = _counter(
    "gatehouse.stage.change", "{move}", "Moves to a stage.", ("stage",), tuple((stage.value,) for stage in Stage)
)
COMMANDS = _counter(
    "gatehouse.command.decided",
    "{command}",
    "Commands that were decided: accepted, waiting or refused.",
    ("verb", "outcome"),
    tuple((verb.value, outcome) for verb in Verb for outcome in ("accepted", "waiting", "refused")),
)
GATES = _counter(
    "gatehouse.gate.evaluated",
    "{evaluation}",
    "Evaluations of a gate whose evidence was sealed.",
    ("gate", "verdict"),
    tuple((gate.value, verdict) for gate in GateName for verdict in (one.value for one in Verdict)),
)
RECONCILIATIONS = _counter(
    "gatehouse.reconciliation.done",
    "{reconciliation}",
    "Reconciliations that are journalled: clean, suspected, or broken.",
    ("venue", "result"),
    tuple((venue.value, result) for venue in VenueName for result in ("clean", "suspected", "broken")),
)
DRILLS = _counter(
    "gatehouse.drill.ended",
    "{drill}",
    "Drills that ended: passed or failed.",
    ("drill", "result"),
    tuple((drill.value, result) for drill in DrillKind for result in ("passed", "failed")),
)
LOST_DURATIONS = _counter(
    "gatehouse.telemetry.lost", "{measurement}", "Durations that were dropped because nobody collected them in time."
)

# Durations

DECIDING = _duration("gatehouse.decision.duration", "From the begin of a batch until it is decided.")
APPENDING = _duration("gatehouse.journal.append.duration", "From the decision of a batch with entries until it is durable.")
ORDER_ANSWERED = _duration(
    "gatehouse.order.answer.duration", "From an admitted order's durable entry until the venue's answer is durable.", ("outcome",)
)
ORDER_SETTLED = _duration(
    "gatehouse.order.duration", "From an admitted order's durable entry until its end is durable.", ("outcome",)
)
HALT_LATCH = _duration("gatehouse.halt.latch.duration", "From the breach until no order leaves any more.")
HALT_CANCEL = _duration("gatehouse.halt.cancel.duration", "From the latch until the venue is proven empty.")

INSTRUMENTS: tuple[Instrument, ...] = tuple(_ALL)
"""All of them."""

BUCKETS_S = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
"""The upper bounds of every histogram: from a decision (50 µs) to an order that rests for an hour."""
