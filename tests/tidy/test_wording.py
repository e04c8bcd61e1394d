"""Names and words that a newcomer understands at first sight. Every rule comes with a sample that breaks it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import wording
from tests.support.tidiness import PRODUCT, Source, sources, texts


def findings(rule: Callable[[Source], list[str]], files: list[Source]) -> list[str]:
    assert len(files) > 30, "too few files were looked at"
    return [f"{source.name}:{line}" for source in files for line in rule(source)]


def test_names_of_tests_are_short() -> None:
    found = findings(wording.long_test_names, sources("tests"))
    assert not found, "Name the behaviour in fewer words:\n" + "\n".join(found)


def test_no_retired_name_is_used() -> None:
    found = findings(wording.retired_names, sources(*PRODUCT, "tests", "ops"))
    assert not found, "Use the word of the field:\n" + "\n".join(found)


def test_no_banned_word_is_used() -> None:
    found = findings(wording.banned_words, texts(*PRODUCT, "tests", "ops/docs", "README.md"))
    assert not found, "Say it in plain English:\n" + "\n".join(found)


# The checkers themselves, with samples spelled in halves, so that this file is not its own finding.

L, G = "lett" + "er", "gi" + "ven"
BROKEN: list[tuple[Callable[[Source], list[str]], str]] = [
    (wording.long_test_names, f"def test_{'x' * 66}() -> None: ..."),
    (wording.long_test_names, f"class TestIt:\n    async def test_{'x' * 66}(self) -> None: ..."),
    *[(wording.retired_names, f"{name} = 1") for name in sorted(wording.RETIRED)],
    (wording.retired_names, f"_{L} = 1"),
    (wording.retired_names, f"x.{L}"),
    (wording.retired_names, f"def f({L}): ..."),
    (wording.retired_names, f"f({L}=1)"),
    (wording.retired_names, f"def {L}(): ..."),
    (wording.retired_names, f"class {L}: ..."),
    (wording.retired_names, f"from x import y as {L}"),
    (wording.retired_names, f"import {L}"),
    (wording.retired_names, f"for {L} in []: ..."),
    (wording.retired_names, f"match x:\n    case y as {L}: ..."),
    (wording.retired_names, f"try:\n    f()\nexcept ValueError as {L}: ..."),
    (wording.retired_names, f"def f():\n    global {L}"),
    (wording.retired_names, f"from hypothesis import {G}\ndef f({G}): ..."),
    (wording.retired_names, f"from elsewhere import {G}"),
    (wording.banned_words, "# Who" + "ever reads this"),
    *[(wording.banned_words, "to men" + f"d{end} the disk") for end in ("", "s", "ed", "ing")],
    (wording.banned_words, "nob" + "ody's key"),
    (wording.banned_words, "lay\n    # do" + "wn"),
    (wording.banned_words, "la" + "id down"),
    (wording.banned_words, "it lies the" + "re"),
    (wording.banned_words, "def test_what_sta" + "nds_is_read(): ..."),
    (wording.banned_words, "one ru" + "ng"),
]
CLEAN: list[tuple[Callable[[Source], list[str]], str]] = [
    (wording.long_test_names, f"def test_{'x' * 65}() -> None: ...\ndef helper_{'x' * 90}() -> None: ..."),
    (wording.retired_names, f"from hypothesis import {G}\n@{G}(numbers)\ndef f(queued): '''A {L}.'''"),
    (wording.banned_words, "status.over" + "sight and `over" + "sight`, a field of the API"),
    (wording.banned_words, "Recommended: amend the runge file. Nobody stands there. The wrung cloth, a good sight over the bay."),
]


@pytest.mark.parametrize(("rule", "text"), BROKEN)
def test_a_checker_finds_what_breaks_its_rule(rule: Callable[[Source], list[str]], text: str) -> None:
    assert rule(Source("sample.py", text))


@pytest.mark.parametrize(("rule", "text"), CLEAN)
def test_a_checker_accepts_what_follows_its_rule(rule: Callable[[Source], list[str]], text: str) -> None:
    assert rule(Source("sample.py", text)) == []


def test_a_finding_of_a_banned_word_names_its_line() -> None:
    assert wording.banned_words(Source("a.md", "one\ntwo ru" + "ngs\n")) == ["2: 'ru" + "ngs' in: two ru" + "ngs"]
