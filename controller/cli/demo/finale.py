"""The demo's last chapters: a guard is breached, the deployment halts, and the journal is verified. ``demo.show`` calls them."""

from __future__ import annotations

import json
import time
from decimal import ROUND_DOWN, Decimal

from rich.text import Text

from controller.cli.demo.fleet import DemoFailed
from controller.cli.demo.narrator import Look
from controller.cli.demo.scene import Scene
from controller.cli.shared.output import micros, table
from controller.console.schema import HaltView, StatusView
from exchange.model import OrderStatus
from exchange.ports import VenueName
from policies.stage import Stage

_LOSS_FACTOR = 3
_WORST_GAP = Decimal("0.5")
_HALT_SECONDS = 30
_WORKING = 2
_CANCELLED = frozenset({OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED})


def breach(scene: Scene) -> None:
    """Move the live venue's price against the position, beyond the daily-loss guard."""
    narrator = scene.narrator
    narrator.chapter("A breach: the live market gaps against the position")
    loss = scene.policy.guards.daily_loss
    limit = min(loss.max_eur, loss.max_cap_fraction * scene.status().cap_eur)
    scene.wait_for("a position large enough to lose the daily limit", lambda status: _position_look(scene, status, limit), 90)
    before = scene.status()
    position = _position_eur(scene, before)
    gap = min(_WORST_GAP, _LOSS_FACTOR * limit / position)
    factor = (1 - gap).quantize(Decimal("0.01"), rounding=ROUND_DOWN)
    narrator.say(f"position {position:.2f} EUR, {before.working_orders} orders working; a day's loss of {limit:f} EUR halts")
    narrator.say(Text(f"injected at the live venue: every price from now on × {factor}", "bold"))
    venue = scene.venue(scene.ports.live)
    try:
        answer = venue.post(
            "/__control/faults", {"kind": "price-gap", "params": {"symbol": before.symbols[0], "factor": str(factor)}}
        )
    finally:
        venue.close()
    scene.must(f"the venue takes the gap ({answer.body})", holds=answer.ok)
    scene.wait_for("halt", _halted_look, _HALT_SECONDS)
    _show_halt(scene, before)


def accounts(scene: Scene) -> None:
    """Verify the journal and the evidence of the validation."""
    narrator = scene.narrator
    narrator.chapter("Everything is accounted for")
    scene.expect(narrator.command("journal", "verify", "--allow-unwitnessed"), 0)
    written = json.loads(scene.expect(narrator.command("report", "--command", _validated_by(scene), "-o", "json"), 0).stdout)
    scene.expect(narrator.command("verify", written["bundle"]), 0)
    scene.expect(narrator.command("status"), 0)
    status = scene.status()
    count = status.counters
    took = time.monotonic() - narrator.began
    narrator.good(
        f"{count.orders} orders, {count.fills} fills, {count.denied} denied, {status.unknown_orders} unknown, "
        f"{status.seq} journal entries, in {took:.0f} s"
    )
    narrator.whole(Text.assemble("evidence report: ", (str(scene.directory / written["page"]), "bold")))
    narrator.say(f"environment {status.environment}, source {status.source}: this evidence can never open a production gate")


def _show_halt(scene: Scene, before: StatusView) -> None:
    narrator = scene.narrator
    status = scene.status()
    halt = status.halt
    if halt is None:
        scene.must("the halt was measured", holds=False)
        return
    entries = scene.entries(before.seq)
    breaches = [entry for entry in entries if entry.kind == "breach-detected"]
    scene.must("the breach is in the journal", holds=bool(breaches))
    body = breaches[-1].body
    moved = next(entry.seq for entry in entries if entry.kind == "stage-changed" and entry.body["stage"] == Stage.HALTED.value)
    admitted = sum(entry.kind == "order-admitted" and entry.seq > moved for entry in entries)
    cancelled = {entry.body["client_id"] for entry in entries if entry.seq > moved and entry.body.get("status") in _CANCELLED}
    open_orders = scene.open_at_venue(scene.ports.live)
    rows = [
        ("guard", f"{body['guard']}: measured {body['measured']}, allowed {body['threshold']}"),
        ("stage", f"{status.position}, from {status.halted_from}"),
        ("breach → latch", micros(halt.breach_to_latch_us)),
        ("latch → last confirmed cancel", micros(halt.latch_to_cancelled_us)),
        ("orders cancelled", str(len(cancelled))),
        ("open orders, asked at the venue itself", str(open_orders)),
        ("orders admitted after the latch", str(admitted)),
    ]
    narrator.show(table(("measured", "value"), rows))
    scene.must("no order is open at the venue", holds=open_orders == 0)
    scene.must("no order was admitted after the halt", holds=admitted == 0)
    scene.must("gatehouse itself saw the venue empty", holds=halt.verified_empty)
    narrator.good("HALTED automatically; it stays halted until two persons sign a resume")


def _validated_by(scene: Scene) -> str:
    """The id of the command that passed the validation gate."""
    for entry in scene.entries(0):
        if entry.kind == "command-accepted" and json.loads(entry.body["result"] or "{}").get("gate") == "validation":
            return str(entry.body["command_id"])
    raise DemoFailed(
        "no command passed the validation gate", code="demo-failed", remedy=f"Read the logs in {scene.directory}/logs."
    )


def _halted_look(status: StatusView) -> Look:
    halt = status.halt
    if status.stage is not Stage.HALTED:
        return Look(done=False, permille=100, words=f"{status.position}, today {status.day_pnl_eur} EUR")
    if halt is None or not _settled(halt):
        return Look(done=False, permille=600, words=f"HALTED, {status.working_orders} orders being cancelled")
    return Look(done=True, permille=1000, words=status.halt_reason)


def _settled(halt: HaltView) -> bool:
    return halt.verified_empty and halt.latch_to_cancelled_us >= 0


def _position_look(scene: Scene, status: StatusView, limit: Decimal) -> Look:
    position = _position_eur(scene, status)
    wanted = _LOSS_FACTOR * limit / _WORST_GAP
    share = int(1000 * min(position, wanted) / wanted)
    done = position >= wanted and status.working_orders >= _WORKING
    return Look(done=done, permille=min(999, share), words=f"{position:.2f} EUR held, {status.working_orders} orders working")


def _position_eur(scene: Scene, status: StatusView) -> Decimal:
    with scene.client() as client:
        balances = client.balances()
    if status.quote is None:
        return Decimal(0)
    rate = scene.policy.eur_rate
    base = status.quote.symbol.removesuffix(rate.asset)
    held = sum((one.total for one in balances if one.venue is VenueName.LIVE and one.asset == base), Decimal(0))
    return held * status.quote.bid / rate.quote_per_eur
