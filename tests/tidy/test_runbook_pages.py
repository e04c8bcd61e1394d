"""Every runbook ends in commands, says how each of them ends, is listed, and has a test that runs it."""

from __future__ import annotations

import pytest

from tests.support.runbooks import RUNBOOKS, Step, ends_in_commands, pages, steps
from tests.support.tidiness import ROOT

PAGES = {"controller-hung", "halted-at-3-am", "key-leaked", "other-balances", "position-to-leave", "venue-down"}


def test_every_page_ends_in_commands_with_their_ends() -> None:
    assert {page.stem for page in pages()} == PAGES
    for page in pages():
        text = page.read_text(encoding="utf-8")
        assert ends_in_commands(text), f"{page.name} does not end in a block of commands"
        assert len(steps(text)) >= 3, page.name


def test_every_page_is_listed_and_has_a_test_that_runs_it() -> None:
    index = (ROOT / "ops" / "docs" / "README.md").read_text(encoding="utf-8")
    tests = (ROOT / "tests" / "e2e" / "test_runbooks.py").read_text(encoding="utf-8")
    missing = [
        page.name
        for page in pages()
        if f"({RUNBOOKS.name}/{page.name})" not in index or f'follow(deployment, "{page.stem}")' not in tests
    ]
    assert missing == []


# The checkers themselves

BLOCK = '# A\n\n```sh\ngatehouse halt\n# exits 0 or 6, prints "one", "two"\n\ngatehouse status\n# prints "three"\n```\n'


def test_commands_are_read_with_their_codes_and_texts() -> None:
    assert steps(BLOCK) == [
        Step("gatehouse halt", frozenset({0, 6}), ("one", "two")),
        Step("gatehouse status", frozenset({0}), ("three",)),
    ]


@pytest.mark.parametrize("text", [BLOCK + "More text.\n", "# A\n\nNo block.\n", "# A\n\n```\ngatehouse status\n```\n"])
def test_a_page_that_ends_otherwise_is_found(text: str) -> None:
    assert ends_in_commands(BLOCK)
    assert not ends_in_commands(text)


@pytest.mark.parametrize("text", ["```sh\na\nb\n```\n", "```sh\n# exits 0\na\n```\n", "```sh\na\n```\n"])
def test_a_command_without_an_announced_end_is_found(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        steps(text)
