"""The ``gatehouse …`` commands that messages, remedies and documents name, and whether the command line takes them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import typer.main
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from controller.cli.app import app
from tests.support.tidiness import ROOT

SOURCES = ("controller", "exchange", "gates", "policies")
_QUOTED = re.compile(r"`(gatehouse [^`]+)`")
_FENCED = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DYNAMIC = "DYNAMIC"


@dataclass(frozen=True, slots=True)
class Named:
    """One command as it is written, and where."""

    where: str
    command: str


def in_source() -> Iterator[Named]:
    """Every command between backticks in a string of the source that is no docstring."""
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if id(node) in inside or id(node) in documented:
                    continue
                for found in _QUOTED.findall(_text(node)):
                    yield Named(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", " ".join(found.split()))


def in_documents(paths: list[Path]) -> Iterator[Named]:
    """Every command between backticks or on a line of a fenced block of a document."""
    for path in paths:
        text = path.read_text(encoding="utf-8")
        blocks = "\n".join(_FENCED.findall(text))
        lines = (line.strip().removeprefix("$ ") for line in blocks.replace("\\\n", " ").splitlines())
        fenced = (line for line in lines if line.startswith("gatehouse "))
        quoted = (" ".join(found.split()) for found in _QUOTED.findall(_FENCED.sub("", text)))
        for command in (*fenced, *quoted):
            yield Named(str(path.relative_to(ROOT)), command)


def problem(command: str) -> str:
    """Why the command line does not take a command; empty when it does. A verb alone names it, and needs no options."""
    try:
        words = shlex.split(command.partition(" #")[0], comments=True)[1:]
    except ValueError as error:
        return str(error)
    words = words[: next((number for number, word in enumerate(words) if word in {"|", ">", ">>", "&", "&&", ";", "2>&1"}), None)]
    found: TyperGroup | TyperCommand = _root()
    while isinstance(found, TyperGroup) and words:
        if _DYNAMIC in words[0]:
            return ""
        following = found.commands.get(words[0])
        if following is None:
            return f"there is no verb {words[0]!r}" if words[0] != "--help" else ""
        assert isinstance(following, TyperGroup | TyperCommand)
        found, words = following, words[1:]
    return _refused(found, words) if words else ""


def _refused(found: TyperGroup | TyperCommand, words: list[str]) -> str:
    if isinstance(found, TyperGroup) or words == ["--help"]:
        return ""
    try:
        found.make_context(found.name, list(words))
    except TyperException as error:
        # A placeholder such as N is no number; that the option takes a value is what counts.
        message = error.format_message()
        return "" if message.startswith("Invalid value") else message
    return ""


@cache
def _root() -> TyperGroup:
    built = typer.main.get_command(app)
    assert isinstance(built, TyperGroup)
    return built


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return _DYNAMIC if isinstance(node, ast.FormattedValue) else ""
