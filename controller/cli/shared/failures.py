"""Prints errors on standard error: what, why and what to do. ``cli.app`` calls this."""

from __future__ import annotations

import json
from typing import Any

import typer

from controller.cli.shared.output import Output, plain, stderr
from exchange.errors import GatehouseError


def error_document(error: GatehouseError) -> dict[str, Any]:
    """An error as programs read it; ``gate`` is set when a gate refused."""
    body = {"code": error.code, "message": error.message, "remedy": error.remedy, "exit_code": error.exit_code}
    gate = getattr(error, "gate", None)
    return {"error": body, "gate": plain(gate)} if gate is not None else {"error": body}


def print_error(error: GatehouseError, output: Output) -> None:
    """Print on standard error what went wrong, why, and what to do."""
    if output is Output.JSON:
        typer.echo(json.dumps(error_document(error), ensure_ascii=False, indent=2), err=True)
        return
    from rich.text import Text

    console = stderr()
    gate = getattr(error, "gate", None)
    if gate is not None:
        from controller.cli.shared.gates import gate_table

        console.print(gate_table(gate))
    console.print(Text.assemble(("error ", "bold red"), (f"[{error.code}] ", "red"), error.message))
    console.print(Text.assemble(("  do  ", "bold"), error.remedy))
