"""``--help`` of every verb prints the words that its text has in brackets: rich takes them for markup unless they are escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

from controller.cli.app import app
from tests.support.cli_kit import Run

_BRACKETED = re.compile(r"\\?\[[a-z][^\]\[]*\]")


def _commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, (*path, name))
        else:
            assert isinstance(command, TyperCommand)
            yield (*path, name), command


def _texts(command: TyperCommand) -> list[str]:
    return [command.help or "", *(getattr(one, "help", None) or "" for one in command.params)]


def test_no_help_loses_what_is_in_brackets(run: Run) -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    found = {path: [one for text in _texts(command) for one in _BRACKETED.findall(text)] for path, command in _commands(root)}
    assert found["flatten",], "the section of the policy is named in its help"
    for path, words in found.items():
        if words:
            printed = " ".join(run(*path, "--help").output.split())
            assert [word for word in words if word.lstrip("\\") not in printed] == []
