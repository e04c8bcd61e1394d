"""Writes ``controller/cli/help.json``: the texts of ``gatehouse --help``, taken from the verbs."""

from __future__ import annotations

import inspect
import json
from typing import Any

import typer.main
from rich.text import Text
from typer.core import TyperOption

from controller.cli.app import app


def help_texts() -> str:
    """The usage, the options and the first paragraph of every verb's help, in the order of typer's page."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("gatehouse", [], resilient_parsing=True)
    options = [one for one in command.get_params(context) if isinstance(one, TyperOption) and not one.hidden]
    verbs = [command.get_command(context, name) for name in command.list_commands(context)]
    texts = {
        "usage": command.get_usage(context),
        "about": _plain(command.help),
        "options": [[",".join(one.opts), one.display_type_rich(ctx=context), _plain(one.help or "")] for one in options],
        "commands": [[one.name, _plain(one.short_help or one.help)] for one in verbs if not one.hidden],
        "epilog": _plain(command.epilog),
    }
    return json.dumps(texts, ensure_ascii=False, indent=2) + "\n"


def _plain(text: str) -> str:
    """The first paragraph on one line, without rich's markup."""
    return " ".join(Text.from_markup(inspect.cleandoc(text).split("\n\n")[0]).plain.split())
