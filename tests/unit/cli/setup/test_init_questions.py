"""``gatehouse init`` without flags: five questions at a terminal, and what it says where nobody can answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.cli.setup.questions import Answers, asked
from exchange.errors import UsageError
from tests.support.cli_kit import Run, printed


def answering(*answers: str) -> Callable[[str, str], str]:
    """Somebody who gives these answers; an empty one takes the default."""
    left = list(answers)
    return lambda question, default: left.pop(0) or default


def test_five_answers_are_a_deployment(tmp_path: Path) -> None:
    bot = tmp_path / "bot.py"
    bot.touch()
    found = asked(answering("team", "anna, bo", "mx0abc", "mx0dog", str(bot)))
    assert found == Answers("team", ("anna", "bo"), "mx0abc", "mx0dog", bot)


def test_what_nobody_knows_yet_stays_empty() -> None:
    assert asked(answering("solo", "", "", "", "")) == Answers("solo", ("operator",))


def test_the_demo_needs_one_answer() -> None:
    assert asked(answering("")) == Answers("demo")


@pytest.mark.parametrize("answers", [("mainnet",), ("solo", "", "", "", "/no/such/bot.py")])
def test_a_wrong_answer_is_refused_with_what_to_answer(answers: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        asked(answering(*answers))
    assert refused.value.remedy


def test_without_a_terminal_it_names_the_missing_flag_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    result = run("init", tmp_path / "new", "-o", "json")
    assert "--profile" in printed(result, error=True)["error"]["message"]
    assert (result.exit_code, (tmp_path / "new").exists()) == (2, False)


@pytest.mark.parametrize("profile", ["solo", "team"])
def test_it_ends_with_the_next_three_commands(run: Run, tmp_path: Path, profile: str) -> None:
    shown = run("init", tmp_path / "new desk", "--profile", profile).stdout
    commands = [line.split()[1] for line in shown.splitlines() if line.startswith("  gatehouse")]
    assert commands == ["doctor", "run", "status"]
    assert f"--dir '{tmp_path / 'new desk'}'" in shown
