"""Writes the pages of ``ops/docs`` that are generated from the production tables: run by ``make docs``, checked by a test."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from controller.cli.bots.clients import ClientName
from controller.core.lifecycle import EDGES
from exchange.model import OrderStatus
from exchange.orders import TABLE, TERMINAL
from gates.registry import GATES
from policies.authority import BY_ITSELF, Verb, quorum
from policies.presence import touches_needed
from policies.rules import METRICS
from policies.stage import RISK_ORDER, Environment, Mode, Stage

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from ops.docs.access_page import access  # noqa: E402 - the root is on the path only now
from ops.docs.alerts_page import alerts  # noqa: E402 - the root is on the path only now
from ops.docs.bots_page import bots  # noqa: E402 - the root is on the path only now
from ops.docs.gateway_page import gateway  # noqa: E402 - the root is on the path only now
from ops.docs.guard_tables import events, halts, responses  # noqa: E402 - the root is on the path only now
from ops.docs.help_texts import help_texts  # noqa: E402 - the root is on the path only now
from ops.docs.recipe_pages import recipe  # noqa: E402 - the root is on the path only now
from ops.docs.telemetry_page import telemetry  # noqa: E402 - the root is on the path only now
from ops.docs.testnet_page import testnet  # noqa: E402 - the root is on the path only now
from ops.grafana.boards import DASHBOARDS, dashboard  # noqa: E402 - the root is on the path only now


def lifecycle() -> str:
    """The lifecycle page: a diagram and the edge table."""
    lines = [
        "# Lifecycle",
        "",
        "Generated from `controller/core/lifecycle.py`, `gates/registry.py` and `policies/authority.py` by `make docs`.",
        "What a bot holds does not move with the stage: see [after a move](gateway.md#after-a-move-to-another-stage).",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> MOCK",
    ]
    names = {Stage.LIVE_EUR10: "LIVE_€10"}
    lines += [f'    state "{label}" as {stage.name}' for stage, label in names.items()]
    for edge in EDGES:
        if edge.verb is Verb.DEMOTE and edge.target is not Stage.RAMPING and _further_down(edge.source, edge.target):
            continue
        lines.append(f"    {edge.source.name} --> {edge.target.name}: {edge.verb}")
    lines += ["```", "", "Demotions to any lower stage are edges too; the diagram shows the nearest only.", ""]
    lines += ["| from | verb | to | gate | signatures (team / solo) |", "|---|---|---|---|---|"]
    for edge in EDGES:
        gate = GATES.get((edge.verb, edge.source))
        team, solo = (quorum(edge.verb, edge.source, mode) for mode in (Mode.TEAM, Mode.SOLO))
        slow = " + cooling-off" if solo.cooling_off else ""
        touched = touches_needed(edge.verb, edge.target, Mode.TEAM, Environment.PRODUCTION)
        hands = f", {touched} touched" if touched else ""
        signed = f"{team.persons}{hands} / {solo.persons}{slow}"
        lines.append(f"| {edge.source} | {edge.verb} | {edge.target} | {gate or '-'} | {signed} |")
    lines += [
        "",
        "Touched: in production, by anyone who signs with a security key. Claimed by the key unless the policy asks for an",
        "attestation: see [signing](signing.md#an-attested-key).",
    ]
    lines += [
        "",
        "These verbs are not moves. Each carries what it is about in the signed payload.",
        "",
        "| verb | about | allowed at | leads to | signatures (team / solo) |",
        "|---|---|---|---|---|",
    ]
    for verb, (about, where, leads) in ABOUT.items():
        team, solo = (quorum(verb, Stage.MOCK, mode) for mode in (Mode.TEAM, Mode.SOLO))
        slow = " + cooling-off" if solo.cooling_off else ""
        itself = ", or the key itself" if verb in BY_ITSELF else ""
        lines.append(f"| {verb} | {about} | {where} | {leads} | {team.persons} / {solo.persons}{slow}{itself} |")
    return "\n".join([*lines, *responses(), *events(), *halts()]) + "\n"


ABOUT = {
    Verb.VETO: ("the command that waits", "any stage", "stays; the command never comes back"),
    Verb.REVOKE: ("a key", "any stage", "stays, or HALTED when too few keys are left"),
    Verb.SET_ROSTER: ("the next roster", "any stage; at LIVE_€10 and RAMPING it may only lose keys", "stays"),
    Verb.SET_POLICY: ("a policy", "not at LIVE_€10 or RAMPING", "MOCK, evidence void; HALTED stays HALTED"),
    Verb.SET_RELEASE: ("a release", "not at LIVE_€10 or RAMPING", "MOCK, evidence void; HALTED stays HALTED"),
    Verb.ISSUE_BOT_KEY: ("a bot, its key, a digest of its secret", "any stage; from LIVE_€10 on signed like a step up", "stays"),
    Verb.REVOKE_BOT_KEY: ("a gateway key", "any stage", "stays; the bot's orders are cancelled, the key never comes back"),
    Verb.ACK_ALERT: ("an alert", "any stage", "stays; nothing else changes"),
    Verb.SET_RATE: ("the EUR rate that the band is around", "any stage", "stays; evidence stays"),
    Verb.FLATTEN: ("a symbol, or all", "any stage at which something that gatehouse bought is held", "stays; the holding is sold"),
    Verb.REBASELINE: (
        "a venue, and each asset in which its account differs from our books",
        "any stage, while nothing is open at that venue",
        "stays; the venue's balances are ours, as neither gain nor loss",
    ),
    Verb.ARCHIVE: (
        "the last entry of the journal that may be archived",
        "any stage",
        "stays; `gatehouse journal archive` moves the entries once the controller is stopped",
    ),
    Verb.DRILL: ("a halt", "MOCK, TESTNET_VALIDATING, VALIDATED", "stays, or HALTED when it is not proven empty in time"),
}
"""The verbs without an edge, for people."""


def _further_down(source: Stage, target: Stage) -> bool:
    return RISK_ORDER.index(source) - RISK_ORDER.index(target) > 1


def orders() -> str:
    """The order page: what every observation does to every state."""
    lines = [
        "# Orders",
        "",
        "Generated from `exchange/orders.py` by `make docs`. Rows are what we know, columns what the venue says; an empty cell is",
        "a contradiction, which halts. Bold states are final.",
        "",
        "| known | " + " | ".join(status.value for status in OrderStatus if status is not OrderStatus.ADMITTED) + " |",
        "|---" * len(OrderStatus) + "|",
    ]
    for status, row in TABLE.items():
        name = f"**{status}**" if status in TERMINAL else status.value
        cells = [row[seen].value if seen in row else "" for seen in OrderStatus if seen is not OrderStatus.ADMITTED]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "UNKNOWN becomes REJECTED when the venue refuses the order, or when four proofs say that it was never placed: see",
        "[architecture.md](architecture.md#4-one-order), item 5.",
    ]
    return "\n".join(lines) + "\n"


def metrics() -> str:
    """The metrics a gate rule can name."""
    lines = [
        "# Metrics",
        "",
        "Generated from `policies/rules.py` by `make docs`: what a gate rule in a policy can compare.",
        "",
        "| metric | unit | what it is | grows while a run lasts |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {spec.unit} | {spec.meaning} | {'yes' if spec.accumulates else 'no'} |" for name, spec in METRICS.items()
    ]
    return "\n".join(lines) + "\n"


PAGES = {
    "lifecycle.md": lifecycle,
    "orders.md": orders,
    "metrics.md": metrics,
    "security/access.md": access,
    "testnet.md": testnet,
    "gateway.md": gateway,
    "bots.md": bots,
    "telemetry.md": telemetry,
    "alerts.md": alerts,
    "../../controller/cli/help.json": help_texts,
} | {f"../grafana/dashboards/{name}.json": partial(dashboard, name) for name in DASHBOARDS}
PAGES |= {f"../recipes/{name}/README.md": partial(recipe, name) for name in ClientName}


def main() -> None:
    """Write every page."""
    for name, write in PAGES.items():
        (HERE / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
