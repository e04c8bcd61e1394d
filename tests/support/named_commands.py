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
    """One command as it is written, where, and the word before it."""

    where: str
    command: str
    before: str = ""

    @property
    def is_an_instruction(self) -> bool:
        """Whether the reader is told to give the command, as in "Run …" or "with …"."""
        return self.before.lower() in {"run", "sign", "use", "with", "by", "propose"}


def in_source() -> Iterator[Named]:
    """Every command between backticks in a string of the source that is no docstring."""
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if id(node) not in inside | documented:
                    yield from _quoted(_text(node), f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")


def in_blocks(path: Path) -> Iterator[Named]:
    """Every command on a line of a fenced block of a document."""
    text = "\n".join(_FENCED.findall(path.read_text(encoding="utf-8"))).replace("\\\n", " ")
    for line in (one.strip().removeprefix("$ ") for one in text.splitlines()):
        if line.startswith("gatehouse "):
            yield Named(str(path.relative_to(ROOT)), line)


def in_sentences(path: Path) -> Iterator[Named]:
    """Every command between backticks in the sentences of a document."""
    return _quoted(_FENCED.sub("", path.read_text(encoding="utf-8")), str(path.relative_to(ROOT)))


def bare(command: str) -> bool:
    """Whether a command is a verb alone that needs more."""
    found, words = _resolved(shlex.split(command)[1:])
    return isinstance(found, TyperCommand) and not words and bool(_refused(found, []))


def _quoted(text: str, where: str) -> Iterator[Named]:
    for found in _QUOTED.finditer(text):
        words = text[: found.start()].split()
        yield Named(where, " ".join(found[1].split()), words[-1] if words else "")


def problem(command: str) -> str:
    """Why the command line does not take a command; empty when it does. A verb alone names it, and needs no options."""
    try:
        words = shlex.split(command.partition(" #")[0], comments=True)[1:]
    except ValueError as error:
        return str(error)
    words = words[: next((number for number, word in enumerate(words) if word in {"|", ">", ">>", "&", "&&", ";", "2>&1"}), None)]
    if words[-1:] == ["…"] and not words[-2].startswith("-"):
        words = words[:-1]
    found, words = _resolved(words)
    if isinstance(found, TyperGroup):
        return f"there is no verb {words[0]!r}" if words and _DYNAMIC not in words[0] and words[0] != "--help" else ""
    return _refused(found, words) if words else ""


def _resolved(words: list[str]) -> tuple[TyperGroup | TyperCommand, list[str]]:
    found: TyperGroup | TyperCommand = _root()
    while isinstance(found, TyperGroup) and words and words[0] in found.commands:
        following = found.commands[words[0]]
        assert isinstance(following, TyperGroup | TyperCommand)
        found, words = following, words[1:]
    return found, words


def _refused(found: TyperCommand, words: list[str]) -> str:
    if words == ["--help"]:
        return ""
    try:
        found.make_context(found.name, list(words))
    except TyperException as error:
        # A placeholder such as N is no number; that the option takes a value is what counts.
        message = error.format_message()
        return "" if message.startswith("Invalid value") else " ".join(message.split())
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
