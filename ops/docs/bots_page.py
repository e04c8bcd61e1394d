"""Writes ``ops/docs/bots.md`` from ``ops/recipes/results.json``, which ``make bots`` measures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from controller.cli.bots.clients import ClientName, load_clients

RESULTS = Path(__file__).parents[1] / "recipes" / "results.json"


def bots() -> str:
    """The page."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = [
        "# Bots that were tried",
        "",
        "Generated from `ops/recipes/results.json`, which `make bots` writes. The clients are the released packages, without a",
        "change. Each traded through the gateway of a real deployment, which operators moved up with signed commands.",
        "",
        "**Simulated**: the market is a recorded one, a testnet on loopback stands for MEXC at LIVE_€10, and the policy's",
        "times are the demo's: seconds instead of hours. Orders, fills and cancels are counted in the journal.",
        "A refusal names the rule.",
        "",
        *table(results),
        "",
        "How to set each one up: [the recipes](../recipes/README.md).",
    ]
    return "\n".join(lines) + "\n"


def table(results: dict[str, Any]) -> list[str]:
    """One row for each client and stage."""
    rows = [
        "| client | version | stage | orders | fills | cancels | refused | what the bot says | on |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, client in load_clients().items():
        found = results.get(name)
        if found is None:
            rows.append(f"| {_link(name, client.title)} | {client.version} | not run | | | | | | |")
            continue
        head = f"| {_link(name, client.title)} | {found['version']} |"
        stages = found.get("stages", {})
        said = "; ".join(f"{what}: {value}" for what, value in found.get("said", {}).items())
        for number, (stage, did) in enumerate(stages.items()):
            last = number == len(stages) - 1 and not found.get("failed")
            refused = ", ".join(f"{count} × {rule}" for rule, count in did["denied"].items()) or "-"
            if did["rejected"]:
                refused += f"; {did['rejected']} by the venue"
            words = said if last else ""
            rows.append(
                f"{head} {stage} | {did['orders']} | {did['fills']} | {did['cancels']} | {refused} | {words} | {found['on']} |"
            )
        if found.get("failed"):
            rows.append(f"{head} **failed** | | | | | {found['failed']} | {found['on']} |")
    return rows


def _link(name: ClientName, title: str) -> str:
    return f"[{title}](../recipes/{name}/README.md)"
