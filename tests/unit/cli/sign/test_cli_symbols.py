"""Every verb that takes a symbol refuses one with letters that are not ASCII, and says which letter."""

from __future__ import annotations

import pytest

from tests.support.cli_kit import Run

CYRILLIC = "BTCUSD\u0422"


@pytest.mark.parametrize(
    "words",
    [
        ["flatten", CYRILLIC, "--key", "none", "--reason", "now"],
        ["tape", "record", CYRILLIC, "--out", "none.tape"],
        ["tape", "convert", "none", "--from", "bars", "--symbol", CYRILLIC, "--out", "none.tape"],
        ["testnet", "--key", "mx0key-here", "--secret", "a-secret", "--feed", "mexc-live", "--symbol", CYRILLIC],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_the_command_line_refuses_it_in_words(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "U+0422" in result.stderr
