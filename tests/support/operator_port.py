"""A fake operator port for tests of the console and the command line: it answers with the values a test sets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from controller.console.bot_view import BotView
from controller.console.port import LOCAL_SOCKET, StreamItem
from controller.console.run_view import CoverageView, LostRunView, StreamView
from controller.console.schema import (
    BalanceView,
    CountersView,
    EntryView,
    FillView,
    GateView,
    NextEdgeView,
    OrderView,
    PolicyView,
    ProposalView,
    ProposeRequest,
    QuoteView,
    ReceiptView,
    ReleaseView,
    RosterView,
    RuleView,
    SampleView,
    SeriesView,
    StatusView,
)
from controller.console.unreached_view import UnreachedView
from controller.telemetry.health import Probe
from exchange.errors import GatehouseError
from exchange.model import DataSource, Millis, OrderStatus, OrderType, Side
from exchange.ports import VenueName
from policies.authority import Verb
from policies.stage import Environment, Stage
from tests.support.inspecting import FakeInspector

HOUR = 3_600_000
NOW = 1_795_341_600_000
DIGEST = "sha256:" + "4f1c9a" * 10 + "beef"

LIVE = BotView(
    bot="meanrev", live=True, counts=True, silent_ms=3_000, heard_by="a stream", streams=1, silence_max_ms=120_000, why_not=""
)
SILENT = LIVE.model_copy(
    update={"live": False, "silent_ms": 131_000, "streams": 0, "why_not": "the bot meanrev is silent for longer than 120000 ms"}
)
UNREACHED = UnreachedView(
    venue=VenueName.LIVE,
    since_ms=NOW,
    why="connection refused",
    line="live has not answered since then: connection refused. It is in use: nothing is admitted there until it answers",
)


def a_status(**changes: Any) -> StatusView:
    """A deployment in its testnet run, 41 hours in."""
    status = StatusView(
        controller_id="anna-btc",
        environment=Environment.REHEARSAL,
        gatehouse_version="0.1.0",
        epoch=3,
        armed=True,
        reconciled=True,
        not_armed_because="",
        stage=Stage.TESTNET_VALIDATING,
        step=0,
        ramp_steps=4,
        position="TESTNET_VALIDATING",
        stage_since_ms=NOW - 41 * HOUR,
        halted_from="",
        halt_reason="",
        seq=1840,
        head=DIGEST,
        venue=VenueName.TESTNET,
        source=DataSource.RECORDED_L2,
        simulated=True,
        symbols=("BTCEUR",),
        cap_eur=Decimal(10),
        exposure_eur=Decimal("6.4213"),
        equity_eur=Decimal("1002.4817"),
        day_pnl_eur=Decimal("0.8214"),
        net_pnl_eur=Decimal("2.4817"),
        guard_level="",
        guard_reason="",
        quote=QuoteView(symbol="BTCEUR", bid=Decimal("84210.10"), ask=Decimal("84211.70"), age_ms=180),
        working_orders=2,
        unknown_orders=0,
        coverage=a_run(),
        counters=CountersView(orders=1212, fills=803, denied=17, rejected=4, commands=2, refusals=1),
        policy=PolicyView(name="team", digest=DIGEST),
        roster=RosterView(digest=DIGEST, persons=("anna", "bo", "chidi")),
        release=ReleaseView(name="meanrev", version="2.3.1", digest=DIGEST),
        account_fingerprint=DIGEST,
        halt=None,
        next_edges=(
            NextEdgeView(verb=Verb.ADVANCE, target=Stage.VALIDATED, step=0, gate="validation", persons_needed=1),
            NextEdgeView(verb=Verb.HALT, target=Stage.HALTED, step=0, gate="", persons_needed=1),
        ),
        now_ms=NOW,
        decided_ms_ago=120,
    )
    return status.model_copy(update=changes)


def a_run(**changes: Any) -> CoverageView:
    """A run in its 42nd hour with both of its streams."""
    market = StreamView(
        name="market BTCEUR",
        coverage="99.9",
        rotations=1,
        renewals=0,
        gaps=1,
        longest_gap_ms=130_000,
        longest_gap_why="the stream is lost: the venue closed it",
        rotation_gap_ms=0,
        down_ms=None,
        down_why="",
        message_ms=140,
    )
    private = market.model_copy(update={"name": "private", "coverage": "100.0", "renewals": 81, "gaps": 0, "longest_gap_ms": 0})
    run = CoverageView(
        covered_ms=40 * HOUR + 47 * 60_000,
        total_ms=41 * HOUR,
        longest_gap_ms=130_000,
        target_ms=72 * HOUR,
        longest_gap_why="no valid order book for BTCEUR: the stream is lost: the venue closed it",
        ratio="99.4",
        eta_ms=NOW + 31 * HOUR,
        now_ms=NOW,
        streams=(market, private),
    )
    return run.model_copy(update=changes)


def a_lost_run() -> LostRunView:
    """A run that a changed release ended."""
    why = "the release changed from meanrev 2.3.0 to meanrev 2.3.1"
    covered = 38 * HOUR + 20 * 60_000
    return LostRunView(at_ms=NOW - 41 * HOUR, position="TESTNET_VALIDATING", covered_ms=covered, orders=71, why=why)


def a_rule(name: str, measured: str, op: str, threshold: str, verdict: str, explanation: str, unit: str = "") -> RuleView:
    """One rule of a gate."""
    return RuleView(
        id=name, metric=name, measured=measured, op=op, threshold=threshold, unit=unit, verdict=verdict, explanation=explanation
    )


def a_gate() -> GateView:
    """The validation gate, not passed yet."""
    return GateView(
        gate="validation",
        verb=Verb.ADVANCE,
        from_position="TESTNET_VALIDATING",
        to_position="VALIDATED",
        verdict="INCONCLUSIVE",
        evidence_digest=DIGEST,
        rules=(
            a_rule("covered-time", "40.8", ">=", "72", "INCONCLUSIVE", "the run is not long enough yet", "h"),
            a_rule("coverage", "99.3", ">=", "98", "PASS", "data fresh, book unbroken, bot connected, reconciliation clean", "%"),
            a_rule("unexplained-breaks", "0", "<=", "0", "PASS", "every reconciliation agreed"),
            a_rule("unknown-orders", "0", "<=", "0", "PASS", "no order's outcome is open"),
            a_rule("reject-rate", "0.33", "<=", "1", "PASS", "4 of 1,212 orders", "%"),
            a_rule("slippage-p95", "3.1", "<=", "5", "PASS", "803 fills against the mid at decision", "bps"),
            a_rule("max-drawdown", "0.42", "<=", "3", "PASS", "peak to trough, marked to market", "%"),
            a_rule("psr", "", ">=", "0.55", "NO_DATA", "needs 48 hourly returns; there are 40"),
        ),
    )


def an_order(number: int, **changes: Any) -> OrderView:
    """One order; the first ones are still working."""
    side = Side.BUY if number % 3 else Side.SELL
    order = OrderView(
        client_id=f"gh{number:06d}",
        bot="meanrev",
        bot_client_id=f"x{number}",
        venue=VenueName.TESTNET,
        stage=Stage.TESTNET_VALIDATING,
        symbol="BTCEUR",
        side=side,
        type=OrderType.LIMIT,
        price=Decimal("84190.00") + number * 3,
        quantity=Decimal("0.00007"),
        executed=Decimal(0) if number < 2 else Decimal("0.00007"),
        status=OrderStatus.NEW if number < 2 else OrderStatus.CANCELED if number % 5 == 0 else OrderStatus.FILLED,
        at_ms=NOW - number * 47_000,
    )
    return order.model_copy(update=changes)


def an_entry(seq: int, kind: str = "fill-booked", summary: str = "BUY 0.00007 BTCEUR at 84,196 (maker)") -> EntryView:
    """One journal entry."""
    digest = f"sha256:{hashlib.sha256(str(seq).encode()).hexdigest()}"
    return EntryView(seq=seq, at_ms=NOW - (1840 - seq) * 9000, epoch=3, kind=kind, hash=digest, summary=summary, body={"n": seq})


def a_sample(
    at: int, equity: str | None = "1002.48", *, covered: bool = True, stage: Stage = Stage.TESTNET_VALIDATING
) -> SampleView:
    """One sample."""
    value = None if equity is None else Decimal(equity)
    return SampleView(at=at, equity=value, exposure=Decimal("6.42"), cap=Decimal(10), covered=covered, stage=stage)


@dataclass
class FakePort:
    """Answers with its fields. ``publish`` reaches every subscriber; ``joined`` counts them.

    ``error`` is raised by every method while it is set.
    """

    view: StatusView = field(default_factory=a_status)
    living: Probe = Probe(ok=True, because="")
    gate_views: list[GateView] = field(default_factory=lambda: [a_gate()])
    order_views: list[OrderView] = field(default_factory=lambda: [an_order(n) for n in range(14)])
    fill_views: list[FillView] = field(default_factory=list)
    entries: list[EntryView] = field(default_factory=lambda: [an_entry(1826 + n) for n in range(15)])
    samples: list[SampleView] = field(default_factory=list)
    error: Exception | None = None
    submitted: list[str] = field(default_factory=list)
    proposed: list[ProposeRequest] = field(default_factory=list)
    sealed: int = 0
    halted: list[str] = field(default_factory=list)
    subscribers: list[asyncio.Queue[StreamItem | None]] = field(default_factory=list)
    joined: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    submit_error: Exception | None = None
    halted_by: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inspector = FakeInspector(lambda: self.order_views, lambda: self.entries)

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def alive(self) -> Probe:
        return self.living

    async def status(self) -> StatusView:
        self._check()
        return self.view

    async def gates(self) -> Sequence[GateView]:
        self._check()
        return self.gate_views

    async def orders(self, limit: int) -> Sequence[OrderView]:
        self._check()
        return self.order_views[:limit]

    async def fills(self, limit: int) -> Sequence[FillView]:
        self._check()
        return self.fill_views[:limit]

    async def balances(self) -> Sequence[BalanceView]:
        self._check()
        return [
            BalanceView(venue=VenueName.TESTNET, asset="EUR", total=Decimal("996.12")),
            BalanceView(venue=VenueName.TESTNET, asset="BTC", total=Decimal("0.00007550")),
        ]

    async def series(self, after: Millis, until: Millis | None = None) -> SeriesView:
        self._check()
        return SeriesView.of([one for one in self.samples if one.at > after and (until is None or one.at <= until)])

    async def journal(self, after: int, limit: int) -> Sequence[EntryView]:
        self._check()
        return [entry for entry in self.entries if entry.seq > after][:limit]

    async def propose(self, request: ProposeRequest, *, seal: bool) -> ProposalView:
        self._check()
        self.sealed += seal
        self.proposed.append(request)
        return ProposalView(
            payload='{"version":1}',
            payload_digest=DIGEST,
            word_code="amber-bell",
            summary="advance",
            gate=a_gate(),
            persons_needed=1,
        )

    async def submit(self, envelope_text: str) -> ReceiptView:
        self._check()
        if self.submit_error is not None:
            raise self.submit_error
        self.submitted.append(envelope_text)
        return ReceiptView(seq=1841, hash=DIGEST, position="VALIDATED", gate=None)

    async def halt(self, reason: str, by: str = LOCAL_SOCKET) -> ReceiptView:
        self._check()
        self.halted.append(reason)
        self.halted_by.append(by)
        return ReceiptView(seq=1841, hash=DIGEST, position="HALTED", gate=None)

    async def subscribe(self) -> AsyncIterator[StreamItem]:
        queue: asyncio.Queue[StreamItem | None] = asyncio.Queue()
        self.subscribers.append(queue)
        self.joined.release()
        try:
            while (item := await queue.get()) is not None:
                yield item
        finally:
            self.subscribers.remove(queue)

    def publish(self, item: StreamItem | None) -> None:
        """Send an item to every subscriber; ``None`` ends the subscriptions."""
        if isinstance(item, StatusView):
            self.view = item
        for queue in self.subscribers:
            queue.put_nowait(item)


class CanaryError(GatehouseError):
    """An error of a kind the API does not know."""
