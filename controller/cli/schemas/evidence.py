"""The documents of ``explain``, ``report`` and ``rehearse``."""

from __future__ import annotations

from typing import Literal

from controller.cli.schemas.document import Document, EntryDocument, JsonObject
from controller.cli.schemas.journal import VerdictDocument
from controller.console.flatten import WayOutView
from controller.console.schema import GateView, LandingView, RuleView, TestnetView


class DecidedEntry(EntryDocument):
    """The entry of a command; ``result`` is its gate's result, null where no gate judged it."""

    result: JsonObject | None


class JudgedNow(Document):
    """The gates of the next steps as the running controller judges them now, and where each leads."""

    now: list[GateView]
    landing: tuple[LandingView, ...] = ()


class GateExplained(DecidedEntry):
    """A gate's last decision; ``now`` and ``landing`` are there while a controller runs and the gate guards a next step."""

    now: tuple[GateView, ...] = ()
    landing: tuple[LandingView, ...] = ()


class RuleNow(RuleView):
    """A rule of a next gate."""

    gate: str


class RuleExplained(Document):
    """A rule as it is judged now, in each gate that has it."""

    now: list[RuleNow]


class WaysOut(Document):
    """The ways out of a halt as the running controller sees them."""

    ways_out: list[WayOutView]
    now_ms: int


class TestnetExplained(Document):
    """The journal's entries about who answers as the testnet, and, while a controller runs, who answers now."""

    __test__ = False

    entries: list[EntryDocument]
    testnet: TestnetView | None = None


Explained = (
    list[EntryDocument | WaysOut]
    | list[DecidedEntry]
    | GateExplained
    | EntryDocument
    | RuleExplained
    | JudgedNow
    | TestnetExplained
)
"""What ``explain`` prints depends on its subject: the entries of an order, halt, drill or proposal, the decisions of a command,
a gate, a rule, or the testnet."""


class ReportDocument(Document):
    """The files of a report; ``command_id`` is empty for a report of the present run, and then there is no bundle."""

    page: str
    report: str
    bundle: str | None = None
    digest: str
    verdict: VerdictDocument
    command_id: str


class ReportFiles(Document):
    """The files of the report that a rehearsal ends with."""

    page: str
    report: str
    bundle: str | None = None


class ComparedRule(Document):
    """A rule of a production validation, and what the rehearsal measured; ``measured`` is empty without a value."""

    metric: str
    measured: str
    asked: str
    samples: int
    verdict: str


class RehearsalDocument(Document):
    """How a rehearsal ended. Times are seconds, memory is MiB; it is simulated and accelerated, and says so."""

    simulated: Literal[True]
    accelerated: Literal[True]
    directory: str
    stage: str
    verdict: str
    journal_head: str
    journal_seq: int
    virtual_s: float
    wall_s: float
    cpu_s: float
    peak_mib: int
    seed: int
    source: str
    rounds: int
    counts: dict[str, int]
    signed: list[str]
    validated_by: str
    struck: list[str]
    bot_ended: str
    bot_said: str
    reports: ReportFiles
    production: list[ComparedRule]
