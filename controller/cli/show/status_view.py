"""The status of a deployment as one panel: its stage, its distance to its limits, and the possible next steps."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from controller.cli.shared.output import HERE, duration, micros, short, styled
from controller.cli.show.alerts_view import alert_rows
from controller.cli.show.bot_keys_view import bot_key_rows
from controller.cli.show.drill_view import drill_rows
from controller.cli.show.ways_out_view import way_out_lines
from controller.console.run_view import StreamView
from controller.console.schema import DocumentView, HoldingsView, StatusView
from controller.console.watchdog_view import NONE
from policies.numbers import text as plain
from policies.stage import Stage

_BAR = 30


def status_panel(view: StatusView, directory: Path = HERE) -> Panel:
    """Everything ``gatehouse status`` shows of the deployment in ``directory``."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    for label, cell in _rows(view, directory):
        grid.add_row(label, cell)
    return Panel(
        Group(grid), title=Text(f"{view.controller_id} · {view.environment}"), title_align="left", border_style="dim", expand=False
    )


def _role(view: StatusView) -> Text:
    if view.standby is not None:
        return Text(view.standby.line, "bold yellow")
    return Text(f"{view.role}, under epoch {view.epoch}")


def _armed(view: StatusView) -> Text:
    word = "reconciled" if view.stage is Stage.HALTED else "armed"
    return Text(word, "green") if view.reconciled else Text(f"not {word}: {view.not_armed_because}", "bold yellow")


def _rows(view: StatusView, directory: Path) -> list[tuple[str, Text | Table | str]]:
    simulated = " (simulated)" if view.simulated else ""
    rows: list[tuple[str, Text | Table | str]] = [
        ("stage", Text.assemble(styled(view.position), f"  for {duration(view.now_ms - view.stage_since_ms)}  ", _armed(view))),
        ("role", _role(view)),
        ("orders go to", f"{view.venue or 'nowhere'}, on {view.source or 'no'} market data{simulated}"),
    ]
    if view.halt_reason:
        kind = f"{view.halt_class}: " if view.halt_class is not None else ""
        rows.append(("halted", Text(f"{kind}{view.halt_reason} (was at {view.halted_from})", "bold red")))
    if view.validation_void:
        rows.append(("reset needed", Text(f"the validation is void: {view.validation_void}", "bold red")))
    if view.ways_out:
        rows.append(("ways out", Text("\n").join(way_out_lines(view.ways_out, directory))))
    if view.halt is not None:
        empty = "verified empty" if view.halt.verified_empty else "not verified empty"
        latch, cancel = micros(view.halt.breach_to_latch_us), micros(view.halt.latch_to_cancelled_us)
        rows.append(
            ("halt measured", f"breach → latch {latch}, latch → last cancel {cancel}, {view.halt.cancelled} cancelled, {empty}")
        )
    rows += _waiting(view)
    if view.flatten is not None:
        rows.append(("flatten", Text(view.flatten.line, "bold yellow" if view.flatten.ended_at_ms is None else "")))
    rows += alert_rows(view.oversight) + bot_key_rows(view.oversight) + drill_rows(view.oversight)
    if (budget := view.signer_budget) is not None and budget.low:
        rows.append(("signer", Text(f"{budget.sentence}\n{budget.remedy}", "bold yellow")))
    if view.guard_level:
        rows.append(("guard", Text(f"{view.guard_level}: {view.guard_reason}", "yellow")))
    if view.pending_demotion:
        leaving = f"only sell orders; goes to VALIDATED when the live account is empty: {view.pending_demotion}"
        rows.append(("leaving LIVE_€10", Text(leaving, "bold yellow")))
    rows += [
        ("exposure", _exposure(view)),
        *((("the bot has", _holdings(view.holdings)),) if view.holdings is not None else ()),
        ("equity", f"{_amount(view.equity_eur)} EUR, today {_amount(view.day_pnl_eur)}, net {_amount(view.net_pnl_eur)}"),
    ]
    rows += _evidence(view)
    rows += [("bot", Text(one.line, "" if one.live or not one.counts else "yellow")) for one in view.bots]
    rows += [("unreached", Text(one.line, "bold yellow")) for one in view.unreached]
    if view.quote is not None:
        rows.append(("market", f"{view.quote.symbol} {view.quote.bid} / {view.quote.ask}, {view.quote.age_ms} ms old"))
    count = view.counters
    rows += [
        (
            "orders",
            (
                f"{count.orders} ({view.working_orders} working, {view.unknown_orders} unknown), "
                f"{count.fills} fills, {count.denied} denied"
            ),
        ),
        *((("unknown", Text("\n".join(view.unproven), "yellow")),) if view.unproven else ()),
        *(("proposed", Text(_proposed(one), "bold yellow")) for one in view.proposals),
        *((("eur rate", Text(view.eur_rate, "bold yellow" if view.eur_rate.startswith("none") else "")),) if view.eur_rate else ()),
        ("policy", f"{view.policy.name}  {short(view.policy.digest)}  {view.mode}"),
        ("release", f"{view.release.name} {view.release.version}  {short(view.release.digest)}"),
        ("writer", "has decided nothing yet" if view.decided_ms_ago is None else f"decided {view.decided_ms_ago} ms ago"),
        ("journal", f"entry {view.seq}  {short(view.head)}  epoch {view.epoch}"),
        *((("checkpoints", _checkpoints(view)),) if view.checkpoints else ()),
        ("watchdog", _watchdog(view)),
        *((("backup", Text(view.backup.line, "yellow" if view.backup.age_ms is None else "")),) if view.backup else ()),
        *(() if view.ways_out else (("next", "\n".join(_edge(view)) or "no step is possible from here"),)),
    ]
    return rows


