"""Every ``gatehouse …`` command that a message or a document names is one that the command line takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.named_commands import Named, bare, in_blocks, in_sentences, in_source, problem
from tests.support.tidiness import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "ops").rglob("*.md"))]
"""A decision record speaks of the day it was written, so its sentences are left out."""
TODAY = [path for path in DOCUMENTS if "adr" not in path.parts]

_MAKE = re.compile(r"^(?:\$ )?make ([a-z-]+(?: [a-z-]+)*)|`make ([a-z-]+(?: [a-z-]+)*)", re.MULTILINE)


def wrong(commands: list[Named], ignored: str = "?") -> list[str]:
    found = [(one, problem(one.command)) for one in commands]
    return [f"{one.where}: {one.command}: {why}" for one, why in found if why and ignored not in why]


def test_every_command_in_a_message_is_taken_as_it_stands() -> None:
    commands = list(in_source())
    assert len(commands) > 60
    assert wrong(commands) == []


def test_what_a_message_tells_to_run_or_sign_is_a_whole_command() -> None:
    assert [f"{one.where}: {one.command}" for one in in_source() if one.is_an_instruction and bare(one.command)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_block_of_a_document_is_taken(path: Path) -> None:
    assert wrong(list(in_blocks(path))) == []


def test_a_sentence_of_a_document_names_real_verbs_and_options() -> None:
    assert wrong([one for path in TODAY for one in in_sentences(path)], ignored="Missing") == []


@pytest.mark.parametrize("path", [ROOT / "CONTRIBUTING.md", *TODAY], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_that_a_document_names_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = _MAKE.findall(path.read_text(encoding="utf-8"))
    words = {word for found in named for word in " ".join(found).split()}
    assert words <= targets, f"the Makefile has no {words - targets}"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("gatehouse reset --key KEY --reason WHY", ""),
        ("gatehouse reset", ""),
        ("gatehouse unhalt", "there is no verb 'unhalt'"),
        ("gatehouse keys generate NAME", "there is no verb 'generate'"),
        ("gatehouse reset --key KEY", "Missing option '--reason' / '-r'."),
        ("gatehouse reset --force --key KEY --reason WHY", "No such option: --force"),
        ("gatehouse reset now --key KEY --reason WHY", "Got unexpected extra argument(s) (now)"),
    ],
)
def test_a_command_that_would_fail_when_pasted_is_found(command: str, why: str) -> None:
    assert problem(command) == why
