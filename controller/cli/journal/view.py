"""Prints journal entries, one line each without the long fields. ``journal tail`` and ``explain`` call this."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer
from rich.text import Text

from controller.cli.shared.output import Output, clock, print_json, short, stdout, styled
from controller.journal.chain import Entry

_LONG = frozenset({"envelope", "evidence", "result", "document"})
_STYLES = {
    "stage-changed": "bold",
    "breach-detected": "bold red",
    "command-accepted": "green",
    "command-refused": "red",
    "command-pending": "yellow",
    "command-voided": "red",
    "order-denied": "yellow",
    "orders-denied-again": "yellow",
}


def entry_document(entry: Entry) -> dict[str, Any]:
    """An entry as JSON values."""
    return {
        "seq": entry.seq,
        "at_ms": int(entry.at),
        "epoch": entry.epoch,
        "kind": entry.kind,
        "prev": entry.prev,
        "hash": entry.hash,
        "body": json.loads(entry.body),
    }


def print_entries(entries: Sequence[Entry], output: Output) -> None:
    """Print entries, oldest first."""
    if output is Output.JSON:
        print_json([entry_document(entry) for entry in entries])
        return
    for entry in entries:
        print_entry(entry, output)


def print_entry(entry: Entry, output: Output) -> None:
    """Print one entry. As JSON it is one line, so that a program can read line by line."""
    if output is Output.JSON:
        typer.echo(json.dumps(entry_document(entry), ensure_ascii=False))
        return
    kind = Text(f"{entry.kind:<20}", style=_STYLES.get(entry.kind, ""))
    line = Text.assemble((f"{entry.seq:>7} {clock(entry.at)} ", "dim"), kind, " ", summary(entry))
    stdout().print(line, overflow="ellipsis", no_wrap=True)


def summary(entry: Entry) -> Text:
    """An entry's fields on one line."""
    body = json.loads(entry.body)
    if entry.kind == "stage-changed":
        return Text.assemble(
            styled(body["from_stage"]),
            " → ",
            styled(body["stage"]),
            f" step {body['step']}" if body["step"] else "",
            f"  {body['reason']}",
        )
    if entry.kind in {"command-refused", "breach-detected", "order-denied", "orders-denied-again"}:
        return Text(body["message"])
    return Text("  ".join(f"{key}={_value(item)}" for key, item in body.items() if key not in _LONG and item not in (None, "", [])))


def _value(item: object) -> str:
    if isinstance(item, list):
        return ",".join(map(_value, item))
    text = str(item)
    return short(text) if text.startswith("sha256:") else text
