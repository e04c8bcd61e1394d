"""``gatehouse --help`` is drawn without typer, and is the page that typer would draw (ADR 79)."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from typing import Any

import pytest
import typer.main

from controller.cli import help_page
from controller.cli.app import app
from controller.cli.root import app_of
from controller.cli.verbs import GROUPS, VERBS
from tests.support.rig import ROOT

TYPERS = "import sys; sys.argv = ['gatehouse', '--help']\nfrom controller.cli.app import app\napp(prog_name='gatehouse')"


@pytest.mark.parametrize("width", [60, 80, 113, 200])
def test_the_page_is_the_one_that_typer_draws(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    done = subprocess.run((sys.executable, "-c", TYPERS), capture_output=True, text=True, check=True, cwd=ROOT)
    assert help_page.page(width) == done.stdout


def test_colours_change_no_word() -> None:
    assert re.sub(r"\033\[[0-9;]+m", "", help_page.page(100, colours=True)) == help_page.page(100)


class Screen(io.TextIOWrapper):
    """Standard output of another encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("arguments", "environment", "encoding", "ours"),
    [
        (["--help"], {"COLUMNS": "90"}, "utf-8", True),
        ([], {"COLUMNS": "90"}, "UTF-8", True),
        (["status", "--help"], {"COLUMNS": "90"}, "utf-8", False),
        (["--help", "--verbose"], {"COLUMNS": "90"}, "utf-8", False),
        (["--help"], {"COLUMNS": "59"}, "utf-8", False),
        (["--help"], {"COLUMNS": "90"}, "latin-1", False),
        (["--help"], {"COLUMNS": "90", "TERM": "dumb"}, "utf-8", False),
        ([], {"COLUMNS": "90", help_page.COMPLETE: "complete_bash"}, "utf-8", False),
    ],
)
def test_what_it_cannot_draw_is_left_to_typer(
    arguments: list[str], environment: dict[str, str], encoding: str, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERM", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = Screen(encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    assert help_page.drawn(arguments) is ours
    assert bool(screen.tell()) is ours


def commands(of: typer.Typer) -> dict[str, Any]:
    group: Any = typer.main.get_command(of)
    return dict(group.commands)


def test_every_verb_is_found_where_the_table_says() -> None:
    assert set(commands(app)) == {*VERBS, *GROUPS}


@pytest.mark.parametrize("verb", [*VERBS, *GROUPS])
def test_a_verb_alone_is_the_verb_among_all(verb: str) -> None:
    alone = app_of(verb)
    assert alone is not None
    ours, among_all = commands(alone)[verb], commands(app)[verb]
    assert ours.help == among_all.help
    assert (
        ours.callback.__wrapped__ is among_all.callback.__wrapped__
        if verb in VERBS
        else set(ours.commands) == set(among_all.commands)
    )


def test_a_group_that_is_loaded_alone_has_all_its_verbs() -> None:
    """In a process of its own: what another file adds to a group stays there."""
    shown = "typer.main.get_command(app_of('keys')).commands['keys'].commands"
    alone = f"import json, typer.main\nfrom controller.cli.root import app_of\nprint(json.dumps(sorted({shown})))"
    done = subprocess.run((sys.executable, "-c", alone), capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == sorted(commands(app)["keys"].commands)


def test_a_word_that_is_no_verb_gets_all_verbs() -> None:
    assert app_of("stauts") is None
