"""The example in the documentation of ``controller.core.decide`` is correct."""

from __future__ import annotations

import doctest

from controller.core import decide


def test_the_documented_example_of_a_decision_runs() -> None:
    result = doctest.testmod(decide)
    assert result.failed == 0
    assert result.attempted > 0