def _evidence(view: StatusView) -> list[tuple[str, Text | Table | str]]:
    """How much time counts as evidence, why none does now, and whether the testnet vouches for it."""
    rows: list[tuple[str, Text | Table | str]] = []
    if (coverage := view.coverage) is not None:
        rows.append(
            ("run", _bar(Decimal(min(coverage.covered_ms, coverage.target_ms)), Decimal(coverage.target_ms), "", numbers=False))
        )
        rows.append(("", coverage.line))
        if coverage.hopeless:
            rows.append(("", Text(coverage.hopeless, "bold red")))
        if coverage.attested_ms is not None:
            rows.append(("", f"attested {duration(coverage.attested_ms)} of {duration(coverage.covered_ms)} covered"))
        if coverage.paused_since_ms is not None:
            since = duration(max(0, view.now_ms - coverage.paused_since_ms))
            rows.append(("paused", Text(f"for {since} no time counts: {coverage.paused_because}", "yellow")))
    if coverage is not None and coverage.lost_run is not None:
        rows.append(("started over", Text(coverage.lost_run.line, "bold yellow")))
    if coverage is not None and coverage.streams:
        rows.append(("streams", _streams(coverage.streams)))
    if view.testnet is not None:
        doubtful = not view.testnet.attested or bool(view.testnet.why)
        rows.append(("testnet", Text(view.testnet.line, "bold yellow" if doubtful else "")))
    return rows


def _streams(streams: Sequence[StreamView]) -> Text:
    return Text("\n").join(Text(one.line, "yellow" if one.down_ms is not None else "") for one in streams)


def _waiting(view: StatusView) -> list[tuple[str, Text | Table | str]]:
    """The command in its cooling-off time, if there is one."""
    if (waits := view.pending) is None:
        return []
    left = duration(max(0, waits.applies_at_ms - view.now_ms))
    what = f"{waits.verb} to {waits.target} by {', '.join(waits.persons)} is applied in {left}: {waits.reason}"
    return [
        (
            "waits",
            Text(
                f"{what}\ncommand {waits.command_id}; any key can stop it with `gatehouse veto --key KEY --reason WHY`",
                "bold yellow",
            ),
        )
    ]


def _proposed(one: DocumentView) -> str:
    """A changed file in words: that it is not in force, what it would change, and what to do."""
    changes = "\n".join(f"  {change}" for change in one.changes)
    what = "FILE" if one.document == "policy" else "--name … --version … --artifact …"
    return f"the {one.document} in the file is not in force; sign `gatehouse set-{one.document} {what}` or restore it:\n{changes}"


def _watchdog(view: StatusView) -> Text:
    if view.standby is not None:
        return Text("the leader's")
    if view.watchdog is None:
        return Text(NONE, "yellow")
    return Text(view.watchdog.line, "bold yellow" if view.watchdog.problem or not view.watchdog.connected else "")


def _checkpoints(view: StatusView) -> Text:
    lines = []
    for one in view.checkpoints:
        since = f", {duration(view.now_ms - one.at_ms)} ago" if one.at_ms is not None else ""
        if one.problem:
            lines.append(Text(f"{one.target}: {one.problem} (last known: {one.size} entries{since})", "bold yellow"))
        else:
            lines.append(Text(f"{one.target}: has {one.size} entries{since}"))
    return Text("\n").join(lines)


def _edge(view: StatusView) -> list[str]:
    edges = []
    for edge in view.next_edges:
        step = f" step {edge.step}" if edge.step else ""
        gate = f", gate {edge.gate}" if edge.gate else ""
        people = "1 signature" if edge.persons_needed == 1 else f"{edge.persons_needed} signatures"
        blind = f"\n  not now: {edge.blind}" if edge.blind else ""
        leaves = "".join(f"\n  leaves: {line}" for line in edge.leaves)
        edges.append(f"{edge.verb} → {edge.target}{step} ({people}{gate}){blind}{leaves}")
    return edges


def _exposure(view: StatusView) -> Table | str:
    if view.stage is Stage.HALTED:
        return f"{_amount(view.exposure_eur)} EUR, and no new order is admitted"
    return _bar(view.exposure_eur, view.cap_eur, "EUR")


def _holdings(view: HoldingsView) -> str:
    owner = f"; the owner keeps {_amounts(view.owner)}" if view.owner else ""
    return f"{_amounts(view.bot) or 'nothing'}{owner}"


def _amounts(held: dict[str, Decimal]) -> str:
    return ", ".join(f"{plain(amount)} {asset}" for asset, amount in held.items())


def _amount(value: Decimal | None) -> str:
    return "unknown" if value is None else format(value, "f")


def _bar(value: Decimal | None, limit: Decimal, text: str, *, numbers: bool = True) -> Table | str:
    if value is None:
        return f"unknown of {limit} {text}"
    row = Table.grid(padding=(0, 1))
    full = limit if limit > 0 else Decimal(1)
    row.add_row(
        ProgressBar(total=int(full * 10000), completed=int(value * 10000), width=_BAR),
        f"{value} of {limit} {text}" if numbers else text,
    )
    return row
