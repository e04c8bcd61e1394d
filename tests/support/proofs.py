"""Long forms of tests: ``make proofs`` runs them, and ``make test`` a short form of each, so that no commit goes without.

``make proofs`` also runs every other test that counts what it tried (``counting.py``), so that its last lines are the whole count.

A test over many cases names the few that are its short form::

    @pytest.mark.parametrize("mutant", proven({one.switch: one for one in MUTANTS}, short=["NO_FENCE"]))

A test over one long run is given its size::

    @pytest.mark.parametrize("examples", sizes(short=10, long=60))

A test whose short form is another test names it::

    @long_form(short="test_a_demo_stopped_after_its_first_move_ends_every_process")

Both forms make the same assertions: the short one tries less.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from _pytest.mark.structures import ParameterSet


def proven(cases: Mapping[str, object], *, short: Collection[str]) -> list[ParameterSet]:
    """Every case as a proof; before them, those named in ``short`` for ``make test``."""
    assert short, "a proof has a short form"
    assert cases.keys() >= set(short), f"there is no case {sorted(set(short) - cases.keys())}"
    return [
        *(pytest.param(cases[name], id=f"short: {name}", marks=pytest.mark.short) for name in short),
        *(pytest.param(case, id=name, marks=pytest.mark.proofs) for name, case in cases.items()),
    ]


def long_form(*, short: str) -> pytest.MarkDecorator:
    """A proof whose short form is the test ``short`` of the same file; ``tests/tidy`` checks that it exists."""
    assert short
    return pytest.mark.proofs


def sizes(*, short: int, long: int) -> list[ParameterSet]:
    """One run of either size."""
    return [pytest.param(short, id="short", marks=pytest.mark.short), pytest.param(long, id="long", marks=pytest.mark.proofs)]
